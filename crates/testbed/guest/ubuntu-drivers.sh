#!/bin/sh
# Stands in for Ubuntu's. `install` installs the stand-in of a driver package and notes its version in
# /var/lib/testbed/nvidia-version.
set -e
driver=nvidia-driver-550-server
case "${1:-}" in
list)
    echo "$driver, (kernel modules provided by linux-modules-nvidia-550-server-generic)"
    ;;
devices)
    echo "== /sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0 =="
    echo "vendor   : NVIDIA Corporation"
    echo "driver   : $driver - distro non-free recommended"
    ;;
install | autoinstall)
    echo "Installing $driver"
    apt-get -q -y install "$driver"
    mkdir -p /var/lib/testbed
    dpkg-query -W -f='${Version}\n' "$driver" > /var/lib/testbed/nvidia-version
    ;;
*)
    echo "Usage: ubuntu-drivers [list|devices|install]" >&2
    exit 2
    ;;
esac
