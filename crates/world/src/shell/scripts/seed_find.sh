# shellcheck shell=sh disable=SC2034,SC2086,SC2154 # assigned in front: slot, kind, disks, devices, state, is; found is to become words; p and disk are for what follows
tries=0
while :; do
  found=
  for vendor in "$disks"/*/device/vendor; do
    [ -r "$vendor" ] || continue
    read -r name < "$vendor" || :
    case $name in "$kind"*) disk=${vendor%/device/vendor}; found="$found ${disk##*/}" ;; esac
  done
  set -- $found
  [ $# -le 1 ] || { echo "several modules show up as disks:$found" >&2; exit 45; }
  [ $# -eq 1 ] && test "$is" "$devices/$1" && break
  tries=$((tries + 1))
  [ $tries -lt 60 ] || { echo 'no module of this kind shows up as a disk' >&2; exit 45; }
  sleep 1
done
disk=$devices/$1
case $disk in *[0-9]) p=p ;; *) p= ;; esac

# The USB port is in the path in /sys, and goes without the number of the bus: `1.2` of `…/1-1.2/1-1.2:1.0/host0/…`. A
# slot's port is wired; on boards with a hub each slot has its own.
port=$(readlink -f "$disks/$1/device" | sed -n 's#.*/[0-9]*-\([0-9.]*\):[0-9.]*/.*#\1#p')
for record in "$state"/port-*; do
  [ -n "$port" ] && [ -r "$record" ] && read -r known < "$record" || continue
  other=${record##*-}
  case $other in
    "$slot")
      [ "$known" = "$port" ] \
        || { echo "the module shows up at USB port $port, that of slot $slot was at $known" >&2; exit 47; } ;;
    *)
      # Without a hub all slots share a port, which has no point in it.
      case $port in
        *.*)
          [ "$known" != "$port" ] \
            || { echo "the module shows up at USB port $port, which is slot $other's" >&2; exit 47; } ;;
      esac ;;
  esac
done
