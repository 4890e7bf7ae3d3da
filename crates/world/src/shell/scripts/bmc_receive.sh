# shellcheck shell=sh disable=SC2154 # part and anew are assigned in front
if [ "$anew" = yes ]; then : > "$part" || exit 1; fi
# An empty line for each piece that was written; the far end of the pipe goes on in the file from where it was. A
# failure of dd, a full card most of all, must not be hidden by that end.
{
  had=; now=$(size "$part")
  while [ "$now" != "$had" ]; do
    said=$(dd bs=64k count=128 2>&1 >>"$part") || { printf '%s\n' "$said" | head -n 1 >&2; echo failed >&2; break; }
    echo; had=$now; now=$(size "$part")
  done
} | { while read -r _; do cat <&4; done; } 4<"$part" | sha256sum
