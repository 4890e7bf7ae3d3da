# shellcheck shell=sh disable=SC2034
version() { "${1:-/usr/local/bin/k3s}" --version 2>/dev/null | { read -r name word version rest; echo "$version"; }; }
