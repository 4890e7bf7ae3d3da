#!/bin/sh
# Installs the testbed's stand-in for k3s as a service of systemd: with the variables, files, words and exit statuses of
# the real script, as they were recorded, and none of its code. What its words are not recorded for is said in our own.
set -e

DEFAULT_VERSION='@VERSION@'
# `today`, or `2025` for what scripts before February 2026 do otherwise.
GENERATION='@GENERATION@'

info() {
    echo "[INFO]  $*"
}

warn() {
    echo "[WARN]  $*" >&2
}

fail() {
    echo "[ERROR]  $*" >&2
    exit 1
}

# INSTALL_K3S_EXEC is words as a shell reads them, as far as quotes go; the script's own arguments come after them.
if [ -n "$INSTALL_K3S_EXEC" ]; then
    words=$(printf '%s' "$INSTALL_K3S_EXEC" | sed 's/[][!#$%&()*;<=>?\\_`{|}]/\\&/g')
    eval "set -- $words \"\$@\""
fi

[ "$(id -u)" -eq 0 ] || fail 'k3s is installed by root'
command -v systemctl >/dev/null || fail 'there is no systemd to run k3s'
case $K3S_URL in
    '' | https://*) ;;
    *) fail "Only https:// URLs are supported for K3S_URL (have $K3S_URL)" ;;
esac

case $1 in
    '' | -*)
        role=server
        if [ -n "$K3S_URL" ]; then
            [ -n "$K3S_TOKEN$K3S_TOKEN_FILE" ] ||
                fail "Defaulted k3s exec command to 'agent' because K3S_URL is defined, but K3S_TOKEN or K3S_TOKEN_FILE is not defined."
            role=agent
        fi
        ;;
    *)
        role=$1
        shift
        ;;
esac
name=k3s-$role
[ "$role" != server ] || name=k3s
[ -z "$INSTALL_K3S_NAME" ] || name=k3s-$INSTALL_K3S_NAME
case $name in
    *[!A-Za-z0-9.:@-]*) fail "no unit can be called $name" ;;
esac
bin=${INSTALL_K3S_BIN_DIR:-/usr/local/bin}
units=${INSTALL_K3S_SYSTEMD_DIR:-/etc/systemd/system}
unit=$units/$name.service
killall=${KILLALL_K3S_SH:-$bin/k3s-killall.sh}
uninstall=$bin/$name-uninstall.sh
if [ "$GENERATION" = today ]; then
    [ -z "$GITHUB_URL" ] || warn "GITHUB_URL does not work anymore. Please use 'INSTALL_K3S_ARTIFACT_URL' instead."
    downloads=${INSTALL_K3S_ARTIFACT_URL:-https://github.com/k3s-io/k3s/releases/download}
else
    downloads=${GITHUB_URL:-https://github.com/k3s-io/k3s/releases}/download
fi

installed() {
    sha256sum "$bin/k3s" "$unit" "$unit.env" 2>&1 || :
}

fetch() {
    if command -v curl >/dev/null; then
        curl -sfL -o "$2" "$1" || fail "Download failed"
    elif command -v wget >/dev/null; then
        wget -qO "$2" "$1" || fail "Download failed"
    else
        fail 'there is neither curl nor wget to fetch k3s with'
    fi
}

# The release that a channel leads to: the last word of where its address ends. The status is not looked at, so a channel
# that cannot be asked is taken for a release of that name.
resolved() {
    end=$(curl -w '%{url_effective}' -L -s -S -o /dev/null "$1") || :
    echo "${end##*/}"
}

sum_of() {
    sum=$(sha256sum "$1")
    echo "${sum%% *}"
}

download() {
    case $(uname -m) in
        x86_64 | amd64) arch=amd64 file=k3s ;;
        aarch64 | arm64) arch=arm64 file=k3s-arm64 ;;
        *) fail "k3s is not made for $(uname -m)" ;;
    esac
    version=$INSTALL_K3S_VERSION
    if [ -z "$version" ]; then
        channel=${INSTALL_K3S_CHANNEL:-stable}
        info "Finding release for channel $channel"
        version=$DEFAULT_VERSION
        [ -z "$INSTALL_K3S_CHANNEL_URL" ] || version=$(resolved "$INSTALL_K3S_CHANNEL_URL/$channel")
    fi
    info "Using $version as release"
    temporary=$(mktemp -d)
    trap 'rm -rf "$temporary"' EXIT
    release=$downloads/$version
    [ "$GENERATION" != today ] || release=$downloads/$(echo "$version" | sed 's/+/%2B/g')
    info "Downloading hash $release/sha256sum-$arch.txt"
    fetch "$release/sha256sum-$arch.txt" "$temporary/sums"
    wanted=$(sed -n "s/^\([0-9a-f]*\)  *$file\$/\1/p" "$temporary/sums")
    # The real one ends here without a word.
    [ -n "$wanted" ] || exit 1
    if [ -x "$bin/k3s" ] && [ "$(sum_of "$bin/k3s")" = "$wanted" ]; then
        info 'Skipping binary downloaded, installed k3s matches hash'
        return
    fi
    info "Downloading binary $release/$file"
    fetch "$release/$file" "$temporary/k3s"
    info 'Verifying binary download'
    got=$(sum_of "$temporary/k3s")
    [ "$got" = "$wanted" ] || fail "Download sha256 does not match $wanted, got $got"
    info "Installing k3s to $bin/k3s"
    install -m 0755 "$temporary/k3s" "$bin/.k3s.new"
    mv -f "$bin/.k3s.new" "$bin/k3s"
}

links() {
    for link in kubectl crictl ctr; do
        other=$(command -v $link || :)
        if [ "$INSTALL_K3S_SYMLINK" != force ] && [ -e "$bin/$link" ]; then
            info "Skipping $bin/$link symlink to k3s, already exists"
        elif [ "$INSTALL_K3S_SYMLINK" != force ] && [ -n "$other" ]; then
            info "Skipping $bin/$link symlink to k3s, command exists in PATH at $other"
        else
            info "Creating $bin/$link symlink to k3s"
            ln -sfn k3s "$bin/$link"
        fi
    done
}

write_killall() {
    info "Creating killall script $killall"
    cat > "$killall" <<'END_OF_KILLALL'
@KILLALL@
END_OF_KILLALL
    chmod 0755 "$killall"
}

write_uninstall() {
    info "Creating uninstall script $uninstall"
    {
        printf '#!/bin/sh\nname=%s bin=%s units=%s\n' "$name" "$bin" "$units"
        cat <<'END_OF_UNINSTALL'
@UNINSTALL@
END_OF_UNINSTALL
    } > "$uninstall"
    chmod 0755 "$uninstall"
}

# Old scripts left values bare; newer ones have them in quotes, as a shell prints them.
write_environment() {
    info "env: Creating environment file $unit.env"
    : > "$unit.env"
    chmod 0600 "$unit.env"
    print=export
    [ -z "$old" ] || print='env | sort'
    ours='K3S|CONTAINERD'
    [ "$GENERATION" != today ] || ours="$ours|KINE"
    sh -c "$print" | sed -n -E "s/^(export|declare -x) //; /^($ours)_/p" > "$unit.env"
    sh -c "$print" | sed -n -E 's/^(export|declare -x) //; /^(NO|HTTPS?)_PROXY/Ip' >> "$unit.env"
}

quoted() {
    printf '%s' "$1" | sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/'/"
}

write_unit() {
    info "systemd: Creating service file $unit"
    {
        cat <<END
[Unit]
Description=Lightweight Kubernetes
Documentation=https://k3s.io
Wants=network-online.target
After=network-online.target

[Install]
WantedBy=multi-user.target

[Service]
Type=$type
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
EnvironmentFile=-$unit.env
KillMode=process
Delegate=yes
User=root
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
END
        printf 'ExecStart=%s/k3s \\\n    %s \\\n' "$bin" "$role"
        for word in "$@"; do
            printf '\t%s \\\n' "$(quoted "$word")"
        done
        echo
    } > "$unit"
}

before=$(installed)
case $INSTALL_K3S_BIN_DIR_READ_ONLY:$INSTALL_K3S_SKIP_DOWNLOAD in
    true:* | *:true | *:binary)
        info 'Skipping k3s download and verify'
        [ -x "$bin/k3s" ] || fail "Executable k3s binary not found at $bin/k3s"
        ;;
    *)
        mkdir -p "$bin"
        download
        ;;
esac
# What was recorded is of release 1.21, and its script is played for those below 1.24. There a server says when it serves,
# and an agent counts as started at once, whatever becomes of it; later ones both say so.
release=$("$bin/k3s" --version | sed -n 's/^k3s version v1\.\([0-9]*\)\..*/\1/p')
old=
[ "${release:-99}" -ge 24 ] || old=yes
type=notify
[ -z "$old" ] || [ "$role" = server ] || type=exec
type=${INSTALL_K3S_TYPE:-$type}
info 'Skipping installation of SELinux RPM'
if [ "$INSTALL_K3S_BIN_DIR_READ_ONLY" != true ]; then
    [ "$INSTALL_K3S_SYMLINK" = skip ] || links
    write_killall
    write_uninstall
fi
# The unit goes and comes back each time, which is why it is enabled each time.
systemctl disable "$name" >/dev/null 2>&1 || :
rm -f "$unit" "$unit.env"
write_environment
write_unit "$@"

[ "$INSTALL_K3S_SKIP_ENABLE" != true ] || exit 0
info "systemd: Enabling $name unit"
systemctl enable "$unit" >/dev/null
systemctl daemon-reload >/dev/null
[ "$INSTALL_K3S_SKIP_START" != true ] || exit 0
if [ "$before" = "$(installed)" ] && [ "$INSTALL_K3S_FORCE_RESTART" != true ]; then
    info 'No change detected so skipping service start'
    exit 0
fi
info "systemd: Starting $name"
systemctl restart "$name"
