case $1 in
break) usermod --shell /usr/bin/fish "$2" ;;
mend) usermod --shell /bin/bash "$2" ;;
esac
