# shellcheck shell=sh disable=SC2046,SC2154 # ls gives words; to, sum and part are assigned in front
chmod 0644 "$part" && sync_file "$part" && mv -f "$part" "$to" || exit 1
set -- $(ls -ln "$to") && time=$(date -r "$to" +%s) \
  && printf '%s %s %s\n' "$sum" "$5" "$time" > "${to%/*}/.${to##*/}.sum"; :
