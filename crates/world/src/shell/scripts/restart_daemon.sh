# shellcheck shell=sh
[ ! -r /root/.bringup/tpi/pid ] || { read -r pid < /root/.bringup/tpi/pid; kill "$pid" 2>/dev/null; }
/etc/init.d/S94bmcd restart < /dev/null > /dev/null 2>&1
