#!/bin/sh
# umount(8) of a BMC: what FUSE mounts is written back when its process ends, which a caller takes for done.
/usr/libexec/testbed/umount "$@" || exit
for word; do place=$word; done
tries=0
while grep -l -a "^fusefat.$place\|^fusefat.*$place.\$" /proc/[0-9]*/cmdline > /dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 200 ] || { echo "umount: $place is still being written" >&2; exit 1; }
    sleep 0.05
done
exit 0
