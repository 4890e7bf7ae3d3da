# Runs once, inside a BMC's tree, as root.
rm -rf /etc/ssh/ssh_host_* /etc/hostname /etc/resolv.conf /var/lib/apt/lists/* /var/cache/apt/*.bin
: > /etc/machine-id
systemctl enable systemd-networkd bmc-board.service
systemctl disable apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer
systemctl disable e2scrub_reap.service
systemctl mask tmp.mount systemd-udevd.service
mkdir -p /mnt/sdcard /var/lib/testbed-board

# What a mount does there that the kernel here cannot do; the originals stay for the stand-ins.
mkdir -p /usr/libexec/testbed
mv /usr/bin/mount /usr/bin/umount /usr/libexec/testbed/
mv /usr/libexec/testbed/stand-in-mount /usr/bin/mount
mv /usr/libexec/testbed/stand-in-umount /usr/bin/umount
chmod 0755 /usr/bin/mount /usr/bin/umount /etc/init.d/S94bmcd /usr/libexec/testbed/board-on

# A real one has a busybox for most, and some programs not at all.
box=/usr/bin/busybox
[ -x $box ] || { cp /bin/busybox $box; }
for name in awk base64 basename cat chgrp chmod chown cmp cp cut date df diff dirname du env expr find grep gunzip gzip \
    head hostname id kill ln ls md5sum mkdir mktemp mv od pidof printf ps pwd readlink realpath rm rmdir sed seq sleep \
    sort sync tail tar tee test touch tr uname uniq uptime wc which xargs xz xzcat unxz zcat; do
    $box ln -sf busybox /usr/bin/$name
done
$box ln -sf busybox /usr/bin/sh
for name in timeout stat pkill pgrep nc netcat python3 perl; do
    rm -f /usr/bin/$name
done
rm -f /usr/bin/perl5* /usr/bin/python*
printf 'NAME=Buildroot\nVERSION=2.3.7\nID=buildroot\nPRETTY_NAME="Buildroot, played by a testbed"\n' > /usr/lib/os-release
