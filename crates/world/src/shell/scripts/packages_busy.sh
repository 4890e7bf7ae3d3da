# shellcheck shell=sh
for lock in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock; do
inode=$(stat -c %i "$lock" 2>/dev/null) || continue
grep -q "POSIX .* WRITE .*:$inode " /proc/locks && exit 0
done
exit 44
