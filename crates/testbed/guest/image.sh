# Makes one image, in a mount namespace of its own. $1: the base system; $2: an empty directory to work in; $3: the kind.
base=$1 work=$2 kind=$3
cd "$work"
mkdir upper over root boot
mount -t overlay image -o "lowerdir=$base,upperdir=$work/upper,workdir=$work/over" root

# The account that such images come with.
sed -i '/^   default_user:/,/name:/s/name: debian/name: ubuntu/' root/etc/cloud/cloud.cfg
mkdir -p root/boot/firmware
# cloud-init sets a language, which an image of Ubuntu has the programs for.
for name in locale-gen update-locale; do
    [ -e root/usr/sbin/$name ] || { printf '#!/bin/sh\nexit 0\n' > root/usr/sbin/$name; chmod 0755 root/usr/sbin/$name; }
done
case $kind in
rk1) label=cloudimg-rootfs boot_label=CIDATA boot_mib=4 root_at=20 table=gpt ;;
cm4) label=writable boot_label=system-boot boot_mib=512 root_at=513 table=dos ;;
esac
truncate -s 1300M root.ext4
mkfs.ext4 -q -F -L $label -d root root.ext4

truncate -s ${boot_mib}M boot.vfat
mkfs.vfat -F 32 -n $boot_label boot.vfat > mkfs.log 2>&1 || { cat mkfs.log; exit 1; }
fusefat -o rw+ boot.vfat boot > mkfs.log 2>&1
cat > boot/user-data <<'END'
#cloud-config
chpasswd:
  expire: true
  list:
    - ubuntu:ubuntu
ssh_pwauth: true
END
printf 'instance-id: cloud-image\n' > boot/meta-data
printf 'version: 2\nethernets:\n  zz-all-en:\n    match: {name: "en*"}\n    dhcp4: true\n    optional: true\n' \
    > boot/network-config
umount boot
tries=0
while grep -q 'boot.vfat' /proc/[0-9]*/cmdline 2> /dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 200 ] || { echo 'the first partition is still being written'; exit 1; }
    sleep 0.05
done

boot_at=$((root_at - boot_mib))
truncate -s $((root_at + 1301))M image
case $table in
gpt) boot_type='name=CIDATA' root_type='name=rootfs' ;;
dos) boot_type='type=c, bootable' root_type='type=83' ;;
esac
sfdisk --quiet --no-reread --no-tell-kernel image << END
label: $table
start=${boot_at}MiB, size=${boot_mib}MiB, $boot_type
start=${root_at}MiB, size=1300MiB, $root_type
END
dd if=boot.vfat of=image bs=1M seek=$boot_at conv=sparse,notrunc status=none
dd if=root.ext4 of=image bs=1M seek=$root_at conv=sparse,notrunc status=none
xz -0 -T 2 --stdout image > image.xz
umount root
