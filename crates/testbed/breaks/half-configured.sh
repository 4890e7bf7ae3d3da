case $1 in
break) dpkg --unpack /var/lib/testbed/bringup-half.deb ;;
fix) dpkg --purge bringup-half ;;
esac
rm -f /var/lib/testbed/bringup-half.deb
