# Overlays whose upper side is on a file system that has no room left: what is there can be read, nothing can be
# written. What was open before goes on.
small=/run/testbed-full
case $1 in
break)
    mountpoint -q $small && exit 0
    mkdir -p $small
    mount -t tmpfs -o size=1m,mode=0755 tmpfs $small
    for name in var tmp etc home root opt usr; do
        mkdir -p $small/$name/upper $small/$name/work
        chmod --reference=/$name $small/$name/upper
        mount -t overlay full -o lowerdir=/$name,upperdir=$small/$name/upper,workdir=$small/$name/work /$name
    done
    dd if=/dev/zero of=$small/filler bs=4k 2>/dev/null || :
    ;;
fix)
    for name in usr opt root home etc tmp var; do
        umount -l /$name 2>/dev/null || :
    done
    umount -l $small 2>/dev/null || :
    ;;
esac
