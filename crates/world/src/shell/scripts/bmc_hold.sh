# shellcheck shell=sh disable=SC2154,SC3045 # token and who are assigned in front; bash and busybox have `read -t`
exec 9>>/run/bringup.lock || exit 1
if ! flock -n 9; then
  read -r held_by pid name < /run/bringup.lock
  # A connection that was lost may have left a holder of this same run behind.
  if [ "$held_by" = "$token" ]; then kill "$pid" 2>/dev/null; sleep 1; fi
  flock -n 9 || { echo "bringup busy $name"; exit 0; }
fi
printf '%s %s %s\n' "$token" $$ "$who" > /run/bringup.lock
echo bringup held
while read -r -t 90 _; do :; done
: > /run/bringup.lock
