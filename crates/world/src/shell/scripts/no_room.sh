# shellcheck shell=sh disable=SC2046
no_room() { set -- "$1" $(df -Pk "$1" | tail -n 1)
[ "${5:-9999}" -gt 64 ] || echo "no space left for $1: $5 KiB are free" >&2; }
