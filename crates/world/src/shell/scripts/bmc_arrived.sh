# shellcheck shell=sh disable=SC2154 # to, sum and part are assigned in front
umask 022; mkdir -p "${to%/*}" || exit 1
if [ -f "$to" ]; then have=$(sha256sum < "$to"); [ "${have%% *}" != "$sum" ] || { echo there; exit; }; fi
[ -f "$part" ] || { echo 0; exit; }
size "$part"
