# shellcheck shell=sh disable=SC2154 # name is assigned in front
umask 077
cd /var/lib/rancher/k3s/server/db 2>/dev/null || { echo 'there is no datastore of k3s' >&2; exit 1; }
if [ -d etcd ]; then
  # Newer releases want the word `save`.
  k3s=/usr/local/bin/k3s
  said=$($k3s etcd-snapshot save --name "$name" 2>&1) || said=$($k3s etcd-snapshot --name "$name" 2>&1) \
    || { printf '%s\n' "$said" >&2; exit 1; }
elif [ -e state.db ]; then
  mkdir -p snapshots && systemctl stop k3s || exit 1
  said=$(tar -cf "snapshots/$name-sqlite.tar" state.db* 2>&1); status=$?
  systemctl start --no-block k3s
  [ $status -eq 0 ] || { printf '%s\n' "$said" >&2; exit 1; }
else
  echo 'its datastore is neither etcd nor SQLite on this machine: take a backup there, then uninstall k3s by hand' >&2
  exit 1
fi
for file in "snapshots/$name"-*; do [ -f "$file" ] && newest=$file; done
[ -n "$newest" ] || { printf '%s\n' "$said" 'and no snapshot is there' >&2; exit 1; }
echo "$PWD/$newest"; sha256sum < "$newest" | cut -d ' ' -f 1
