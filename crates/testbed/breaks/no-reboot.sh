# systemd says yes to a target that does nothing.
target=/etc/systemd/system/reboot.target
case $1 in
break)
    printf '[Unit]\nDescription=A reboot that never happens\nDefaultDependencies=no\nRefuseManualStart=no\n' > $target
    ;;
fix)
    systemctl stop reboot.target 2>/dev/null || :
    rm -f $target
    ;;
esac
systemctl daemon-reload
