case $1 in
break)
    systemctl is-active --quiet testbed-apt-lock && exit 0
    # As apt does it: locks of fcntl. What it is called is what apt reports.
    cat > /run/unattended-upgr <<'HOLD'
#!/usr/bin/python3
import fcntl, time
names = ["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock"]
held = [open(name, "a") for name in names]
for file in held:
    fcntl.lockf(file, fcntl.LOCK_EX)
open("/run/testbed-apt-lock", "w").close()
time.sleep(60)
HOLD
    chmod 0755 /run/unattended-upgr
    rm -f /run/testbed-apt-lock
    systemd-run --quiet --collect --unit=testbed-apt-lock /run/unattended-upgr
    tries=0
    until [ -e /run/testbed-apt-lock ]; do
        tries=$((tries + 1)); [ $tries -lt 300 ] || { echo 'the locks are not free' >&2; exit 1; }
        sleep 0.1
    done
    ;;
fix) systemctl stop testbed-apt-lock 2>/dev/null || : ;;
esac
