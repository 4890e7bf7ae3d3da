//! k3s on a node: what it is, and bringing it there and away.
//!
//! Our own directory holds `k3s-run` (which run installed it last; written when all is done), `k3s-ours` (its
//! configuration is ours), `k3s-before` (the release that our last uninstallation took away), `k3s-kept/` (the user's files
//! that it would have taken along) and `k3s/` (what was handed over or fetched, until it is installed).

use bringup_core::contract::K3sRole;
use bringup_core::contract::node::{FetchK3s, InstallK3s, KeptFiles};
use bringup_core::text::k3s_config;

use super::quote::word;
use super::script::NONE;

/// Directory on a node for what is handed over or fetched.
pub(crate) const HANDED: &str = "/var/lib/bringup/k3s";

/// Makes it.
pub(crate) const MAKE_HANDED: &str =
    "umask 077; mkdir -p /var/lib/bringup/k3s && chmod 0700 /var/lib/bringup /var/lib/bringup/k3s";

/// The agent's token; k3s takes its path from its environment.
const TOKEN: &str = "/etc/rancher/k3s/bringup-token";

/// Role and unit, or the end.
const ROLE: &str = script!("k3s_role.sh");

/// `k3s version v1.33.6+k3s1 (b5847677)`.
const VERSION: &str = script!("k3s_version.sh");

/// Role, release, our run, whether any mark of ours is left of its configuration,
/// whether it has its Node's password, how its unit is, then the times that tell whether what runs is older than what it reads:
/// now, since boot, its start since boot, its configuration, its binary.
pub(super) fn state() -> String {
    format!(
        "{ROLE}\n{VERSION}\necho $role; version\n\
         if [ -e /var/lib/bringup/k3s-run ]; then head -n 1 /var/lib/bringup/k3s-run; else echo; fi\n\
         if [ -e /var/lib/bringup/k3s-ours ] \
         || grep -qsxE \"K3S_TOKEN_FILE='?{TOKEN}'?\" /etc/systemd/system/$unit.service.env; then echo ours; else echo; fi\n\
         if [ -s /etc/rancher/node/password ]; then echo password; else echo; fi\n\
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

/// The last line of containerd's log that tells of an end, then lines of k3s' journal that may tell why it does not get on,
/// newest first. With `--since` alone, `journalctl -n` prints the first lines and not the last.
///
/// Of a start that lasts only that start counts: before it another token may have been refused. One that ends again and
/// again has said why in the minutes before. From 1.24 on it says at the level of news what keeps it from joining.
pub(super) fn trouble() -> String {
    format!(
        "{ROLE}\n\
         tail -n 20 /var/lib/rancher/k3s/agent/containerd/containerd.log 2>/dev/null \
         | grep -vE '^time=.* level=(trace|debug|info|warning) ' | grep . | tail -n 1 | cut -c 1-1000 | grep . || echo\n\
         again=$(systemctl show --property=NRestarts $unit) id=$(systemctl show --property=InvocationID $unit)\n\
         if [ \"${{again#*=}}\" = 0 ] && [ -n \"${{id#*=}}\" ]; then set -- \"_SYSTEMD_INVOCATION_ID=${{id#*=}}\"\n\
         else set -- -u $unit --since -5min; fi\n\
         journalctl \"$@\" -r -n 2000 -o cat --no-pager 2>/dev/null \
         | grep -E 'level=(error|fatal)|msg=\"Waiting (to retrieve agent configuration|for )' | cut -c 1-1000 | head -n 50"
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
pub(super) const MISSING_FEATURES: &str = script!("missing_features.sh");

/// Writes a file that only root reads, unless it holds that already: what k3s reads is not to be newer for nothing.
const KEEP_TEXT: &str = script!("keep_text.sh");

/// Has a file at a second place, whole or not at all, and without its bytes twice where that can be: archives of images are
/// large. A link to what goes along with it is followed.
const TWIN: &str = script!("twin.sh");

/// Installs it, or brings what is installed to another release or configuration; its start is ordered and not waited
/// for, because a server's may never come back.
///
/// The binary is there already: the install script, which trusts whatever list of sums lies next to one, fetches nothing.
/// Of what is installed the unit and its environment stay as they are, with whatever flags somebody gave: only the binary
/// is another one then. Everything can be done twice.
pub(super) fn install(install: &InstallK3s) -> String {
    let (role, unit) = (install.role.word(), install.role.unit());
    let mut script = format!(
        "umask 077\nunit={unit} version={version}\n{VERSION}\n{KEEP_TEXT}\n{TWIN}\n\
         units=/etc/systemd/system dir=/var/lib/bringup\n\
         if [ -d $dir/k3s-kept ]; then\n\
         (cd $dir/k3s-kept && find . ! -type d ! -name '*.bringup-part') | while IFS= read -r file; do\nfile=${{file#.}}\n\
         [ -e \"$file\" ] || {{ (umask 022; mkdir -p \"${{file%/*}}\") && twin \"$dir/k3s-kept$file\" \"$file\"; }} || exit 1\n\
         done || exit 1\nfi\n",
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
    line(&format!(
        "if [ -e {HANDED}/binary ] && [ \"$(version {HANDED}/binary)\" = \"$version\" ]; then\n\
         mkdir -p -m 0755 /usr/local/bin && install -m 0755 {HANDED}/binary /usr/local/bin/.k3s.new \
         && mv -f /usr/local/bin/.k3s.new /usr/local/bin/k3s || exit 1\nfi"
    ));
    if let Some(images_name) = &install.images_name {
        line(&format!(
            "if [ -e {HANDED}/images ]; then\n\
             mkdir -p /var/lib/rancher/k3s/agent/images && mv -f {HANDED}/images /var/lib/rancher/k3s/agent/images/{} \
             || exit 1\nfi",
            word(images_name)
        ));
    }
    line(&format!(
        "[ \"$(version)\" = \"$version\" ] || {{ echo \"what is installed is k3s $(version), not $version\" >&2; exit 1; }}\n\
         if [ ! -e $units/$unit.service ]; then (\n\
         {environment}unset K3S_TOKEN\n\
         export INSTALL_K3S_VERSION=\"$version\" INSTALL_K3S_SKIP_START=true INSTALL_K3S_SKIP_DOWNLOAD=true\n\
         sh {HANDED}/install.sh {role} 2>&1\n) || exit 1; fi\n\
         systemctl daemon-reload && systemctl --quiet enable $unit || exit 1\n\
         systemctl reset-failed $unit 2>/dev/null\n\
         systemctl restart --no-block $unit || exit 1\n\
         rm -rf $dir/k3s-kept $dir/k3s-before {HANDED}\n\
         {ours} $dir/k3s-ours\n\
         printf '%s\\n' {run} > $dir/k3s-run.new && mv -f $dir/k3s-run.new $dir/k3s-run",
        run = word(&install.run),
        ours = if install.ours { ": >" } else { "rm -f" },
    ));
    script.pop();
    script
}

/// Lays the binary of a release ready, with the sum that the release's list of sums has for it. Where the site states sums of
/// such lists, the list's own must be one of them.
///
/// k3s' install script would fetch it, too, from an address that scripts before February 2026 take by another name
/// than later ones (k3s 702aba6f3), and would do so when the old k3s is gone already.
pub(super) fn fetch(fetch: &FetchK3s) -> String {
    let release = word(&format!("{}/download/{}", fetch.url, fetch.version.as_str().replace('+', "%2B")));
    let stated = if fetch.sums.is_empty() {
        "*".to_owned()
    } else {
        fetch.sums.iter().map(|sum| word(&sum.to_string())).collect::<Vec<_>>().join(" | ")
    };
    format!(
        "{MAKE_HANDED} || exit 1\n\
         command -v curl >/dev/null || command -v wget >/dev/null || {{\n\
         echo 'there is neither curl nor wget to fetch k3s with; with k3s_airgap: true the controller brings it' >&2\nexit 1; }}\n\
         sum_of() {{ sha256sum < \"$1\" | cut -d ' ' -f 1; }}\n\
         get() {{\n\
         if command -v curl >/dev/null; then\n\
         curl -sSfL --connect-timeout 30 --speed-limit 1 --speed-time 60 -o \"$2\" \"$1\"\n\
         else wget -q -t 1 -T 60 -O \"$2\" \"$1\"; fi || {{ echo \"failed to fetch $1\" >&2; return 1; }}\n}}\n\
         case $(uname -m) in\n\
         x86_64 | amd64) arch=amd64 file=k3s ;;\n\
         aarch64 | arm64) arch=arm64 file=k3s-arm64 ;;\n\
         *) echo \"k3s is fetched for amd64 and arm64 only, not for $(uname -m)\" >&2; exit 1 ;;\nesac\n\
         release={release} new={HANDED}/fetched\n\
         list=$release/sha256sum-$arch.txt\n\
         get \"$list\" $new.sums || exit 1\n\
         got=$(sum_of $new.sums)\n\
         case $got in {stated}) ;;\n\
         *) echo \"the SHA-256 of $list is $got, which is not in k3s_artifact_sha256\" >&2; exit 1 ;;\nesac\n\
         wanted=$(sed -n \"s/^\\([0-9a-f]*\\)  *$file\\$/\\1/p\" $new.sums)\n\
         [ -n \"$wanted\" ] || {{ echo \"$list does not list $file\" >&2; exit 1; }}\n\
         [ ! -e {HANDED}/binary ] || [ \"$(sum_of {HANDED}/binary)\" != \"$wanted\" ] || exit 0\n\
         get \"$release/$file\" $new || exit 1\n\
         got=$(sum_of $new)\n\
         [ \"$got\" = \"$wanted\" ] || {{\n\
         echo \"the SHA-256 of $release/$file is $got, expected $wanted\" >&2; rm -f $new; exit 1; }}\n\
         chmod 0755 $new && mv -f $new {HANDED}/binary"
    )
}

/// Uninstalls it by its own script, after what is the user's was put aside: file by file, so that a second try, which finds
/// a part of it deleted, keeps what the first one kept. What pods have mounted would be deleted with the directories that
/// it is mounted in, so nothing may be.
pub(super) fn uninstall(role: K3sRole, keep: &KeptFiles) -> String {
    let (unit, files) = (role.unit(), keep.0.iter().map(|path| word(path)).collect::<Vec<_>>().join(" "));
    format!(
        "umask 077\nunit={unit} dir=/var/lib/bringup\n{VERSION}\n{TWIN}\n\
         script=/usr/local/bin/$unit-uninstall.sh\n\
         if [ ! -e $script ]; then\n[ ! -e /etc/systemd/system/$unit.service ] && exit 0\n\
         echo \"$script is not there, which takes k3s away\" >&2; exit 1\nfi\n\
         mkdir -p $dir && chmod 0700 $dir || exit 1\n\
         find {files} ! -type d ! -name '*.bringup-part' 2>/dev/null | while IFS= read -r file; do\nkept=$dir/k3s-kept$file\n\
         [ -e \"$kept\" ] && [ ! \"$file\" -nt \"$kept\" ] && continue\n\
         mkdir -p \"${{kept%/*}}\" && twin \"$file\" \"$kept\" || exit 1\ndone || exit 1\n\
         version=$(version)\n\
         [ -z \"$version\" ] || {{ echo \"$version\" > $dir/k3s-before.new && mv -f $dir/k3s-before.new $dir/k3s-before; }} && rm -f $dir/k3s-run $dir/k3s-ours || exit 1\n\
         systemctl stop $unit\n\
         [ ! -x /usr/local/bin/k3s-killall.sh ] || /usr/local/bin/k3s-killall.sh >/dev/null 2>&1\n\
         while read -r what at rest; do\ncase $at in /var/lib/kubelet/pods/*|/run/k3s/*)\n\
         echo \"$at is still mounted: uninstalling would delete what is in it\" >&2; exit 1;; esac\n\
         done < /proc/self/mounts || exit 1\n\
         $script 2>&1 || exit 1\n\
         [ ! -e /etc/systemd/system/$unit.service ] || {{ echo \"its script left $unit.service\" >&2; exit 1; }}"
    )
}

/// Takes a snapshot of the datastore, and says where it is and its SHA-256. Of etcd k3s takes it; newer releases want the
/// word `save`. Of SQLite it is a copy of its files, for which k3s stops for a moment.
pub(crate) fn snapshot(name: &str) -> String {
    let name = word(name);
    format!(
        "umask 077\ncd /var/lib/rancher/k3s/server/db 2>/dev/null || {{ echo 'there is no datastore of k3s' >&2; exit 1; }}\n\
         if [ -d etcd ]; then\n\
         k3s=/usr/local/bin/k3s; said=$($k3s etcd-snapshot save --name {name} 2>&1) || said=$($k3s etcd-snapshot --name {name} 2>&1) \
         || {{ printf '%s\\n' \"$said\" >&2; exit 1; }}\n\
         elif [ -e state.db ]; then\n\
         mkdir -p snapshots && systemctl stop k3s || exit 1\n\
         said=$(tar -cf snapshots/{name}-sqlite.tar state.db* 2>&1); status=$?\n\
         systemctl start --no-block k3s\n\
         [ $status -eq 0 ] || {{ printf '%s\\n' \"$said\" >&2; exit 1; }}\n\
         else echo 'its datastore is neither etcd nor SQLite on this machine: take a backup there, then uninstall k3s by hand' >&2; exit 1; fi\n\
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
            // In place of curl, which is not everywhere.
            let curl = "#!/bin/sh\nwhile [ \"$1\" != -o ]; do shift; done\ncp \"${3#http://mirror}\" \"$2\"\n";
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

        /// Has it fetch the binary by a list of sums that must be one of these; what it complains of.
        fn fetch(&self, sums: &[Sha256]) -> Result<(), String> {
            let wanted = FetchK3s {
                version: Version::parse("v1.33.6+k3s1").unwrap(),
                url: format!("http://mirror{}", self.at("mirror").display()),
                sums: sums.to_vec(),
            };
            let script = fetch(&wanted).replace("/var/lib/bringup", self.at("handed").to_str().unwrap());
            let path = format!("{}:{}", self.at("path").display(), std::env::var("PATH").unwrap());
            let output = Command::new("sh").args(["-c", &script]).env("PATH", path).output().unwrap();
            if output.status.success() { Ok(()) } else { Err(String::from_utf8(output.stderr).unwrap()) }
        }
    }

    #[test]
    fn a_binary_is_only_laid_ready_by_a_list_that_the_site_pins() {
        let node = Node::new();
        let (arch, file) = if cfg!(target_arch = "aarch64") { ("arm64", "k3s-arm64") } else { ("amd64", "k3s") };
        let sums = format!("sha256sum-{arch}.txt");
        let list = |binary: &str| format!("{}  k3s-other\n{}  {file}\n", "0".repeat(64), Sha256::of(binary));
        let (pinned, other) = (Sha256::of(list("real")), Sha256::of("other"));
        let refused = |sums: &[Sha256], words: &str| {
            let complaint = node.fetch(sums).unwrap_err();
            assert!(complaint.contains(words), "{complaint}");
            assert!(!node.at("handed/k3s/binary").exists());
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
        node.fetch(&[other, pinned]).unwrap();
        // What is there already is not fetched again.
        fs::remove_file(node.at("mirror/download/v1.33.6%2Bk3s1").join(file)).unwrap();
        node.fetch(&[]).unwrap();
        assert_eq!(fs::read_to_string(node.at("handed/k3s/binary")).unwrap(), "real");
    }

    #[test]
    fn the_snapshot_of_sqlite_is_a_copy_of_its_files() {
        let node = Node::new();
        let database = node.at("server/db");
        fs::create_dir_all(&database).unwrap();
        fs::write(node.at("path/systemctl"), "#!/bin/sh\necho \"$@\" >> \"$0.log\"\n").unwrap();
        fs::set_permissions(node.at("path/systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
        let taken = || {
            let script =
                snapshot("bringup-run").replace("/var/lib/rancher/k3s", node.directory.path().to_str().unwrap());
            let path = format!("{}:{}", node.at("path").display(), std::env::var("PATH").unwrap());
            Command::new("sh").args(["-c", &script]).env("PATH", path).output().unwrap()
        };
        let nothing = taken();
        assert!(!nothing.status.success());
        assert!(String::from_utf8(nothing.stderr).unwrap().contains("neither etcd nor SQLite"));

        for (file, text) in [("state.db", "pages"), ("state.db-wal", "log")] {
            fs::write(database.join(file), text).unwrap();
        }
        let output = taken();
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        let [path, sum] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
        assert!(path.ends_with("/snapshots/bringup-run-sqlite.tar") && sum.len() == 64, "{said}");
        let listed = Command::new("tar").args(["-tf", path]).output().unwrap();
        assert_eq!(String::from_utf8(listed.stdout).unwrap(), "state.db\nstate.db-wal\n");
        assert_eq!(fs::read_to_string(node.at("path/systemctl.log")).unwrap(), "stop k3s\nstart --no-block k3s\n");
    }

    /// A copy to another file system that breaks off is none, and an uninstallation that was interrupted has deleted a part of
    /// what is kept.
    #[test]
    fn what_is_kept_is_kept_once_and_for_all() {
        let node = Node::new();
        let (directory, at) = (node.at("etc/config.yaml.d"), |name: &str| node.at(name).display().to_string());
        fs::create_dir_all(&directory).unwrap();
        fs::create_dir_all(node.at("units")).unwrap();
        fs::create_dir_all(node.at("bin")).unwrap();
        fs::write(node.at("units/k3s-agent.service"), "").unwrap();
        for name in ["10 one.yaml", "20-two.yaml"] {
            fs::write(directory.join(name), name).unwrap();
        }
        for (name, text) in [
            ("path/systemctl", "#!/bin/sh\n".to_owned()),
            (
                "path/cp",
                "#!/bin/sh\n[ \"$1\" != -alf ] || exit 1\n\
                 if [ ! -e \"$0.once\" ]; then : > \"$0.once\"; printf half > \"$3\"; exit 1; fi\nexec /bin/cp \"$@\"\n"
                    .to_owned(),
            ),
            ("bin/k3s", "#!/bin/sh\necho k3s version v1.33.6+k3s1\n".to_owned()),
            (
                "bin/k3s-agent-uninstall.sh",
                format!(
                    "#!/bin/sh\nif [ -e {0} ]; then rm {0}; exit 1; fi\nrm -r {1} {2}\n",
                    at("etc/config.yaml.d/20-two.yaml"),
                    at("etc"),
                    at("units/k3s-agent.service")
                ),
            ),
        ] {
            fs::write(node.at(name), text).unwrap();
            fs::set_permissions(node.at(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let keep = KeptFiles(vec![directory.display().to_string(), at("etc/registries.yaml")]);
        let uninstalls = || {
            let script = uninstall(K3sRole::Agent, &keep)
                .replace("/var/lib/bringup", &at("ours"))
                .replace("/usr/local/bin", &at("bin"))
                .replace("/etc/systemd/system", &at("units"));
            let path = format!("{}:{}", at("path"), std::env::var("PATH").unwrap());
            Command::new("sh").args(["-c", &script]).env("PATH", path).status().unwrap().success()
        };
        assert!(!uninstalls() && directory.join("20-two.yaml").exists());
        assert!(!uninstalls() && !directory.join("20-two.yaml").exists());
        assert!(uninstalls() && !directory.exists());
        for name in ["10 one.yaml", "20-two.yaml"] {
            let kept = node.at("ours/k3s-kept").join(directory.strip_prefix("/").unwrap()).join(name);
            assert_eq!(fs::read_to_string(kept).unwrap(), name);
        }
        assert_eq!(fs::read_to_string(node.at("ours/k3s-before")).unwrap(), "v1.33.6+k3s1\n");
    }
}
