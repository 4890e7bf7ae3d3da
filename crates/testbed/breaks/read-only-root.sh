case $1 in
break) mount -o remount,bind,ro / ;;
mend) mount -o remount,bind,rw / ;;
esac
