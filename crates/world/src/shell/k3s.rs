//! k3s on a node: what it is, and bringing it there and away.
//!
//! Our own directory holds `k3s-run` (which run installed it last; written when all is done), `k3s-before` (the release
//! that our last uninstallation took away), `k3s-kept/` (the user's files that it would have taken along), `k3s-unit/`
//! (unit and environment while the install script rewrites them) and `k3s/` (what was handed over).

use bringup_core::deed::{K3sInstall, KeptFiles};
use bringup_core::k3s_config;
use bringup_core::probe::K3sRole;

use super::questions::NONE;
use super::quote::word;

/// Directory on a node for what is handed over.
pub(crate) const HANDED: &str = "/var/lib/bringup/k3s";

/// Makes it.
pub(crate) const MAKE_HANDED: &str =
    "umask 077; mkdir -p /var/lib/bringup/k3s && chmod 0700 /var/lib/bringup /var/lib/bringup/k3s";

/// The agent's token; k3s takes its path from its environment.
const TOKEN: &str = "/etc/rancher/k3s/bringup-token";

/// Role and unit, or the end.
const ROLE: &str = "\
if [ -e /etc/systemd/system/k3s.service ]; then role=server unit=k3s
elif [ -e /etc/systemd/system/k3s-agent.service ]; then role=agent unit=k3s-agent
else exit 44; fi";

/// `k3s version v1.33.6+k3s1 (b5847677)`.
const VERSION: &str = "\
version() { /usr/local/bin/k3s --version 2>/dev/null | { read -r name word version rest; echo \"$version\"; }; }";

/// Role, release, our run, how its unit is, then the times that tell whether what runs is older than what it reads:
/// now, since boot, its start since boot, its configuration, its binary.
pub(super) fn state() -> String {
    format!(
        "{ROLE}\n{VERSION}\necho $role; version\n\
         if [ -e /var/lib/bringup/k3s-run ]; then head -n 1 /var/lib/bringup/k3s-run; else echo; fi\n\
         date +%s; read -r up rest < /proc/uptime; echo \"$up\"\n\
         for file in {} /usr/local/bin/k3s; do stat -L -c %Y \"$file\" 2>/dev/null || echo 0; done\n\
         systemctl show --property=ActiveState,SubState,ExecMainStartTimestampMonotonic $unit",
        k3s_config::PATH
    )
}

/// The configuration's text with a point behind it, which keeps its last newline.
pub(super) fn config() -> String {
    format!(
        "for file in {0} /var/lib/bringup/k3s-kept{0}; do\n\
         if [ -e \"$file\" ]; then cat \"$file\" && printf .; exit; fi\ndone\nexit {NONE}",
        k3s_config::PATH
    )
}

/// k3s tries again every few seconds: what it said longer ago is over. From 1.24 on it says at the level of news what
/// keeps it from joining.
pub(super) fn trouble() -> String {
    format!(
        "{ROLE}\nline=$(journalctl -u $unit --since -5min -n 1000 -o cat --no-pager 2>/dev/null \
         | grep -E 'level=(error|fatal)|msg=\"Waiting to retrieve agent configuration' | tail -n 1)\n[ -n \"$line\" ] || exit {NONE}\nprintf '%s\\n' \"$line\""
    )
}

/// bash opens the connection: it is on every Debian and Ubuntu, when neither curl nor wget is.
pub(super) fn reaches(host: &str, port: u16) -> String {
    format!(
        "command -v bash >/dev/null || {{ echo 'there is no bash to try it with' >&2; exit 1; }}\n\
         timeout 5 bash -c 'exec 3<>\"/dev/tcp/$0/$1\"' {} {port} 2>/dev/null || exit {NONE}",
        word(host)
    )
}

/// The release that was uninstalled, where none is installed now.
pub(super) fn before() -> String {
    format!(
        "[ ! -e /etc/systemd/system/k3s.service ] && [ ! -e /etc/systemd/system/k3s-agent.service ] \
         && [ -s /var/lib/bringup/k3s-before ] || exit {NONE}\nhead -n 1 /var/lib/bringup/k3s-before"
    )
}

/// `node-token` is for agents, and a link to the server's own where there is no other.
pub(super) fn token() -> String {
    format!(
        "for file in node-token token; do\nfile=/var/lib/rancher/k3s/server/$file\n\
         if [ -s \"$file\" ]; then cat \"$file\"; exit; fi\ndone\nexit {NONE}"
    )
}

/// The token that an agent of ours joins with.
pub(super) fn agent_token() -> String {
    format!("[ -s {TOKEN} ] || exit {NONE}\ncat {TOKEN}")
}

/// What the kernel lacks, a line each. What k3s runs on has all it needs. Where nobody can tell, nothing is said: a
/// container has no modules of its own.
pub(super) const MISSING_FEATURES: &str = "\
systemctl is-active --quiet k3s || systemctl is-active --quiet k3s-agent && exit 0
groups=/sys/fs/cgroup/cgroup.controllers
for name in memory cpuset cpu pids; do
if [ -r $groups ]; then case \" $(cat $groups) \" in *\" $name \"*) continue;; esac
else
found=no
while read -r group rest; do [ \"$group\" = $name ] && [ \"${rest##* }\" != 0 ] && [ \"${rest##*\t}\" != 0 ] && found=yes
done < /proc/cgroups
[ $found = yes ] && continue
fi
echo \"the cgroup $name\"
done
[ -d \"/lib/modules/$(uname -r)\" ] && command -v modprobe >/dev/null || exit 0
backend=$(sed -n 's/^flannel-backend: *[\"'\\'']*\\([a-z-]*\\).*/\\1/p' /etc/rancher/k3s/config.yaml 2>/dev/null)
for module in overlay vxlan; do
[ $module != vxlan ] || [ -z \"$backend\" ] || [ \"$backend\" = vxlan ] || continue
[ -d /sys/module/$module ] || modprobe -n -q $module || echo \"the module $module\"
done";

/// Writes a file that only root reads, unless it holds that already: what k3s reads is not to be newer for nothing.
const KEEP_TEXT: &str = "\
keep_text() {
if [ -e \"$1\" ] && printf '%s' \"$2\" | cmp -s - \"$1\"; then chmod 0600 \"$1\"; return; fi
(umask 022; mkdir -p \"${1%/*}\") && new=$(mktemp \"$1.XXXXXX\") && printf '%s' \"$2\" > \"$new\" && sync -d \"$new\" \\
&& mv -f \"$new\" \"$1\"
}";

/// Installs it, or brings what is installed to another release or configuration; its start is ordered and not waited
/// for, because a server's may never come back.
///
/// Of what is installed the unit and its environment stay as they are, with whatever flags somebody gave: only the
/// binary is another one then. Everything can be done twice.
pub(super) fn install(install: &K3sInstall) -> String {
    let (role, unit) = (install.role.word(), install.role.unit());
    let mut script = format!(
        "umask 077\nunit={unit} version={version}\n{VERSION}\n{KEEP_TEXT}\n\
         units=/etc/systemd/system dir=/var/lib/bringup\n\
         if [ -e $dir/k3s-unit/complete ]; then\n\
         cp -p $dir/k3s-unit/$unit.service* $units/ && rm -rf $dir/k3s-unit || exit 1\nfi\n\
         if [ -d $dir/k3s-kept ]; then\n\
         (cd $dir/k3s-kept && find . -type f) | while read -r file; do\nfile=${{file#.}}\n\
         [ -e \"$file\" ] || {{ mkdir -p \"${{file%/*}}\" && cp -p \"$dir/k3s-kept$file\" \"$file\"; }} || exit 1\ndone || exit 1\nfi\n",
        version = word(install.version.as_str()),
    );
    let mut line = |text: &str| {
        script.push_str(text);
        script.push('\n');
    };
    if !install.config.expose().is_empty() {
        line(&format!("keep_text {} {} || exit 1", k3s_config::PATH, word(install.config.expose())));
    }
    let mut environment = String::new();
    if let Some(join) = &install.join {
        line(&format!("keep_text {TOKEN} {} || exit 1", word(join.token.expose())));
        environment = format!("export K3S_URL={} K3S_TOKEN_FILE={TOKEN}\n", word(&join.server));
        // One that somebody else installed has its own way to the token. Newer scripts put values in quotes.
        line(&format!(
            "env=$units/$unit.service.env url={}\n\
             if grep -qxE \"K3S_TOKEN_FILE='?{TOKEN}'?\" \"$env\" 2>/dev/null \
             && ! grep -qxF -e \"K3S_URL=$url\" -e \"K3S_URL='$url'\" \"$env\"; then\n\
             {{ grep -v '^K3S_URL=' \"$env\"; printf 'K3S_URL=%s\\n' \"$url\"; }} > \"$env.new\" && mv -f \"$env.new\" \"$env\" \
             || exit 1\nfi",
            word(&join.server)
        ));
    }
    let get = match &install.handed {
        Some(artifacts) => {
            line(&format!(
                "if [ -e {HANDED}/binary ]; then\n\
                 mkdir -p -m 0755 /usr/local/bin; install -m 0755 {HANDED}/binary /usr/local/bin/.k3s.new \
                 && mv -f /usr/local/bin/.k3s.new /usr/local/bin/k3s || exit 1\n\
                 mkdir -p /var/lib/rancher/k3s/agent/images && mv -f {HANDED}/images /var/lib/rancher/k3s/agent/images/{} \
                 || exit 1\nfi",
                word(&artifacts.images_name)
            ));
            "export INSTALL_K3S_SKIP_DOWNLOAD=true".to_owned()
        }
        None => {
            let mirror = install.artifact_url.as_deref().map(word).map_or(String::new(), |url| {
                // Older scripts know the first, newer ones the second.
                format!("export GITHUB_URL={url} INSTALL_K3S_ARTIFACT_URL={url}\n")
            });
            format!(
                "{mirror}command -v curl >/dev/null || command -v wget >/dev/null || {{\n\
                 echo 'there is neither curl nor wget to fetch k3s with; with k3s_airgap: true the controller brings it' >&2\n\
                 exit 1; }}"
            )
        }
    };
    line(&format!(
        "run_script() {{\nunset K3S_TOKEN\nexport INSTALL_K3S_VERSION=\"$version\" INSTALL_K3S_SKIP_START=true\n\
         {get}\nsh {HANDED}/install.sh {role} 2>&1\n}}"
    ));
    let run = word(&install.run);
    line(&format!(
        "if [ ! -e $units/$unit.service ]; then\n({environment}run_script) || exit 1\n\
         elif [ \"$(version)\" != \"$version\" ]; then\n\
         rm -rf $dir/k3s-unit && mkdir $dir/k3s-unit && cp -p $units/$unit.service* $dir/k3s-unit/ \
         && : > $dir/k3s-unit/complete || exit 1\n\
         (export INSTALL_K3S_SKIP_ENABLE=true; run_script); status=$?\n\
         cp -p $dir/k3s-unit/$unit.service* $units/ && rm -rf $dir/k3s-unit || exit 1\n\
         [ $status -eq 0 ] || exit 1\nfi\n\
         [ \"$(version)\" = \"$version\" ] || {{ echo \"what is installed is k3s $(version), not $version\" >&2; exit 1; }}\n\
         systemctl daemon-reload && systemctl --quiet enable $unit && systemctl restart --no-block $unit || exit 1\n\
         rm -rf $dir/k3s-kept $dir/k3s-before {HANDED}\n\
         printf '%s\\n' {run} > $dir/k3s-run.new && mv -f $dir/k3s-run.new $dir/k3s-run"
    ));
    script.pop();
    script
}

/// Uninstalls it by its own script, after what is the user's was put aside. What pods have mounted would be deleted with
/// the directories that it is mounted in, so nothing may be.
pub(super) fn uninstall(role: K3sRole, keep: &KeptFiles) -> String {
    let (unit, files) = (role.unit(), keep.0.iter().map(|path| word(path)).collect::<Vec<_>>().join(" "));
    format!(
        "umask 077\nunit={unit} dir=/var/lib/bringup\n{VERSION}\n\
         script=/usr/local/bin/$unit-uninstall.sh\n\
         if [ ! -e $script ]; then\n[ ! -e /etc/systemd/system/$unit.service ] && exit 0\n\
         echo \"$script is not there, which takes k3s away\" >&2; exit 1\nfi\n\
         mkdir -p $dir && chmod 0700 $dir || exit 1\n\
         for file in {files}; do\n[ -e \"$file\" ] || continue\n\
         mkdir -p \"$dir/k3s-kept${{file%/*}}\" && cp -p \"$file\" \"$dir/k3s-kept$file\" || exit 1\ndone\n\
         version > $dir/k3s-before.new && mv -f $dir/k3s-before.new $dir/k3s-before && rm -f $dir/k3s-run || exit 1\n\
         systemctl stop $unit\n\
         [ ! -x /usr/local/bin/k3s-killall.sh ] || /usr/local/bin/k3s-killall.sh >/dev/null 2>&1\n\
         while read -r what at rest; do\ncase $at in /var/lib/kubelet/pods/*|/run/k3s/*)\n\
         echo \"$at is still mounted: uninstalling would delete what is in it\" >&2; exit 1;; esac\n\
         done < /proc/self/mounts || exit 1\n\
         $script 2>&1 || exit 1\n\
         [ ! -e /etc/systemd/system/$unit.service ] || {{ echo \"its script left $unit.service\" >&2; exit 1; }}"
    )
}

/// Takes an etcd snapshot, and says where it is and its SHA-256. Newer releases want the word `save`.
pub(crate) fn snapshot(name: &str) -> String {
    let name = word(name);
    format!(
        "cd /var/lib/rancher/k3s/server/db 2>/dev/null || {{ echo 'there is no datastore of k3s' >&2; exit 1; }}\n\
         [ -d etcd ] || {{ echo 'its datastore is not etcd: there is no snapshot to be had' >&2; exit 1; }}\n\
         k3s=/usr/local/bin/k3s; said=$($k3s etcd-snapshot save --name {name} 2>&1) || said=$($k3s etcd-snapshot --name {name} 2>&1) \
         || {{ printf '%s\\n' \"$said\" >&2; exit 1; }}\n\
         for file in snapshots/{name}-*; do [ -f \"$file\" ] && newest=$file; done\n\
         [ -n \"$newest\" ] || {{ printf '%s\\n' \"$said\" 'and no snapshot is there' >&2; exit 1; }}\n\
         echo \"$PWD/$newest\"; sha256sum < \"$newest\" | cut -d ' ' -f 1"
    )
}

/// A file's bytes.
pub(crate) fn bytes_of(path: &str) -> String {
    format!("cat {}", word(path))
}

/// Copies a file that is on the controller itself.
pub(crate) fn copy(from: &str, to: &str, mode: u32) -> String {
    format!(
        "cp {} {new} && chmod {mode:04o} {new} && mv -f {new} {}",
        word(from),
        word(to),
        new = word(&format!("{to}.new"))
    )
}

/// Copies a file that is on the controller itself, for a user who is not root.
pub(crate) fn give(from: &str, to: &str, owner: (u32, u32)) -> String {
    format!("install -m 0600 -o {} -g {} {} {}", owner.0, owner.1, word(from), word(to))
}
