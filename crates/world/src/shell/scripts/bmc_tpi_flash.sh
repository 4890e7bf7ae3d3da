# shellcheck shell=sh disable=SC2154 # state, slot and path are assigned in front
umask 077; rm -rf "$state/tpi" && mkdir -p "$state/tpi" && cd "$state/tpi" || exit 1
# Its status is written last of all.
setsid sh -c '
  echo $$ > pid
  tpi flash -l -n "$1" -i "$2" > out 2> err < /dev/null
  echo $? > status.new
  mv status.new status
' sh "$slot" "$path" < /dev/null > /dev/null 2>&1 &
tries=0; until [ -s pid ] || [ $tries -ge 10 ]; do tries=$((tries + 1)); sleep 1; done
[ -s pid ]
