# shellcheck shell=sh disable=SC2086,SC2154 # at is assigned in front, and free is to become words
while [ "$at" != / ] && { [ ! -d "$at" ] || ! mountpoint -q "$at"; }; do
  at=${at%/*}; [ -n "$at" ] || at=/
done
[ "$at" != / ] || exit 44
free=$(df -P -k "$at" | tail -n 1) || exit 1
set -- $free
echo "$4"
