# shellcheck shell=sh disable=SC2154 # state and name are assigned in front
[ -e "$state/$name" ] || exit 44
cat "$state/$name"
