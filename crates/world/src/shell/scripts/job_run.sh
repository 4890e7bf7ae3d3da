# shellcheck shell=sh disable=SC2154 # name is assigned in front, where work is defined, too
export LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a APT_LISTCHANGES_FRONTEND=none
cd "/var/lib/bringup/jobs/$name" || exit 1
(work "$@") > log 2>&1 < /dev/null
echo $? > status.new; sync -d status.new
mv status.new status
