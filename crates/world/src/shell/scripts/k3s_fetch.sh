# shellcheck shell=sh disable=SC2154 # release, sums and handed are assigned in front; sums are words in one line, or none
command -v curl >/dev/null || command -v wget >/dev/null || {
  echo 'there is neither curl nor wget to fetch k3s with; with k3s_airgap: true the controller brings it' >&2
  exit 1
}
sum_of() { sha256sum < "$1" | cut -d ' ' -f 1; }
get() {
  if command -v curl >/dev/null; then
    curl -sSfL --connect-timeout 30 --speed-limit 1 --speed-time 60 -o "$2" "$1"
  else
    wget -q -t 1 -T 60 -O "$2" "$1"
  fi || { echo "failed to fetch $1" >&2; return 1; }
}
case $(uname -m) in
  x86_64 | amd64) arch=amd64 file=k3s ;;
  aarch64 | arm64) arch=arm64 file=k3s-arm64 ;;
  *) echo "k3s is fetched for amd64 and arm64 only, not for $(uname -m)" >&2; exit 1 ;;
esac
new=$handed/fetched
list=$release/sha256sum-$arch.txt
get "$list" "$new.sums" || exit 1
got=$(sum_of "$new.sums")
[ -z "$sums" ] || case " $sums " in
  *" $got "*) ;;
  *) echo "the SHA-256 of $list is $got, which is not in k3s_artifact_sha256" >&2; exit 1 ;;
esac
wanted=$(sed -n "s/^\([0-9a-f]*\)  *$file\$/\1/p" "$new.sums")
[ -n "$wanted" ] || { echo "$list does not list $file" >&2; exit 1; }
[ ! -e "$handed/binary" ] || [ "$(sum_of "$handed/binary")" != "$wanted" ] || exit 0
get "$release/$file" "$new" || exit 1
got=$(sum_of "$new")
[ "$got" = "$wanted" ] || {
  echo "the SHA-256 of $release/$file is $got, expected $wanted" >&2
  rm -f "$new"; exit 1
}
chmod 0755 "$new" && mv -f "$new" "$handed/binary"
