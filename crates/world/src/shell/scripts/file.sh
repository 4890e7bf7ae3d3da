# shellcheck shell=sh disable=SC2154 # path is assigned in front
[ -e "$path" ] || exit 44
sha256sum < "$path" && stat -L -c '%s %a %Y' "$path"
