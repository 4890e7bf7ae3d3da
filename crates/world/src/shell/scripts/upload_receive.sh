# shellcheck shell=sh disable=SC2154 # part is assigned in front
{ cat "$part"; tee -a "$part"; } | sum
