# The root itself is busy with files that are open for writing, so each of its directories is bound over itself,
# read-only. What was open before goes on.
case $1 in
break)
    for name in var tmp etc home root opt usr srv; do
        mount --bind /$name /$name
        mount -o remount,bind,ro /$name
    done
    ;;
fix)
    for name in srv usr opt root home etc tmp var; do
        # Only what was bound here is taken away.
        case $(findmnt -n -o OPTIONS --target /$name) in
        ro,*) umount -l /$name ;;
        esac
    done
    ;;
esac
