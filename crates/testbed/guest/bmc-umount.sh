#!/bin/sh
# umount(8) of a BMC: what FUSE mounts is written back when its process ends, which a caller takes for done.
/usr/libexec/testbed/umount "$@" || exit
for word; do place=$word; done

being_written() {
    for process in /proc/[0-9]*; do
        [ "$(cat "$process/comm" 2> /dev/null)" = fusefat ] || continue
        case " $(tr '\0' ' ' < "$process/cmdline" 2> /dev/null)" in
        *" $place "*) return 0 ;;
        esac
    done
    return 1
}

tries=0
while being_written; do
    tries=$((tries + 1))
    [ $tries -lt 200 ] || { echo "umount: $place is still being written" >&2; exit 1; }
    sleep 0.05
done
