# shellcheck shell=sh disable=SC2154 # unit is assigned in front
tail -n 20 /var/lib/rancher/k3s/agent/containerd/containerd.log 2>/dev/null | grep -vE '^time=.* level=(trace|debug|info|warning) ' | grep . | tail -n 1 | cut -c 1-1000 | grep . || echo
again=$(systemctl show --property=NRestarts $unit) id=$(systemctl show --property=InvocationID $unit)
if [ "${again#*=}" = 0 ] && [ -n "${id#*=}" ]; then set -- "_SYSTEMD_INVOCATION_ID=${id#*=}"
else set -- -u $unit --since -5min; fi
journalctl "$@" -r -n 2000 -o cat --no-pager 2>/dev/null | grep -E 'level=(error|fatal)|msg="Waiting (to retrieve agent configuration|for )' | cut -c 1-1000 | head -n 50
