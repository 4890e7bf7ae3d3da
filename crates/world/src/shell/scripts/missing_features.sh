# shellcheck shell=sh
systemctl is-active --quiet k3s || systemctl is-active --quiet k3s-agent && exit 0
groups=/sys/fs/cgroup/cgroup.controllers
for name in memory cpuset cpu pids; do
if [ -r $groups ]; then case " $(cat $groups) " in *" $name "*) continue;; esac
else
found=no
while read -r group rest; do [ "$group" = $name ] && [ "${rest##* }" != 0 ] && [ "${rest##*	}" != 0 ] && found=yes
done < /proc/cgroups
[ $found = yes ] && continue
fi
echo "the cgroup $name"
done
[ -d "/lib/modules/$(uname -r)" ] && command -v modprobe >/dev/null || exit 0
backend=$(sed -n 's/^flannel-backend: *["'\'']*\([a-z-]*\).*/\1/p' /etc/rancher/k3s/config.yaml 2>/dev/null)
for module in overlay vxlan; do
[ $module != vxlan ] || [ -z "$backend" ] || [ "$backend" = vxlan ] || continue
[ -d /sys/module/$module ] || modprobe -n -q $module || echo "the module $module"
done
