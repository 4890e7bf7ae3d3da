//! The parsers of what others wrote, each under one name: `cargo fuzz` feeds them whatever it comes up with, and a test
//! feeds them again what is in `fuzz/corpus`. There in tests and under `cargo fuzz` alone.

use std::collections::BTreeMap;

use crate::site::fuzzing as site;
use crate::site::{LoadOptions, Source, ansible_cfg, load};
use crate::text::document::Document;
use crate::text::k3s_config::{self, Setting};
use crate::text::k3s_journal;
use crate::text::known_hosts::KnownHosts;
use crate::text::kubeconfig::ClusterAccess;
use crate::version::Version;

/// Reads some bytes, and says whether they were understood. It must not panic, and its work must not grow faster than
/// what it reads.
pub type Parser = fn(&[u8]) -> bool;

/// All of this crate. Each has a target of its name in `fuzz/fuzz_targets` and a corpus in `fuzz/corpus`.
pub const PARSERS: [(&str, Parser); 12] = [
    ("ansible_cfg", ansible_config),
    ("host_range", site::host_range),
    ("inventory", inventory),
    ("k3s_config", k3s_configuration),
    ("k3s_journal", journal_of_k3s),
    ("known_hosts", known_hosts),
    ("kubeconfig", kubeconfig),
    ("template", site::template),
    ("user_kubeconfig", user_kubeconfig),
    ("vault", site::vault),
    ("version", version),
    ("yaml", site::yaml),
];

/// A site whose files stand in one text, each below a line `%% NAME`.
struct Files(BTreeMap<String, String>);

impl Files {
    fn of(text: &str) -> Self {
        let mut files = BTreeMap::new();
        for file in text.split("%% ").skip(1) {
            let (name, text) = file.split_once('\n').unwrap_or((file, ""));
            files.insert(format!("site/{name}"), text.to_owned());
        }
        Self(files)
    }
}

impl Source for Files {
    fn read(&self, path: &str) -> Result<Option<String>, String> {
        Ok(self.0.get(path).cloned())
    }

    fn list(&self, directory: &str) -> Result<Option<Vec<String>>, String> {
        let below = self.0.keys().filter_map(|path| path.strip_prefix(directory)?.strip_prefix('/'));
        let mut names: Vec<String> = below.filter_map(|path| path.split('/').next()).map(str::to_owned).collect();
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

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn inventory(bytes: &[u8]) -> bool {
    let options = LoadOptions { inventory: vec!["site".to_owned()], ..LoadOptions::default() };
    load(&Files::of(&text(bytes)), &options).is_ok()
}

fn ansible_config(bytes: &[u8]) -> bool {
    let files = Files(BTreeMap::from([("site/ansible.cfg".to_owned(), text(bytes))]));
    ansible_cfg(&files, &["site"]).is_ok_and(|cfg| !cfg.inventory.is_empty() || cfg.forks.is_some())
}

/// What is not ours in a known_hosts file stays as it is.
fn known_hosts(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let mut known = KnownHosts::parse(&text);
    assert_eq!(known.render(), text);
    let keys = known.keys_for("node01.lan");
    known.remove("node01.lan");
    assert!(known.keys_for("node01.lan").is_empty());
    !keys.is_empty() || !known.revoked_keys().is_empty()
}

/// What is taken over of a kubeconfig can be read again, and is the same.
fn kubeconfig(bytes: &[u8]) -> bool {
    let Ok(access) = ClusterAccess::parse(&text(bytes)) else { return false };
    let again = ClusterAccess::parse(access.to_kubeconfig().expose()).map(|access| access.sha256());
    assert_eq!(again.ok(), Some(access.sha256()));
    true
}

/// What the user has in a kubeconfig survives being read and written.
fn user_kubeconfig(bytes: &[u8]) -> bool {
    let Ok(Some(document)) = Document::of_user(&text(bytes)) else { return false };
    let Some(rendered) = document.render() else { return false };
    let again = Document::of_user(&rendered).ok().flatten().and_then(|document| document.render());
    assert_eq!(again, Some(rendered));
    true
}

fn k3s_configuration(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let wanted = [("cluster-init", Setting::Yes), ("tls-san", Setting::List(vec!["node01.lan".to_owned()]))];
    let merged = k3s_config::merge(&text, &wanted);
    Document::of_target(&text).is_ok() && merged.is_ok()
}

fn journal_of_k3s(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let said = k3s_journal::Said::of(text.lines(), text.lines().next().unwrap_or_default());
    said.is_some_and(|said| said.trouble.is_some())
}

fn version(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let Some(version) = Version::parse(&text) else { return false };
    assert!(!version.is_older_than(&version));
    // A version becomes a part of file names and addresses.
    assert!(!version.as_str().contains(['/', '\\']) && !version.as_str().contains(char::is_control));
    true
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the corpora of a test are files; the parsers are handed their bytes"
    )]
    fn corpora_are_read_or_refused() {
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
        for (name, parser) in PARSERS {
            let seeds = fs::read_dir(corpora.join(name)).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
            let understood = seeds.filter(|seed| parser(seed)).count();
            assert!(understood > 0, "{name}: no seed is understood any more, so fuzzing begins with nothing");
        }
    }
}
