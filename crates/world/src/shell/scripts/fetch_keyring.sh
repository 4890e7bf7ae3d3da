# shellcheck shell=sh disable=SC2154 # url, sum and path are assigned in front; sum may be empty
new=$(mktemp "$path.XXXXXX") && rm -f "$new" \
  && /usr/lib/apt/apt-helper -q download-file "$url" "$new" ${sum:+"SHA256:$sum"} || { rm -f "$new.FAILED"; exit 1; }
if grep -q '^-----BEGIN PGP PUBLIC KEY BLOCK-----' "$new"; then
  tr -d '\r' < "$new" | sed -n '/^-----BEGIN/,/^-----END/p' | sed -e '1,/^$/d' -e '/^=/d' -e '/^-----END/d' \
    | base64 -d > "$new.bin" && [ -s "$new.bin" ] && mv "$new.bin" "$new" || { rm -f "$new" "$new.bin"; exit 1; }
fi
# A public key begins with a packet of kind 6 (RFC 9580, 4.2); a web page does not.
case $(od -A n -t x1 -N 1 "$new") in
  *98 | *99 | *9a | *c6) ;;
  *) rm -f "$new"; echo 'what came is no OpenPGP key' >&2; exit 1 ;;
esac
chmod 0644 "$new" && mv -f "$new" "$path"
