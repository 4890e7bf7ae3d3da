# shellcheck shell=sh
for file in node-token token; do
file=/var/lib/rancher/k3s/server/$file
if [ -s "$file" ]; then cat "$file"; exit; fi
done
exit 44
