# shellcheck shell=sh disable=SC2154 # name and verb are assigned in front
# What ended again and again before counts as ended: another start has its own count, and its own reasons.
systemctl reset-failed -- "$name" 2>/dev/null
# The start of a k3s that does not get on comes back after minutes or never: it is ordered, and then watched.
systemctl --no-block "$verb" -- "$name"
