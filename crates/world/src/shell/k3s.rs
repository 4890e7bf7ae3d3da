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
        None if !install.artifact_sha256.is_empty() => {
            line(&pinned(install));
            format!("{PROGRAM_FOR_FETCHING}\nget_pinned || exit 1\nexport INSTALL_K3S_SKIP_DOWNLOAD=true")
        }
        Some(artifacts) => {
            line(&format!(
                "{PUT_IN_PLACE}\nif [ -e {HANDED}/binary ]; then\n\
                 put_in_place {HANDED}/binary || exit 1\n\
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
            format!("{mirror}{PROGRAM_FOR_FETCHING}")
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

/// Puts a binary where the install script would.
const PUT_IN_PLACE: &str = "\
put_in_place() {
mkdir -p -m 0755 /usr/local/bin
install -m 0755 \"$1\" /usr/local/bin/.k3s.new && mv -f /usr/local/bin/.k3s.new /usr/local/bin/k3s
}";

const PROGRAM_FOR_FETCHING: &str = "\
command -v curl >/dev/null || command -v wget >/dev/null || {
echo 'there is neither curl nor wget to fetch k3s with; with k3s_airgap: true the controller brings it' >&2
exit 1; }";

/// Defines `get_pinned`, which puts the binary in place as the install script would, but only if the SHA-256 of the release's
/// list of sums is one that the site states: the script trusts whatever list it finds next to the binary.
fn pinned(install: &K3sInstall) -> String {
    // Without an address nothing can be fetched.
    let url = install.artifact_url.as_deref().unwrap_or_default();
    let release = word(&format!("{url}/download/{}", install.version.as_str().replace('+', "%2B")));
    let sums = install.artifact_sha256.iter().map(|sum| word(&sum.to_string())).collect::<Vec<_>>().join(" | ");
    format!(
        "{PUT_IN_PLACE}\n\
         sum_of() {{ sha256sum < \"$1\" | cut -d ' ' -f 1; }}\n\
         get() {{\n\
         if command -v curl >/dev/null; then curl -sSfL -o \"$2\" \"$1\"; else wget -qO \"$2\" \"$1\"; fi \
         || {{ echo \"failed to fetch $1\" >&2; return 1; }}\n}}\n\
         get_pinned() {{\n\
         case $(uname -m) in\n\
         x86_64 | amd64) arch=amd64 file=k3s ;;\n\
         aarch64 | arm64) arch=arm64 file=k3s-arm64 ;;\n\
         *) echo \"with k3s_artifact_sha256, k3s is fetched for amd64 and arm64 only, not for $(uname -m)\" >&2; return 1 ;;\nesac\n\
         release={release} new={HANDED}/fetched\n\
         list=$release/sha256sum-$arch.txt\n\
         get \"$list\" $new.sums || return 1\n\
         got=$(sum_of $new.sums)\n\
         case $got in {sums}) ;;\n\
         *) echo \"the SHA-256 of $list is $got, which is not in k3s_artifact_sha256\" >&2; return 1 ;;\nesac\n\
         wanted=$(sed -n \"s/^\\([0-9a-f]*\\)  *$file\\$/\\1/p\" $new.sums)\n\
         [ -n \"$wanted\" ] || {{ echo \"$list does not list $file\" >&2; return 1; }}\n\
         get \"$release/$file\" $new || return 1\n\
         got=$(sum_of $new)\n\
         [ \"$got\" = \"$wanted\" ] || {{\n\
         echo \"the SHA-256 of $release/$file is $got, expected $wanted\" >&2; rm -f $new; return 1; }}\n\
         put_in_place $new\n}}"
    )
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::process::Command;

    use bringup_core::ids::Sha256;
    use bringup_core::secret::Secret;
    use bringup_core::version::Version;

    use super::*;

    /// A release on a mirror, and the directories of a node that fetches from it.
    struct Node {
        directory: tempfile::TempDir,
    }

    impl Node {
        fn new() -> Self {
            let node = Self { directory: tempfile::tempdir().unwrap() };
            for directory in ["mirror/download/v1.33.6%2Bk3s1", "handed", "path"] {
                fs::create_dir_all(node.at(directory)).unwrap();
            }
            // In place of curl: it is not everywhere, and here it is given just these arguments.
            let curl = "#!/bin/sh\n[ \"$1 $2\" = '-sSfL -o' ] && cp \"${4#http://mirror}\" \"$3\"\n";
            fs::write(node.at("path/curl"), curl).unwrap();
            fs::set_permissions(node.at("path/curl"), fs::Permissions::from_mode(0o755)).unwrap();
            node
        }

        fn at(&self, path: &str) -> PathBuf {
            self.directory.path().join(path)
        }

        fn publish(&self, file: &str, text: &str) {
            fs::write(self.at("mirror/download/v1.33.6%2Bk3s1").join(file), text).unwrap();
        }

        /// Has it fetch the binary by a list of sums that must have one of these; what it complains of.
        fn get_pinned(&self, sums: &[Sha256]) -> Result<(), String> {
            let install = K3sInstall {
                role: K3sRole::Agent,
                version: Version::parse("v1.33.6+k3s1").unwrap(),
                script: String::new(),
                artifact_url: Some(format!("http://mirror{}", self.at("mirror").display())),
                artifact_sha256: sums.to_vec(),
                handed: None,
                config: Secret::new(""),
                join: None,
                run: String::new(),
            };
            let script = pinned(&install)
                .replace("/usr/local/bin", self.at("bin").to_str().unwrap())
                .replace(HANDED, self.at("handed").to_str().unwrap());
            let path = format!("{}:{}", self.at("path").display(), std::env::var("PATH").unwrap());
            let script = format!("{script}\nget_pinned || exit 1");
            let output = Command::new("sh").args(["-c", &script]).env("PATH", path).output().unwrap();
            if output.status.success() { Ok(()) } else { Err(String::from_utf8(output.stderr).unwrap()) }
        }
    }

    #[test]
    fn a_binary_is_only_put_in_place_by_a_list_that_the_site_pins() {
        let node = Node::new();
        let (arch, file) = if cfg!(target_arch = "aarch64") { ("arm64", "k3s-arm64") } else { ("amd64", "k3s") };
        let sums = format!("sha256sum-{arch}.txt");
        let list = |binary: &str| format!("{}  k3s-other\n{}  {file}\n", "0".repeat(64), Sha256::of(binary));
        let (pinned, other) = (Sha256::of(list("real")), Sha256::of("other"));
        let refused = |sums: &[Sha256], words: &str| {
            let complaint = node.get_pinned(sums).unwrap_err();
            assert!(complaint.contains(words), "{complaint}");
            assert!(!node.at("bin/k3s").exists());
        };

        refused(&[pinned], "failed to fetch");
        node.publish(file, "real");
        node.publish(&sums, &list("real"));
        refused(&[other], "which is not in k3s_artifact_sha256");
        node.publish(file, "evil");
        refused(&[pinned], "expected");
        // Whoever replaces the binary replaces its list, too.
        node.publish(&sums, &list("evil"));
        refused(&[pinned], "which is not in k3s_artifact_sha256");
        node.publish(&sums, "");
        refused(&[Sha256::of("")], "does not list");

        node.publish(file, "real");
        node.publish(&sums, &list("real"));
        node.get_pinned(&[other, pinned]).unwrap();
        assert_eq!(fs::read_to_string(node.at("bin/k3s")).unwrap(), "real");
    }
}
