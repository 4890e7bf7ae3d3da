# For all that runs in sessions, with sudo or without: a container cannot have a clock of its own. Services keep the
# machine's clock.
config=/etc/ssh/sshd_config.d/testbed-clock.conf
rule=/etc/sudoers.d/zz-testbed-clock
variables=/etc/testbed-clock
case $1 in
break)
    for library in /usr/lib/*/faketime/libfaketime.so.1; do :; done
    printf 'LD_PRELOAD=%s\nFAKETIME=+1h\nFAKETIME_DONT_FAKE_MONOTONIC=1\n' $library > $variables
    echo "SetEnv $(tr '\n' ' ' < $variables)" > $config
    echo "Defaults env_file=$variables" > $rule
    chmod 0440 $rule
    ;;
fix) rm -f $config $rule $variables ;;
esac
systemctl reset-failed ssh.service 2>/dev/null || :
systemctl restart ssh.service
