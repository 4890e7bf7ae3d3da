# shellcheck shell=sh disable=SC2174
dpkg-query -W -f='${db:Status-Abbrev}\n' | grep -c -v -e '^[a-z][inc] ' || :
key=$( { stat -c '%n %s %Y %Z' /var/lib/dpkg/status /var/lib/apt/extended_states /var/lib/apt/lists /var/lib/apt/lists/partial /etc/apt/* /etc/apt/*.d/*; date +%j; } 2>/dev/null | sha256sum) || exit 1
key=${key%% *}
kept=/run/bringup/apt-$key
if [ ! -r "$kept" ]; then
said=$(apt-get -s -q -o Debug::NoLocking=true --auto-remove dist-upgrade) || exit 1
mkdir -p -m 0755 /run/bringup && rm -f /run/bringup/apt-* && printf '%s\n' "$said" | grep -e '^Inst ' -e '^Remv ' > "$kept.new"; mv "$kept.new" "$kept" || exit 1
fi
grep -c '^Inst ' "$kept" || :
grep -c '^Remv ' "$kept" || :
newest=0
for file in /var/lib/apt/lists /var/lib/apt/lists/partial /var/lib/apt/periodic/update-success-stamp; do
time=$(stat -c %Y "$file" 2>/dev/null) && [ "$time" -gt "$newest" ] && newest=$time
done
for file in /var/lib/apt/lists/*_Packages*; do [ -e "$file" ] || newest=0; break; done
age=$(( $(date +%s) - newest )); [ $age -ge 0 ] || age=0; echo $age
