# shellcheck shell=sh disable=SC2154 # token_file is assigned in front
[ -s "$token_file" ] || exit 44
cat "$token_file"
