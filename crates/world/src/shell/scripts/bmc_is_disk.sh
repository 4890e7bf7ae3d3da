# shellcheck shell=sh disable=SC2154 # state and slot are assigned in front
{ read -r noted && read -r boot; } < "$state/disk" 2>/dev/null || exit 44
read -r now < /proc/sys/kernel/random/boot_id
[ "$noted" = "$slot" ] && [ "$boot" = "$now" ] || exit 44
for vendor in /sys/block/*/device/vendor; do
  [ -r "$vendor" ] || continue
  read -r name < "$vendor" || :
  case $name in Rockchip* | RPi-MSD-*) exit 0 ;; esac
done
exit 44
