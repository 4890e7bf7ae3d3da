# shellcheck shell=sh disable=SC2154 # state, name and text are assigned in front
umask 077
mkdir -p "$state" && cd "$state" && printf '%s\n' "$text" > ".$name.new" && sync_file ".$name.new" \
  && mv -f ".$name.new" "$name" && sync_file "$name"
