# shellcheck shell=sh
sync_file() { sync -f "$1" 2>/dev/null || sync; }
