# shellcheck shell=sh disable=SC2154 # state, slot and port are assigned before
trap - EXIT HUP INT TERM
leave || exit 1
[ -z "$port" ] || echo "$port" > "$state/port-$slot"
