# shellcheck shell=sh
date +%s; read -r up rest < /proc/uptime; echo "$up"
systemctl show --property=LoadState,ActiveState,UnitFileState,ActiveEnterTimestampMonotonic --
