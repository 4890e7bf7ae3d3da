# shellcheck shell=sh
umask 077; mkdir -p /var/lib/bringup/k3s && chmod 0700 /var/lib/bringup /var/lib/bringup/k3s || exit 1
