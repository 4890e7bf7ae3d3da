# shellcheck shell=sh
for vendor in /sys/bus/usb/devices/*/idVendor; do
[ -r "$vendor" ] || continue
device=${vendor%/*}; read -r vendor < "$vendor" && read -r product < "$device/idProduct" || continue
case $vendor:$product in
2207:350b|0a5c:2711|0a5c:2712|0a5c:2764) echo "$vendor:$product at ${device##*/}";;
esac
done
