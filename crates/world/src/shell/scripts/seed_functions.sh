# shellcheck shell=sh disable=SC2154 # disk and work are assigned before they are called
# witness OFFSET LENGTH SHA256 WHAT: the disk must have these bytes.
witness() {
  got=$(dd if="$disk" bs=1 skip="$1" count="$2" 2>/dev/null | sha256sum)
  [ "${got%% *}" = "$3" ] || { echo "the $4 is not that of the image" >&2; exit 46; }
}
# put PATH TEXT: seen by nobody else before it is filled. `printf` is part of the shell, so the text shows in no process list.
put() {
  mkdir -p "${1%/*}" && rm -f "$1" && (umask 077; printf '%s' "$2" > "$1")
}
# seed_file PATH TEXT: vfat keeps nobody out, and chmod may fail there.
seed_file() { put "$work/seed/$1" "$2" || exit 1; }
# root_file PATH TEXT MODE
root_file() { put "$work/root/$1" "$2" && chmod "$3" "$work/root/$1" && chown 0:0 "$work/root/$1" || exit 1; }
