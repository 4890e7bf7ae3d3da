# shellcheck shell=sh
uname -n
. /etc/os-release; printf '%s %s\n' "$NAME" "$VERSION_ID"
dpkg --print-architecture
