# shellcheck shell=sh disable=SC2034,SC2154 # role, unit, config and token_file are assigned in front; read wants a name for the rest
echo $role; version
if [ -e /var/lib/bringup/k3s-run ]; then head -n 1 /var/lib/bringup/k3s-run; else echo; fi
if [ -e /var/lib/bringup/k3s-ours ] || grep -qsxE "K3S_TOKEN_FILE='?$token_file'?" /etc/systemd/system/$unit.service.env; then echo ours; else echo; fi
if [ -s /etc/rancher/node/password ]; then echo password; else echo; fi
date +%s; read -r up rest < /proc/uptime; echo "$up"
for file in "$config" /usr/local/bin/k3s; do stat -L -c %Y "$file" 2>/dev/null || echo 0; done
systemctl show --property=ActiveState,SubState,ExecMainStartTimestampMonotonic $unit
