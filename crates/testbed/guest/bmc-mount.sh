#!/bin/sh
# mount(8) of a BMC: knows no LABEL=, and mounts vfat, which the kernel here cannot, through FUSE.
real=/usr/libexec/testbed/mount
type= options= places= count=0 want=
for word; do
    case $want in
    type) type=$word want= ; continue ;;
    options) options=$options,$word want= ; continue ;;
    esac
    case $word in
    LABEL=* | UUID=* | -L | -U) echo "mount: can't find $word" >&2; exit 1 ;;
    -t) want=type ;;
    -o) want=options ;;
    -t*) type=${word#-t} ;;
    -o*) options=$options,${word#-o} ;;
    -r) options=$options,ro ;;
    -*) ;;
    *) count=$((count + 1)); places="$places $word" ;;
    esac
done
[ "$type" = vfat ] || exec $real "$@"
set -- $places
[ $count = 2 ] || { echo 'mount: usage: mount -t vfat DEVICE DIRECTORY' >&2; exit 1; }
[ -b "$1" ] || { echo "mount: mounting $1 on $2 failed: No such file or directory" >&2; exit 255; }
mode=rw+
case ,$options, in
*,ro,*) mode=ro ;;
esac
# It tells a lot, and goes on with what it was given as its output.
fusefat -o "$mode,fsname=$1" "$1" "$2" > /run/fusefat.log 2>&1 && exit 0
echo "mount: mounting $1 on $2 failed: $(tail -n 1 /run/fusefat.log)" >&2
exit 255
