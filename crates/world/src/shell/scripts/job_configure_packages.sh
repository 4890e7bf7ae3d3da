# shellcheck shell=sh
# dpkg itself does not wait for its lock, and flock(1) takes another kind of lock than it does. It ends with 2 when it
# cannot work with its own files, a lock among them, and with 1 when a package fails (dpkg(1), EXIT STATUS).
work() {
  waited=0
  while :; do
    dpkg --force-confdef --force-confold --configure -a; status=$?
    [ $status -eq 2 ] && [ $waited -lt 1800 ] || exit $status
    sleep 2; waited=$((waited + 2))
  done
}
