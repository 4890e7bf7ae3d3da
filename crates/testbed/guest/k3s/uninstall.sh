# Takes away what was installed with this script, and what k3s keeps: the user's configuration and snapshots too.
[ "$(id -u)" -eq 0 ] || exec sudo "$0" "$@"
data=/var/lib/rancher/k3s
set -x

"$bin/k3s-killall.sh"
systemctl disable "$name"
systemctl reset-failed "$name"
# In this order, as the real one: systemd knows the unit until it is reloaded again.
systemctl daemon-reload
rm -f "$units/$name.service" "$units/$name.service.env"
trap 'rm -f "$bin/$name-uninstall.sh"' EXIT

for other in "$units"/k3s*.service; do
    [ -e "$other" ] || continue
    echo 'Additional k3s services installed, skipping uninstall of k3s'
    exit 0
done

for link in kubectl crictl ctr; do
    [ ! -L "$bin/$link" ] || rm -f "$bin/$link"
done
rm -rf /etc/rancher/k3s /run/k3s /run/flannel
# Deepest first; what is mounted and stays so is not deleted.
while read -r _ at _; do
    case $at in "$data"/*) printf '%s\n' "$at" ;; esac
done < /proc/self/mounts | sort -r | while read -r at; do umount "$at"; done
rm -rf --one-file-system "$data" /var/lib/kubelet
rm -f "$bin/k3s" "$bin/k3s-killall.sh"
exit 0
