# shellcheck shell=sh
# Lists that know none of them may be too old for what is asked.
work() { apt install "$@" || { apt update && apt install "$@"; }; }
