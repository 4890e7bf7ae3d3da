# shellcheck shell=sh disable=SC2034,SC2154
while read -r device at rest; do
case $at in "$work"/*) ;; /tmp/bringup.*) umount "$at" || umount -l "$at"; rmdir "$at" "${at%/*}" 2>/dev/null;; esac
done < /proc/mounts
