# shellcheck shell=sh
number=$(findmnt -n -o MAJ:MIN /) || exit 1
name=$(readlink -f "/sys/dev/block/${number# }") && [ -n "$name" ] && [ -d "$name" ] && echo "/dev/${name##*/}" || findmnt -n -o SOURCE /
