//! What earlier runs of a site knew of a node: read from their journals, and only ever to be more careful.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use bringup_core::names::NodeName;
use serde::Deserialize;
use serde_json::Value;

/// How many journals are looked through, the newest first.
const JOURNALS: usize = 200;

#[derive(Deserialize)]
struct Line<'a> {
    event: &'a str,
    #[serde(default)]
    lane: &'a str,
    #[serde(default)]
    step: &'a str,
    #[serde(default)]
    target: &'a str,
    #[serde(default)]
    outcome: Value,
    #[serde(default)]
    planned: Value,
}

impl Line<'_> {
    /// Whether the node answered, or was flashed.
    fn knows(&self, node: &str) -> bool {
        let held = matches!(self.outcome.as_str(), Some("in_sync" | "changed" | "took_over"));
        match self.event {
            "step_ended" => {
                held && (self.target == node || self.lane == node && self.step.ends_with("/provisioned_slot"))
            }
            "step_planned" => self.target == node && self.planned.get("known").is_some(),
            _ => false,
        }
    }
}

/// Whether a journal below this directory knows of a node.
pub(crate) fn in_journals(site: &Path, node: &NodeName) -> bool {
    let Ok(entries) = fs::read_dir(site.join(".bringup/runs")) else { return false };
    let mut journals: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    journals.sort_unstable();
    journals.iter().rev().take(JOURNALS).any(|journal| knows(journal, node))
}

fn knows(journal: &Path, node: &NodeName) -> bool {
    let Ok(file) = fs::File::open(journal) else { return false };
    let lines = BufReader::new(file).lines().map_while(Result::ok);
    // A line that is cut off, or of a later version, knows nothing.
    lines
        .filter(|line| line.contains(node.as_str()))
        .any(|line| serde_json::from_str::<Line<'_>>(&line).is_ok_and(|line| line.knows(node.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answered_or_was_flashed_is_known_and_nobody_else() {
        let site = tempfile::tempdir().unwrap();
        let runs = site.path().join(".bringup/runs");
        fs::create_dir_all(&runs).unwrap();
        let text = concat!(
            r#"{"at":1,"event":"step_ended","lane":"a","stage":"flash","step":"a/provisioned_slot","target":"bmc","outcome":"changed","ms":1}"#,
            "\n",
            r#"{"at":1,"event":"step_ended","lane":"b","stage":"flash","step":"b/provisioned_slot","target":"bmc","outcome":{"failed":{}},"ms":1}"#,
            "\n",
            r#"{"at":2,"event":"step_planned","lane":"c","stage":"move_fs","step":"c/root_device","target":"c","planned":{"known":"in_sync"}}"#,
            "\n",
            r#"{"at":2,"event":"step_planned","lane":"d","stage":"move_fs","step":"d/root_device","target":"d","planned":{"expected":"in_sync"}}"#,
            "\n",
            r#"{"at":3,"event":"step_ended","lane":"e","st"#,
        );
        fs::write(runs.join("20260101T000000Z-apply-1.jsonl"), text).unwrap();
        let known = ["a", "b", "c", "d", "e"].map(|node| in_journals(site.path(), &NodeName::new(node)));
        assert_eq!(known, [true, false, true, false, false]);
        assert!(!in_journals(&runs, &NodeName::new("a")));
    }
}
