# shellcheck shell=sh
umask 022
work=$(mktemp -d /tmp/bringup.XXXXXX) && mkdir "$work/seed" "$work/root" || exit 1
# What is mounted is unmounted however it ends.
leave() {
  cd /
  for at in "$work/seed" "$work/root"; do
    tries=0
    while mountpoint -q "$at" && ! umount "$at" && [ $tries -lt 5 ]; do tries=$((tries + 1)); sleep 1; done
    rmdir "$at"
  done
  rmdir "$work"
}
trap leave EXIT; trap 'exit 1' HUP INT TERM
