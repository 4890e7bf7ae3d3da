# shellcheck shell=sh
if [ -e /run/cloud-init/result.json ]; then cat /run/cloud-init/result.json
elif [ -e /run/cloud-init/disabled ] || [ ! -e /run/cloud-init/enabled ]; then exit 44
else echo running; fi
