# shellcheck shell=sh disable=SC2154 # disk is assigned in front
[ -b "$disk" ] || exit 44
[ "$(lsblk -n -d -o TYPE "$disk")" != part ] || exit 44
blockdev --getsize64 "$disk" || exit 1
name=$(readlink -f "$disk"); name=${name##*/}
for what in model serial; do
value=; [ -r "/sys/block/$name/device/$what" ] && read -r value < "/sys/block/$name/device/$what"
echo "$value"
done
root=$(findmnt -n -o MAJ:MIN /); lsblk -n -o MAJ:MIN "$disk" | tr -d ' ' | grep -qxF "${root# }" && echo root || echo no
lsblk -n -o MOUNTPOINT "$disk" 2>/dev/null | sed -n 's/^ *\([^ ]\)/at \1/p'
lsblk -n -o FSTYPE,LABEL "$disk" 2>/dev/null; :
