# shellcheck shell=sh disable=SC2154 # path, text and mode are assigned in front
umask 077
[ -d "${path%/*}" ] || (umask 022; mkdir -p "${path%/*}") || exit 1
# Seen by nobody else until it is whole. `printf` is part of the shell, so the text shows in no process list.
new=$(mktemp "$path.XXXXXX") && printf '%s' "$text" > "$new" && chmod "$mode" "$new" && sync -d "$new" \
  && mv -f "$new" "$path" && exit 0
rm -f "$new"; no_room "${path%/*}"; exit 1
