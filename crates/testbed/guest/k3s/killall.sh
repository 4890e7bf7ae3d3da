#!/bin/sh
# Ends what k3s left running on this host, pods too, and takes its mounts and its network away.
[ "$(id -u)" -eq 0 ] || exec sudo "$0" "$@"
parts=/usr/libexec/testbed/k3s/debian/usr
PATH=$PATH:$parts/sbin:$parts/bin

for file in /etc/systemd/system/k3s*.service; do
    [ ! -s "$file" ] || systemctl stop "${file##*/}"
done

# A process and all below it.
tree() {
    echo "$1"
    for stat in /proc/[0-9]*/stat; do
        { read -r line < "$stat"; } 2>/dev/null || continue
        rest=${line##*) }
        rest=${rest#* }
        [ "${rest%% *}" = "$1" ] || continue
        pid=${stat#/proc/}
        (tree "${pid%/stat}")
    done
}

# What outlives k3s is each pod's shim, and its containers below it.
for file in /proc/[0-9]*/cmdline; do
    words=$(tr '\0' ' ' 2>/dev/null < "$file") || continue
    case $words in
        *containerd-shim*' /run/k3s/containerd/'*)
            pid=${file#/proc/}
            tree "${pid%/cmdline}"
            ;;
    esac
done 2>/dev/null | xargs -r kill -9 2>/dev/null

for below in /run/k3s /var/lib/kubelet/pods /var/lib/kubelet/plugins /run/netns/cni-; do
    while read -r _ at _; do
        case $at in "$below"*) printf '%s\n' "$at" ;; esac
    done < /proc/self/mounts | sort -r | while read -r at; do
        # A mount whose last process has only just been killed may need a moment; it goes out of sight at once.
        { umount "$at" || umount -l "$at"; } 2>/dev/null && rm -rf "$at"
    done
done

ip -o link show master cni0 2>/dev/null | while IFS=': @' read -r _ interface _; do
    ip link delete "$interface"
done
for interface in cni0 flannel.1; do
    ! ip link show $interface >/dev/null 2>&1 || ip link delete $interface
done
# Routes to other nodes' pods, which the stand-in marks as its own.
ip route flush proto 78
rm -rf /var/lib/cni

# These programs come with k3s, and with libraries that the host may lack.
(
    export LD_LIBRARY_PATH=$parts/lib/x86_64-linux-gnu:$parts/lib/aarch64-linux-gnu
    for table in 'ip kube-proxy' 'ip6 kube-proxy' 'ip k3s_masquerade'; do
        nft delete table $table
    done
    for tables in iptables ip6tables; do
        rules=$($tables-save) || continue
        case $rules in
            *KUBE-* | *CNI-*) printf '%s\n' "$rules" | grep -v -e KUBE- -e CNI- | $tables-restore ;;
        esac
    done
) 2>/dev/null
exit 0
