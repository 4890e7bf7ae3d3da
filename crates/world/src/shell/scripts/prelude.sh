# shellcheck shell=sh
LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
unset ENV BASH_ENV CDPATH LANGUAGE
IFS=' 	
'
umask 022
cd /
