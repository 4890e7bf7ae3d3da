# shellcheck shell=sh disable=SC2034
if [ -e /etc/systemd/system/k3s.service ]; then role=server unit=k3s
elif [ -e /etc/systemd/system/k3s-agent.service ]; then role=agent unit=k3s-agent
else exit 44; fi
