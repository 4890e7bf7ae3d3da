case $1 in
break) usermod --shell /usr/bin/fish "$2" ;;
fix) usermod --shell /bin/bash "$2" ;;
esac
