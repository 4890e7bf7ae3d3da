# shellcheck shell=sh disable=SC2154 # config is assigned in front
for file in "$config" "/var/lib/bringup/k3s-kept$config"; do
if [ -e "$file" ]; then cat "$file" && printf .; exit; fi
done
exit 44
