#!/bin/sh
# Stands in for ubuntu-rockchip's: copies the running root to another disk, partitioned as the image is. The same
# question, the same sentences' sense, the same exit statuses; no boot loader.
[ "$(id -u)" = 0 ] || { echo 'Please run as root'; exit 1; }
[ $# = 1 ] || { echo "Usage: $0 /dev/nvme0n1"; exit 1; }
disk=$1
[ -b "$disk" ] || { echo "$0: block device '$disk' not found"; exit 1; }

name=$(basename "$(readlink -f "$disk")")
number=$(findmnt -n -o MAJ:MIN / | tr -d ' ')
root=$(readlink -f "/sys/dev/block/$number") || root=
case $root in
*/"$name" | */"$name"/*) echo "$0: '$disk' is the disk of the root file system"; exit 1 ;;
esac
used=$(df --output=used -B1 / | tail -n 1)
[ "$(blockdev --getsize64 "$disk")" -gt $((used + 64 * 1024 * 1024)) ] || {
    echo "$0: '$disk' is too small"
    exit 1
}

printf 'WARNING: %s will be erased.\nContinue? [y/N] ' "$disk"
read -r answer || :
case $answer in
y | Y) ;;
*) exit 0 ;;
esac

set -e
echo "Partitioning $disk"
partx --delete "$disk" 2> /dev/null || :
printf 'label: gpt\nstart=1MiB, size=4MiB, name=CIDATA\nstart=5MiB, name=rootfs\n' |
    sfdisk --quiet --wipe always --wipe-partitions always --no-reread --no-tell-kernel "$disk"
partx --add "$disk" 2> /dev/null || partx --update "$disk"
# Nobody makes device nodes in a container.
for part in "/sys/class/block/$name"p*; do
    node=/dev/${part##*/}
    IFS=: read -r major minor < "$part/dev"
    rm -f "$node"
    mknod "$node" b "$major" "$minor"
done
mkfs.ext4 -q -F -L cloudimg-rootfs "/dev/${name}p2"

echo 'Copying the root file system'
target=$(mktemp -d)
mount -t ext4 "/dev/${name}p2" "$target"
cp -ax /. "$target"
rmdir "$target$target"
sync
umount "$target"
rmdir "$target"
echo 'Done!'
