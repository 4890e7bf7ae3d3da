//! `k3s etcd-snapshot`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::node::Node;
use super::options::{Options, Role, Sources};
use super::say;
use super::server::{etcd_directory, etcdctl};
use super::{DATA, files};

/// Does what is asked: `save`, `ls` or `delete`. Without a word it saves.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let (word, rest) = match arguments.split_first() {
        Some((word, rest)) if !word.starts_with('-') => (word.as_str(), rest),
        _ => ("save", arguments),
    };
    if !etcd_directory().exists() {
        return Err("etcd datastore disabled".to_owned());
    }
    let value = |name: &str| value(rest, name);
    let directory = value("etcd-snapshot-dir").or_else(|| value("dir"));
    let directory = directory.map_or_else(|| Path::new(DATA).join("server/db/snapshots"), PathBuf::from);
    match word {
        "save" => save(&directory, value("name").as_deref().unwrap_or("on-demand")),
        "ls" | "list" | "l" => list(&directory),
        "delete" => {
            for name in rest.iter().filter(|word| !word.starts_with('-')) {
                fs::remove_file(directory.join(name)).map_err(|error| format!("delete {name}: {error}"))?;
                say::info(&format!("Snapshot {name} deleted."));
            }
            Ok(())
        }
        _ => Err(format!("etcd-snapshot {word} is not played by the testbed's stand-in for k3s")),
    }
}

/// The value of a flag, behind `=` or as the next word.
fn value(arguments: &[String], name: &str) -> Option<String> {
    let at = |index: usize| arguments.get(index)?.strip_prefix("--")?.strip_prefix(name);
    (0..arguments.len()).find_map(|index| match at(index)? {
        "" => arguments.get(index + 1).cloned(),
        rest => rest.strip_prefix('=').map(str::to_owned),
    })
}

fn save(directory: &Path, name: &str) -> Result<(), String> {
    let environment = std::env::vars().collect();
    let options = Options::read(Role::Server, &Sources { arguments: &[], environment: &environment })?;
    let node = Node::of(&options)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let name = format!("{name}-{}-{now}", node.name);
    files::private_directory(directory)?;
    let path = directory.join(&name);
    let status = etcdctl().arg("snapshot").arg("save").arg(&path).status();
    let status = status.map_err(|error| format!("run etcdctl: {error}"))?;
    if !status.success() {
        return Err("failed to save snapshot".to_owned());
    }
    let rights = fs::Permissions::from_mode(0o600);
    fs::set_permissions(&path, rights).map_err(|error| format!("{}: {error}", path.display()))?;
    say::info(&format!("Snapshot {name} saved."));
    Ok(())
}

fn list(directory: &Path) -> Result<(), String> {
    println!("Name Location Size Created");
    let entries = fs::read_dir(directory).map_err(|error| format!("read {}: {error}", directory.display()))?;
    let mut names: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    names.sort();
    for path in names {
        let Ok(file) = fs::metadata(&path) else { continue };
        let created = say::rfc3339(u64::try_from(file.mtime()).unwrap_or_default());
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        println!("{name} file://{} {} {created}", path.display(), file.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_behind_their_flags() {
        let words: Vec<String> = ["--names=x", "--name", "pre", "--dir=/d"].map(str::to_owned).to_vec();
        assert_eq!(value(&words, "name").as_deref(), Some("pre"));
        assert_eq!(value(&words, "dir").as_deref(), Some("/d"));
        assert_eq!(value(&words, "etcd"), None);
    }
}
