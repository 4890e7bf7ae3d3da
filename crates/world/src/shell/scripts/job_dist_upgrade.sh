# shellcheck shell=sh
# `apt-get update` does not wait for the lists' lock before apt 2.3; the lock is tried instead, for a while.
update() {
  tries=0
  until apt -o APT::Update::Error-Mode=any update; do
    tries=$((tries + 1)); [ $tries -lt 5 ] || exit 1
    sleep 15
  done
}
work() { update && apt dist-upgrade; }
