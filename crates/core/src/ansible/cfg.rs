//! What of `ansible.cfg` is followed.

use crate::ansible::source::Source;
use crate::text::home::expand;
use crate::text::problem::{Problem, Problems, Severity};

/// The settings of an `ansible.cfg` that are followed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AnsibleCfg {
    /// `inventory`, relative to the file; empty: it names none.
    pub inventory: Vec<String>,
    /// `remote_user`.
    pub remote_user: Option<String>,
    /// `remote_port`.
    pub remote_port: Option<u16>,
    /// `private_key_file`.
    pub private_key_file: Option<String>,
    /// `vault_password_file`, relative to the file.
    pub vault_password_file: Option<String>,
    /// `forks`.
    pub forks: Option<usize>,
    /// What it says that is not followed, in words.
    pub notices: Vec<String>,
}

/// Reads the file that `ANSIBLE_CONFIG` names, else the `ansible.cfg` of the first of these directories that has one, else
/// the user's `~/.ansible.cfg`, else `/etc/ansible/ansible.cfg`. In a directory that anybody can write to it is ignored, as
/// Ansible does: it may name a program to run.
///
/// # Errors
/// When a file is there and cannot be read, or `forks` is no number.
pub fn ansible_cfg(source: &dyn Source, directories: &[&str]) -> Result<AnsibleCfg, Problems> {
    let mut ignored = Vec::new();
    let named = source.env("ANSIBLE_CONFIG").filter(|path| !path.is_empty());
    let named = named.map(|path| expand(&path, &source.home()));
    let mut places: Vec<(String, &str, bool)> = Vec::new();
    if let Some(path) = &named {
        let directory =
            path.rsplit_once('/').map_or(".", |(directory, _)| if directory.is_empty() { "/" } else { directory });
        places.push((path.clone(), directory, true));
    }
    places.extend(directories.iter().map(|directory| (join(directory, "ansible.cfg"), *directory, false)));
    let home = source.home();
    places.push((join(&home, ".ansible.cfg"), &home, true));
    places.push(("/etc/ansible/ansible.cfg".to_owned(), "/etc/ansible", true));
    for (path, directory, is_named) in places {
        match source.read(&path) {
            Ok(Some(_)) if !is_named && source.is_world_writable(directory) => ignored.push(format!(
                "{path} is ignored: anybody can write to its directory; ANSIBLE_CONFIG={path} has it followed"
            )),
            Ok(Some(text)) => {
                let mut cfg = read(&text, &path, directory, &source.home())?;
                cfg.notices.extend(ignored);
                return Ok(cfg);
            }
            Ok(None) => {}
            Err(error) => return Err(Problems(vec![problem(format!("cannot read {path}: {error}"))])),
        }
    }
    Ok(AnsibleCfg { notices: ignored, ..AnsibleCfg::default() })
}

fn problem(message: String) -> Problem {
    Problem { severity: Severity::Error, message, spot: None, help: None }
}

fn read(text: &str, path: &str, directory: &str, home: &str) -> Result<AnsibleCfg, Problems> {
    let mut cfg = AnsibleCfg::default();
    let mut section = String::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.trim().to_owned();
            continue;
        }
        let Some((key, value)) = line.split_once(['=', ':']) else { continue };
        let value = value.split(" ;").next().unwrap_or_default().trim().to_owned();
        let local = |value: &str| {
            let path = expand(value, home);
            if path.starts_with('/') { path } else { join(directory, &path) }
        };
        match (section.as_str(), key.trim()) {
            ("defaults", "inventory" | "hostfile") => {
                let named = value.split(',').map(str::trim).filter(|name| !name.is_empty());
                cfg.inventory = named.map(local).collect();
            }
            ("defaults", "remote_user") => cfg.remote_user = Some(value),
            ("defaults", "remote_port") => match value.parse() {
                Ok(port) if port > 0 => cfg.remote_port = Some(port),
                _ => return Err(Problems(vec![problem(format!("{path}: remote_port is a port, not `{value}`"))])),
            },
            ("defaults", "private_key_file") => cfg.private_key_file = Some(local(&value)),
            ("defaults", "vault_password_file") => cfg.vault_password_file = Some(local(&value)),
            ("defaults", "forks") => match value.parse() {
                Ok(forks) => cfg.forks = Some(forks),
                Err(_) => return Err(Problems(vec![problem(format!("{path}: forks is a number, not `{value}`"))])),
            },
            (_, "host_key_checking") => {
                cfg.notices.push(format!("{path}: host_key_checking is not followed: host keys are always checked"));
            }
            ("ssh_connection", "ssh_args" | "ssh_common_args" | "ssh_extra_args") => {
                let key = key.trim();
                cfg.notices.push(format!("{path}: {key} is not followed: what ~/.ssh/config can say belongs there"));
            }
            ("defaults", "hash_behaviour") if value != "replace" => {
                cfg.notices
                    .push(format!("{path}: hash_behaviour is not followed: a map replaces a weaker one as a whole"));
            }
            ("privilege_escalation" | "defaults", "become_method") if !value.ends_with("sudo") => {
                cfg.notices.push(format!("{path}: become_method `{value}` is not followed: sudo is used"));
            }
            ("privilege_escalation" | "defaults", "become_user") if value != "root" => {
                cfg.notices.push(format!("{path}: become_user `{value}` is not followed: all work is done as root"));
            }
            ("defaults", "vault_identity_list" | "executable" | "ask_vault_pass" | "ask_pass" | "transport")
            | ("privilege_escalation", "become_exe" | "become_flags" | "become_ask_pass") => {
                cfg.notices.push(format!("{path}: {} is not followed", key.trim()));
            }
            _ => {}
        }
    }
    Ok(cfg)
}

/// A path below a directory.
pub(crate) fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() || directory == "." {
        name.to_owned()
    } else {
        format!("{}/{name}", directory.trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn what_is_followed_and_what_is_said() {
        let text = "[defaults]\ninventory = hosts.yml, other\nforks=12 ; many\nhost_key_checking = False\n\
                    vault_password_file = ~/.vault\n[ssh_connection]\nssh_args = -o X\n";
        let cfg = read(text, "site/ansible.cfg", "site", "/home/me").unwrap();
        assert_eq!(cfg.inventory, ["site/hosts.yml", "site/other"]);
        assert_eq!(cfg.vault_password_file.as_deref(), Some("/home/me/.vault"));
        assert_eq!(cfg.forks, Some(12));
        assert_eq!(cfg.notices.len(), 2);
        assert!(read("[defaults]\nforks = x\n", "a", ".", "/").is_err());
    }
}
