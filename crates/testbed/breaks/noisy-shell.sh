# bash reads .bashrc for commands over SSH, too.
home=$(getent passwd "$2" | cut -d: -f6)
kept=/var/lib/testbed/bashrc
case $1 in
break)
    [ -e $kept ] || cp -p "$home/.bashrc" $kept
    { echo 'echo "*** Welcome to $(hostname). All use is recorded. ***"'; cat $kept; } > "$home/.bashrc"
    ;;
fix) [ ! -e $kept ] || mv $kept "$home/.bashrc" ;;
esac
