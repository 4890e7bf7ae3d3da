# Runs once, inside the base system, as root.
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

dpkg -i /tmp/debs/*.deb
apt-mark auto bringup-unneeded

# Hosts know the testbed's own repository only: nothing beyond the base system needs a network.
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/apt/apt.conf.d/99mmdebstrap
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin

# Each host makes its own at its first boot.
rm -f /etc/ssh/ssh_host_* /etc/hostname /etc/resolv.conf
: > /etc/machine-id

# `cloud.cfg` of some images names data sources that would be looked for first.
sed -i '/^datasource_list/d' /etc/cloud/cloud.cfg

systemctl enable systemd-networkd
# They would take apt's lock whenever they like.
systemctl disable apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer man-db.timer
systemctl disable e2scrub_reap.service
systemctl mask systemd-resolved.service 2>/dev/null || :

# /tmp belongs to the root file system, as it does on a Raspberry Pi or an RK1.
systemctl mask tmp.mount
mkdir -p /var/lib/testbed
