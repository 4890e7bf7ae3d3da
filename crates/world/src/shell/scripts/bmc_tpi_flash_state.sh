# shellcheck shell=sh disable=SC2046,SC2154 # stat is words; state is assigned in front
cd "$state/tpi" 2>/dev/null || exit 44
moved=
for vendor in /sys/block/*/device/vendor; do
  [ -r "$vendor" ] || continue
  read -r name < "$vendor" || :
  case $name in
    Rockchip* | RPi-MSD-*)
      disk=${vendor%/device/vendor}; set -- $(cat "$disk/stat" 2>/dev/null)
      [ $# -lt 7 ] || moved=$((512 * ($3 + $7))) ;;
  esac
done
echo "$moved"
if [ -e status ]; then cat status
elif read -r pid < pid && kill -0 "$pid" 2>/dev/null; then echo running
# It may have ended between the two looks.
elif [ -e status ]; then cat status
else echo gone; fi
tail -n 5 out; tail -n 5 err >&2; :
