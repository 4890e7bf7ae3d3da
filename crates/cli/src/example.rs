//! The example site, in the binary.

use bringup_core::site::Source;

/// Its directory, as far as anyone is told.
pub const DIRECTORY: &str = "examples/turing-pi";

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$((concat!("examples/turing-pi/", $name), include_str!(concat!("../../../examples/turing-pi/", $name)))),*]
    };
}

const FILES: &[(&str, &str)] = files![
    "hosts.yml",
    "group_vars/all.yml",
    "host_vars/node02.yml",
    "host_vars/node03.yml",
    "host_vars/node04.yml",
    "pub_keys/admin.pub",
];

/// Gives the example's text, and nothing of this machine: a rehearsal of it is the same everywhere.
#[derive(Clone, Copy, Debug)]
pub struct Example;

impl Source for Example {
    fn read(&self, path: &str) -> Result<Option<String>, String> {
        Ok(FILES.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned()))
    }

    fn list(&self, directory: &str) -> Result<Option<Vec<String>>, String> {
        let prefix = format!("{directory}/");
        let below = FILES.iter().filter_map(|(name, _)| name.strip_prefix(&prefix));
        let mut names: Vec<String> = below.filter_map(|name| name.split('/').next()).map(str::to_owned).collect();
        names.dedup();
        Ok((!names.is_empty()).then_some(names))
    }

    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn home(&self) -> String {
        "/home/user".to_owned()
    }
}
