# shellcheck shell=sh disable=SC2154 # to, part, total, arrived, sha256 and mode are assigned in front
size=$(wc -c < "$part") && [ $((size)) -eq "$total" ] || { echo "$size of $total bytes could be written" >&2; exit 1; }
[ "$arrived" = "$sha256" ] || { rm -f "$part"; echo 'other bytes arrived than were sent' >&2; exit 1; }
chmod "$mode" "$part" && mv -f "$part" "$to"
