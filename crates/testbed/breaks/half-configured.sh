case $1 in
break) dpkg --unpack /var/lib/testbed/bringup-half.deb ;;
mend) dpkg --purge bringup-half ;;
esac
rm -f /var/lib/testbed/bringup-half.deb
