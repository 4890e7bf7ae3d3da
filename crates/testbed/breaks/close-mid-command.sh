config=/etc/ssh/sshd_config.d/testbed-close.conf
dies=/usr/local/lib/testbed-dies
case $1 in
break)
    # The session's own sshd is the parent of the shell that runs the forced command.
    cat > $dies <<'DIES'
#!/bin/sh
sh -c "${SSH_ORIGINAL_COMMAND:-exec ${SHELL:-/bin/sh}}" | head -c 48
kill -KILL $PPID
DIES
    chmod 0755 $dies
    echo "ForceCommand exec $dies" > $config
    systemctl reset-failed ssh.service 2>/dev/null || :
    systemctl restart ssh.service
    ;;
fix)
    rm -f $config $dies
    systemctl reset-failed ssh.service 2>/dev/null || :
    systemctl restart ssh.service
    ;;
esac
