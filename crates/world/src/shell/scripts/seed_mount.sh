# shellcheck shell=sh disable=SC2154 # seed_number and root_number are assigned in front; is, disk, p and work before
seed=$disk$p$seed_number root=$disk$p$root_number
tries=0
until test "$is" "$seed" && test "$is" "$root"; do
  [ $tries -ne 2 ] || blockdev --rereadpt "$disk" 2>/dev/null
  tries=$((tries + 1)); [ $tries -lt 15 ] || { echo "$disk shows no partitions" >&2; exit 45; }
  sleep 1
done
mount -t ext4 "$root" "$work/root" && mount -t vfat "$seed" "$work/seed" || exit 1
rm -rf "$work/root/var/lib/cloud" "$work/root"/etc/ssh/ssh_host_* || exit 1
