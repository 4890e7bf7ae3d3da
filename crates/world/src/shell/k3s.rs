//! k3s on a node: what it is, and bringing it there and away.
//!
//! Our own directory holds `k3s-run` (which run installed it last; written when all is done), `k3s-ours` (its
//! configuration is ours), `k3s-before` (the release that our last uninstallation took away), `k3s-kept/` (the user's files
//! that it would have taken along) and `k3s/` (what was handed over or fetched, until it is installed).

use bringup_core::contract::K3sRole;
use bringup_core::contract::node::{FetchK3s, InstallK3s, KeptFiles};
use bringup_core::text::k3s_config;
use bringup_core::text::secret::Secret;

use super::piece::Piece;
use super::quote::word;

/// Directory on a node for what is handed over or fetched.
pub(crate) const HANDED: &str = "/var/lib/bringup/k3s";

/// Makes it, or is the end.
pub(crate) const MAKE_HANDED: &str = script!("k3s_handed.sh");

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
    let piece = Piece::new().set("config", k3s_config::PATH).set("token_file", TOKEN);
    piece.run(ROLE).run(VERSION).run(script!("k3s_state.sh")).text()
}

/// The configuration's text with a point behind it, which keeps its last newline.
pub(super) fn config() -> String {
    Piece::new().set("config", k3s_config::PATH).run(script!("k3s_config.sh")).text()
}

/// The last line of containerd's log that tells of an end, then lines of k3s' journal that may tell why it does not get on,
/// newest first. With `--since` alone, `journalctl -n` prints the first lines and not the last.
///
/// Of a start that lasts only that start counts: before it another token may have been refused. One that ends again and
/// again has said why in the minutes before. From 1.24 on it says at the level of news what keeps it from joining.
pub(super) fn trouble() -> String {
    Piece::new().run(ROLE).run(script!("k3s_trouble.sh")).text()
}

/// bash opens the connection: it is on every Debian and Ubuntu, when neither curl nor wget is.
pub(super) fn reaches(host: &str, port: u16) -> String {
    Piece::new().set("host", host).set("port", port.to_string()).run(script!("reaches.sh")).text()
}

/// The release that was uninstalled, where none is installed now.
pub(super) const BEFORE: &str = script!("k3s_before.sh");

/// `node-token` is for agents, and a link to the server's own where there is no other.
pub(super) const JOIN_TOKEN: &str = script!("k3s_join_token.sh");

/// The token that an agent of ours joins with.
pub(super) fn agent_token() -> String {
    Piece::new().set("token_file", TOKEN).run(script!("k3s_agent_token.sh")).text()
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
    let none = Secret::new("");
    let (url, token) = install.join.as_ref().map_or(("", &none), |join| (join.server.as_str(), &join.token));
    Piece::new()
        .set("role", install.role.word())
        .set("unit", install.role.unit())
        .set("version", install.version.as_str())
        .set("config_path", k3s_config::PATH)
        .set_secret("config", &install.config)
        .set("url", url)
        .set("token_file", TOKEN)
        .set_secret("token", token)
        .set("images", install.images_name.as_deref().unwrap_or_default())
        .set("handed", HANDED)
        .set_flag("ours", install.ours)
        .set("run", &install.run)
        .run(VERSION)
        .run(KEEP_TEXT)
        .run(TWIN)
        .run(script!("k3s_install.sh"))
        .text()
}

/// Lays the binary of a release ready, with the sum that the release's list of sums has for it. Where the site states sums of
/// such lists, the list's own must be one of them.
///
/// k3s' install script would fetch it, too, from an address that scripts before February 2026 take by another name
/// than later ones (k3s 702aba6f3), and would do so when the old k3s is gone already.
pub(super) fn fetch(fetch: &FetchK3s) -> String {
    let release = format!("{}/download/{}", fetch.url, fetch.version.as_str().replace('+', "%2B"));
    let sums: Vec<String> = fetch.sums.iter().map(ToString::to_string).collect();
    let piece = Piece::new().set("release", release).set("sums", sums.join(" ")).set("handed", HANDED);
    piece.run(MAKE_HANDED).run(script!("k3s_fetch.sh")).text()
}

/// Uninstalls it by its own script, after what is the user's was put aside. What pods have mounted would be deleted, so nothing
/// may be.
pub(super) fn uninstall(role: K3sRole, keep: &KeptFiles) -> String {
    let piece = Piece::new().set("unit", role.unit()).arguments(&keep.0);
    piece.run(VERSION).run(TWIN).run(script!("k3s_uninstall.sh")).text()
}

/// Takes a snapshot of the datastore, and says where it is and its SHA-256. Of etcd k3s takes it. Of SQLite it is a copy of its
/// files, for which k3s stops for a moment.
pub(crate) fn snapshot(name: &str) -> String {
    Piece::new().set("name", name).run(script!("k3s_snapshot.sh")).text()
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
