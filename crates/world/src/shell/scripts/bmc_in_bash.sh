# shellcheck shell=sh disable=SC2154 # script is assigned in front
if command -v bash >/dev/null 2>&1; then exec bash -c "$script"; else exec sh -c "$script"; fi
