# shellcheck shell=sh disable=SC2046,SC2154 # ls gives words; path, sum, like and doubted are assigned in front
[ -f "$path" ] || exit 44
set -- $(ls -ln "$path") && size=$5 && time=$(date -r "$path" +%s) || exit 1
beside="${path%/*}/.${path##*/}.sum"
if [ "$like" != "$size $time" ] && [ "$doubted" = no ] && [ -r "$beside" ]; then read -r sum like < "$beside"; fi
if [ "$like" != "$size $time" ] || [ ${#sum} -ne 64 ]; then
  sum=$(sha256sum < "$path") || exit 1
  sum=${sum%% *}
fi
printf '%s\n%s 644 %s\n' "$sum" "$size" "$time"
