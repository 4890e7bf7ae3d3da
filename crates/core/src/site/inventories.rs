//! Which files a site's inventory is made of.

use crate::ansible::cfg::join;
use crate::ansible::source::Source;
use crate::ansible::vault;
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
    /// Files of a directory that may have been meant, and are not read.
    pub warnings: Vec<Problem>,
}

impl Inventories {
    /// Those that these names stand for: a file for itself, a directory for all inventories in it, as for Ansible.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn find(source: &dyn Source, names: &[String]) -> Result<Self, Problems> {
        let mut found = Self { files: Vec::new(), directories: Vec::new(), warnings: Vec::new() };
        for name in names {
            let listed = source.list(name).map_err(|why| unreadable(name, &why))?;
            let (files, directory) = match listed {
                Some(listed) => (in_directory(source, name, &listed, &mut found.warnings)?, name.clone()),
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
    names.iter().any(|name| USUAL.contains(&name.as_str()) || name.ends_with(".ini"))
}

fn in_directory(
    source: &dyn Source,
    directory: &str,
    names: &[String],
    warnings: &mut Vec<Problem>,
) -> Result<Vec<String>, Problems> {
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
    let mut files = Vec::new();
    for name in names.iter().filter(|name| *name != main && !name.starts_with('.')) {
        let path = join(directory, name);
        let shape = match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
            "yml" | "yaml" | "json" => {
                source.read(&path).map(|text| text.map_or(Shape::Other, |text| shape(&path, &text)))
            }
            "ini" => source.read(&path).map(|text| match text.is_some_and(|text| is_ini(&text)) {
                true => Shape::Unread("it is an INI inventory".to_owned()),
                false => Shape::Other,
            }),
            _ => continue,
        };
        match shape.unwrap_or_else(Shape::Unread) {
            Shape::Inventory => files.push(path),
            Shape::Unread(why) => warnings.push(Problem {
                severity: Severity::Warning,
                message: format!("{path} is not read: {why}"),
                spot: None,
                help: Some("if it is a part of the inventory, its hosts are missing here".to_owned()),
            }),
            Shape::Other => {}
        }
    }
    files.push(join(directory, main));
    files.sort_unstable();
    Ok(files)
}

/// What a file beside the hosts file is.
#[derive(PartialEq, Eq, Debug)]
enum Shape {
    /// A map, a group of which has hosts, children or variables.
    Inventory,
    /// Nobody can tell, and why.
    Unread(String),
    /// Something else.
    Other,
}

fn shape(path: &str, text: &str) -> Shape {
    if vault::is_sealed(text) {
        return Shape::Unread("it is sealed".to_owned());
    }
    let mut problems = Vec::new();
    let root = parse(&FileText::new(path, text), text, &mut problems);
    if let Some(error) = problems.into_iter().find(|problem| problem.severity == Severity::Error) {
        return Shape::Unread(error.message);
    }
    let groups = root.as_ref().and_then(Raw::entries).unwrap_or_default();
    let has_section = |(_, group): &(_, Raw)| {
        let sections = group.entries().unwrap_or_default();
        sections.iter().any(|(key, _)| ["hosts", "children", "vars"].contains(&key.text.as_str()))
    };
    if groups.iter().any(has_section) { Shape::Inventory } else { Shape::Other }
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
    use super::{Shape, is_ini, shape};

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
            // The reader says what of a group is misspelt.
            ("a:\n  hosts: {}\nb:\n  host: {}\n", true, false),
        ] {
            assert_eq!((shape("x.yml", text) == Shape::Inventory, is_ini(text)), (inventory, ini), "{text}");
        }
    }
}
