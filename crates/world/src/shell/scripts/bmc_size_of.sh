# shellcheck shell=sh disable=SC2154 # path is assigned in front
[ -f "$path" ] || exit 44
size "$path"
