# The last rule that fits counts.
rule=/etc/sudoers.d/zz-testbed
case $1 in
break)
    echo "$2:open-sesame-of-the-testbed" | chpasswd
    echo "$2 ALL=(ALL:ALL) PASSWD: ALL" > $rule
    chmod 0440 $rule
    ;;
fix)
    rm -f $rule
    passwd -q -l "$2"
    ;;
esac
