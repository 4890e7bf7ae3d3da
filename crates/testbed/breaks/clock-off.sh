# Every program that starts from now on. What runs already keeps the machine's clock, sshd's next sessions do not.
case $1 in
break)
    echo '+1h' > /etc/faketimerc
    set -- /usr/lib/*/faketime/libfaketime.so.1
    echo "$1" > /etc/ld.so.preload
    ;;
mend) rm -f /etc/ld.so.preload /etc/faketimerc ;;
esac
