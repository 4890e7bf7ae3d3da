# shellcheck shell=sh disable=SC2154,SC2174 # assigned in front: role, unit, version, config_path, config, url, token_file, token, images, handed, ours, run; /usr/local is there
umask 077
units=/etc/systemd/system dir=/var/lib/bringup

if [ -d $dir/k3s-kept ]; then
  (cd $dir/k3s-kept && find . ! -type d ! -name '*.bringup-part') | while IFS= read -r file; do
    file=${file#.}
    [ -e "$file" ] || { (umask 022; mkdir -p "${file%/*}") && twin "$dir/k3s-kept$file" "$file"; } || exit 1
  done || exit 1
fi

if [ -n "$config" ]; then
  keep_text "$config_path" "$config" || exit 1
fi

# Only who joins has an address to join at.
if [ -n "$url" ]; then
  keep_text "$token_file" "$token" || exit 1
  # One that somebody else installed has its own way to the token. Newer scripts put values in quotes.
  env=$units/$unit.service.env
  if grep -qxE "K3S_TOKEN_FILE='?$token_file'?" "$env" 2>/dev/null \
    && ! grep -qxF -e "K3S_URL=$url" -e "K3S_URL='$url'" "$env"; then
    { grep -v '^K3S_URL=' "$env"; printf 'K3S_URL=%s\n' "$url"; } > "$env.new" && mv -f "$env.new" "$env" || exit 1
  fi
fi

if [ -e "$handed/binary" ] && [ "$(version "$handed/binary")" = "$version" ]; then
  mkdir -p -m 0755 /usr/local/bin && install -m 0755 "$handed/binary" /usr/local/bin/.k3s.new \
    && mv -f /usr/local/bin/.k3s.new /usr/local/bin/k3s || exit 1
fi
if [ -n "$images" ] && [ -e "$handed/images" ]; then
  mkdir -p /var/lib/rancher/k3s/agent/images && mv -f "$handed/images" "/var/lib/rancher/k3s/agent/images/$images" || exit 1
fi

[ "$(version)" = "$version" ] || { echo "what is installed is k3s $(version), not $version" >&2; exit 1; }
if [ ! -e "$units/$unit.service" ]; then (
  [ -z "$url" ] || export K3S_URL="$url" K3S_TOKEN_FILE="$token_file"
  unset K3S_TOKEN
  export INSTALL_K3S_VERSION="$version" INSTALL_K3S_SKIP_START=true INSTALL_K3S_SKIP_DOWNLOAD=true
  sh "$handed/install.sh" "$role" 2>&1
) || exit 1; fi
systemctl daemon-reload && systemctl --quiet enable "$unit" || exit 1
systemctl reset-failed "$unit" 2>/dev/null
systemctl restart --no-block "$unit" || exit 1

rm -rf $dir/k3s-kept $dir/k3s-before "$handed"
if [ "$ours" = yes ]; then : > $dir/k3s-ours; else rm -f $dir/k3s-ours; fi
printf '%s\n' "$run" > $dir/k3s-run.new && mv -f $dir/k3s-run.new $dir/k3s-run
