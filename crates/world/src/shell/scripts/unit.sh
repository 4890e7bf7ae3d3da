# shellcheck shell=sh disable=SC2034,SC2154 # name is assigned in front, and read wants a name for what is left over
date +%s; read -r up rest < /proc/uptime; echo "$up"
systemctl show --property=LoadState,ActiveState,UnitFileState,ActiveEnterTimestampMonotonic -- "$name"
