//! Which files a site's inventory is made of.

use crate::ansible::cfg::join;
use crate::ansible::source::Source;
use crate::text::problem::{Problem, Problems, Severity};
use crate::text::yaml::{FileText, Raw, parse};

/// What a site's inventory is called, the usual name first.
const USUAL: [&str; 6] = ["hosts.yml", "hosts.yaml", "hosts.json", "hosts", "inventory.yml", "inventory.yaml"];

/// The files of an inventory, and the directories beside which `group_vars` and `host_vars` are looked for.
#[derive(Debug)]
pub(super) struct Inventories {
    /// In the order in which they are read: what a later one says is stronger.
    pub files: Vec<String>,
    /// Each once. The first is the site's.
    pub directories: Vec<String>,
}

impl Inventories {
    /// Those that these names stand for: a file for itself, a directory for all inventories in it, as for Ansible.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn find(source: &dyn Source, names: &[String]) -> Result<Self, Problems> {
        let mut found = Self { files: Vec::new(), directories: Vec::new() };
        for name in names {
            let listed = source.list(name).map_err(|why| unreadable(name, &why))?;
            let (files, directory) = match listed {
                Some(listed) => (in_directory(source, name, &listed)?, name.clone()),
                None => match source.read(name) {
                    Ok(Some(_)) => {
                        let directory = name.rsplit_once('/').map_or(".", |(directory, _)| directory);
                        (vec![name.clone()], directory.to_owned())
                    }
                    Ok(None) => {
                        let help = "-i names a site's directory or its hosts.yml";
                        return Err(error(format!("there is no {name}"), help.to_owned()));
                    }
                    Err(why) => return Err(unreadable(name, &why)),
                },
            };
            for file in files {
                if !found.files.contains(&file) {
                    found.files.push(file);
                }
            }
            if !found.directories.contains(&directory) {
                found.directories.push(directory);
            }
        }
        Ok(found)
    }
}

/// Whether a directory holds a site.
pub fn is_site(source: &dyn Source, directory: &str) -> bool {
    let names = source.list(directory).ok().flatten().unwrap_or_default();
    USUAL.iter().any(|usual| names.iter().any(|name| name == usual))
}

fn in_directory(source: &dyn Source, directory: &str, names: &[String]) -> Result<Vec<String>, Problems> {
    let main = USUAL.into_iter().find(|usual| names.iter().any(|name| name == usual));
    let Some(main) = main else {
        let ini = names.iter().find(|name| name.ends_with(".ini") || *name == "inventory");
        return Err(match ini.filter(|name| matches!(source.read(&join(directory, name)), Ok(Some(_)))) {
            Some(name) => not_ini(&join(directory, name)),
            None => error(
                format!("there is no hosts.yml in {directory}"),
                "a site is a directory with hosts.yml and group_vars; `bringup rehearse` alone plays an example".into(),
            ),
        });
    };
    // A site also holds playbooks and whatever else: only what has the shape of an inventory is one.
    let is_more = |name: &&String| {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        *name != main && ["yml", "yaml", "json"].contains(&ending) && !name.starts_with('.')
    };
    let mut files: Vec<String> = names
        .iter()
        .filter(is_more)
        .map(|name| join(directory, name))
        .filter(|path| source.read(path).ok().flatten().is_some_and(|text| is_inventory(path, &text)))
        .collect();
    files.push(join(directory, main));
    files.sort_unstable();
    Ok(files)
}

/// Whether a text is a map of groups, each with nothing but hosts, children and variables.
fn is_inventory(path: &str, text: &str) -> bool {
    let root = parse(&FileText::new(path, text), text, &mut Vec::new());
    let Some(groups) = root.as_ref().and_then(Raw::entries) else { return false };
    let mut sections = 0;
    groups.iter().all(|(_, group)| {
        group.entries().is_some_and(|entries| {
            sections += entries.len();
            entries.iter().all(|(key, _)| ["hosts", "children", "vars"].contains(&key.text.as_str()))
        })
    }) && sections > 0
}

/// Whether a text is an inventory in Ansible's INI format: its first line that says anything is a section's.
pub(super) fn is_ini(text: &str) -> bool {
    let says = |line: &&str| !line.is_empty() && !line.starts_with(['#', ';']);
    let section = |line: &str| {
        let name = line.strip_prefix('[')?.split_once(']')?.0;
        Some(!name.is_empty() && name.chars().all(|one| one.is_ascii_alphanumeric() || "_-.:".contains(one)))
    };
    text.lines().map(str::trim).find(says).and_then(section).unwrap_or(false)
}

/// What is said of one.
pub(super) fn not_ini(path: &str) -> Problems {
    let help = format!("`ansible-inventory -i {path} --list --yaml --output hosts.yml` writes it as YAML");
    error(format!("{path} is an INI inventory, which bringup does not read"), help)
}

fn unreadable(name: &str, why: &str) -> Problems {
    error(format!("cannot read {name}: {why}"), "check its permissions".to_owned())
}

fn error(message: String, help: String) -> Problems {
    Problems(vec![Problem { severity: Severity::Error, message, spot: None, help: Some(help) }])
}

#[cfg(test)]
mod tests {
    use super::{is_ini, is_inventory};

    #[test]
    fn shapes_of_files() {
        for (text, inventory, ini) in [
            ("all:\n  hosts:\n    a:\n", true, false),
            ("extra_nodes:\n  hosts: {nuc9: {}}\nempty:\n", true, false),
            ("- hosts: all\n  tasks: []\n", false, false),
            ("cluster_domain: example.org\n", false, false),
            ("services:\n  image: x\n", false, false),
            ("", false, false),
            ("# hosts\n[turing_pis]\nturingpi ansible_user=root\n", false, true),
            ("[all_nodes:children]\nextra_nodes\n", false, true),
            ("node01 ansible_host=10.0.0.1\n", false, false),
        ] {
            assert_eq!((is_inventory("x.yml", text), is_ini(text)), (inventory, ini), "{text}");
        }
    }
}
