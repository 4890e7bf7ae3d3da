#!/bin/sh
# At each boot of a BMC: the modules' place in /sys, the SD card, bmcd.
board=/var/lib/testbed-board
/usr/libexec/testbed/mount --bind $board/sys-block /sys/block
/usr/libexec/testbed/mount --bind $board/sys-bus /sys/bus
[ -e $board/faults/sd-missing ] || mount -t ext4 /dev/mmcblk0p1 /mnt/sdcard
/etc/init.d/S94bmcd start
