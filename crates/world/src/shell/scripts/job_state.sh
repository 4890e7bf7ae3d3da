# shellcheck shell=sh disable=SC1010,SC2154 # name and lines are assigned in front; then is a variable, too
cd "/var/lib/bringup/jobs/$name" 2>/dev/null && [ -e hash ] && [ -e boot ] || exit 44
cat hash boot
read -r now < /proc/sys/kernel/random/boot_id; read -r then < boot
ended() { cat status; echo $(($(date +%s) - $(stat -c %Y status))); }
if [ -e status ]; then ended
elif [ "$now" = "$then" ] && systemctl is-active --quiet "bringup-$name.service"; then echo running; echo -
# It may have ended between the two looks.
elif [ -e status ]; then ended
else echo gone; echo -; fi
tail -n "$lines" log 2>/dev/null; :
