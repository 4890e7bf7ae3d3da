# shellcheck shell=sh disable=SC2034,SC2154,SC3013 # unit is assigned in front; read wants a name for each word; nodes have `-nt`
# What is kept is in the arguments.
umask 077
dir=/var/lib/bringup
script=/usr/local/bin/$unit-uninstall.sh
if [ ! -e "$script" ]; then
  [ ! -e "/etc/systemd/system/$unit.service" ] && exit 0
  echo "$script is not there, which takes k3s away" >&2; exit 1
fi
mkdir -p $dir && chmod 0700 $dir || exit 1
# File by file, so that a second try, which finds a part of it deleted, keeps what the first one kept.
find "$@" ! -type d ! -name '*.bringup-part' 2>/dev/null | while IFS= read -r file; do
  kept=$dir/k3s-kept$file
  [ -e "$kept" ] && [ ! "$file" -nt "$kept" ] && continue
  mkdir -p "${kept%/*}" && twin "$file" "$kept" || exit 1
done || exit 1
version=$(version)
[ -z "$version" ] || { echo "$version" > $dir/k3s-before.new && mv -f $dir/k3s-before.new $dir/k3s-before; } \
  && rm -f $dir/k3s-run $dir/k3s-ours || exit 1
systemctl stop "$unit"
[ ! -x /usr/local/bin/k3s-killall.sh ] || /usr/local/bin/k3s-killall.sh >/dev/null 2>&1
# What pods have mounted would be deleted with the directories that it is mounted in.
while read -r what at rest; do
  case $at in
    /var/lib/kubelet/pods/* | /run/k3s/*)
      echo "$at is still mounted: uninstalling would delete what is in it" >&2; exit 1 ;;
  esac
done < /proc/self/mounts || exit 1
"$script" 2>&1 || exit 1
[ ! -e "/etc/systemd/system/$unit.service" ] || { echo "its script left $unit.service" >&2; exit 1; }
