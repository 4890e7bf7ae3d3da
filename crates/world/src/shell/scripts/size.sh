# shellcheck shell=sh disable=SC2046
size() { set -- $(ls -ln "$1"); echo "$5"; }
