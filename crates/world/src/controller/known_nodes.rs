//! `.bringup/known.json`: the nodes of a site that a run ever flashed, spoke to or had in the cluster. A slot whose node
//! is in it is not erased without its name, even if the slot is off and silent. It is never pruned, and journals, which
//! are history and may be deleted, decide nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use bringup_core::ids::{Label, NodeName, StageName, Target};
use bringup_core::run::change::Planned;
use bringup_core::run::event::{Event, Log, Unreadable, What};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use crate::files::site_files;
use crate::files::state_directory::StateDirectory;

const NAME: &str = "known.json";
/// The format that is written. A later one is not read: what it knows would be lost.
const FORMAT: u32 = 1;
/// The most that is read of one journal, in bytes.
const JOURNAL: u64 = 64 << 20;

/// What a run learned of a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Milestone {
    /// It was logged in to.
    Answered,
    /// It was flashed and logged in to.
    Flashed,
    /// It runs k3s for the cluster.
    Joined,
}

/// By the node's name, the runs in which each was learned first and last.
type Nodes = BTreeMap<String, BTreeMap<Milestone, Runs>>;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Runs {
    first: String,
    last: String,
}

impl Runs {
    fn of(run: &str) -> Self {
        Self { first: run.to_owned(), last: run.to_owned() }
    }
}

#[derive(Serialize, Deserialize)]
struct Text {
    format: u32,
    nodes: Nodes,
}

/// The nodes that are known, and where that is kept.
#[derive(Debug)]
pub struct KnownNodes {
    directory: StateDirectory,
    nodes: Nodes,
}

impl KnownNodes {
    /// Reads what is kept of the site in this directory. The first time it is made from the journals that are there.
    ///
    /// # Errors
    /// When it cannot be read or written, or a later version of bringup wrote it.
    pub fn open(site: &Path) -> io::Result<Self> {
        let directory = StateDirectory::of_site(site)?;
        let Some(nodes) = read(&directory)? else {
            let known = Self { nodes: in_journals(&directory.path().join("runs"))?, directory };
            known.write()?;
            return Ok(known);
        };
        Ok(Self { directory, nodes })
    }

    /// Keeps what an event of this run tells. It is on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn learn(&mut self, run: &str, event: &Event) -> io::Result<()> {
        let Some((node, milestone)) = learned_from(&event.what) else { return Ok(()) };
        let known = self.nodes.entry(node.to_string()).or_default();
        let before = known.get(&milestone).cloned();
        if before.as_ref().is_some_and(|runs| runs.last == run) {
            return Ok(());
        }
        let first = before.as_ref().map_or(run, |runs| &runs.first).to_owned();
        known.insert(milestone, Runs { first, last: run.to_owned() });
        let written = self.write();
        if written.is_err() {
            // The next event that tells it is another try.
            let known = self.nodes.entry(node.to_string()).or_default();
            match before {
                Some(runs) => known.insert(milestone, runs),
                None => known.remove(&milestone),
            };
        }
        written
    }

    fn write(&self) -> io::Result<()> {
        let text = Text { format: FORMAT, nodes: self.nodes.clone() };
        let mut bytes = serde_json::to_vec_pretty(&text)?;
        bytes.push(b'\n');
        self.directory.replace(NAME, &bytes)
    }
}

/// The last run that knew a node of the site in this directory. The run has opened what is kept before.
pub(crate) fn last_run(site: &Path, node: &NodeName) -> io::Result<Option<String>> {
    let nodes = read(&StateDirectory::of_site(site)?)?;
    let known = nodes.as_ref().and_then(|nodes| nodes.get(node.as_str()));
    Ok(known.and_then(|known| known.values().map(|runs| runs.last.clone()).max()))
}

/// `None`: there is none yet.
fn read(directory: &StateDirectory) -> io::Result<Option<Nodes>> {
    let path = directory.path().join(NAME);
    let mut text = Vec::new();
    match directory.open(NAME, OFlags::RDONLY) {
        Ok(file) => file.take(site_files::MOST).read_to_end(&mut text)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let odd = |why: String| {
        let message = format!("{}: {why}; delete it only if no slot of this site holds data", path.display());
        io::Error::new(ErrorKind::InvalidData, message)
    };
    parse(&text).map(Some).map_err(odd)
}

/// What is kept, or why it is not known.
fn parse(text: &[u8]) -> Result<Nodes, String> {
    let text: Text = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if text.format > FORMAT {
        return Err(format!("format {} was written by a later version of bringup", text.format));
    }
    Ok(text.nodes)
}

/// Whether a text is what is kept, or a journal that tells of a node; see [`crate::fuzzing`].
#[cfg(any(test, fuzzing))]
pub(crate) fn is_understood(text: &[u8]) -> bool {
    parse(text).is_ok() || in_journal("fuzzed", text).is_ok_and(|nodes| !nodes.is_empty())
}

fn learned_from(what: &What) -> Option<(NodeName, Milestone)> {
    match what {
        What::StepEnded { lane, stage, step, target, outcome, .. } if outcome.holds() => match target {
            Target::Node(node) if *stage == StageName::K3s && is_k3s(step, node) => {
                Some((node.clone(), Milestone::Joined))
            }
            Target::Node(node) => Some((node.clone(), Milestone::Answered)),
            _ if is_slot(step, lane) => Some((NodeName::new(lane.as_str()), Milestone::Flashed)),
            _ => None,
        },
        What::StepPlanned { target: Target::Node(node), planned: Planned::Known(_), .. } => {
            Some((node.clone(), Milestone::Answered))
        }
        _ => None,
    }
}

fn is_k3s(step: &Label, node: &NodeName) -> bool {
    ["k3s_server", "k3s_agent"].iter().any(|what| *step == Label::of(node, what))
}

fn is_slot(step: &Label, lane: &Label) -> bool {
    *step == Label::of(lane, "provisioned_slot")
}

/// The nodes that the journals of plans and runs in this directory know. A rehearsal's knows simulated ones.
fn in_journals(runs: &Path) -> io::Result<Nodes> {
    let mut nodes = Nodes::new();
    let entries = match fs::read_dir(runs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(nodes),
        Err(error) => return Err(error),
    };
    let journals: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut journals = journals?;
    journals.sort_unstable();
    for journal in journals {
        let run = journal.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !["-plan-", "-apply-"].iter().any(|command| run.contains(command)) {
            continue;
        }
        let at = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", journal.display()));
        let file = site_files::open(&journal).map_err(at)?;
        for (node, milestones) in in_journal(&run, file.take(JOURNAL)).map_err(at)? {
            let known = nodes.entry(node).or_default();
            for (milestone, runs) in milestones {
                known.entry(milestone).or_insert(runs).last.clone_from(&run);
            }
        }
    }
    Ok(nodes)
}

/// The nodes that a run's journal knows. A line that is cut off says nothing; a later format is refused.
fn in_journal(run: &str, journal: impl io::Read) -> io::Result<Nodes> {
    let (mut nodes, mut log) = (Nodes::new(), Log::default());
    for line in BufReader::new(journal).split(b'\n') {
        let event = match log.read(&line?) {
            Ok(record) => record.event,
            Err(Unreadable::NotAnEvent(_)) => None,
            Err(newer @ Unreadable::Newer(_)) => {
                let message =
                    format!("{newer}; use that version, or move the journal away if no slot of this site holds data");
                return Err(io::Error::new(ErrorKind::InvalidData, message));
            }
        };
        if let Some((node, milestone)) = event.as_ref().and_then(|event| learned_from(&event.what)) {
            nodes.entry(node.to_string()).or_default().entry(milestone).or_insert_with(|| Runs::of(run));
        }
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use bringup_core::run::change::Outcome;
    use serde_json::Value;

    use super::*;

    fn ended(lane: &str, stage: StageName, step: &str, target: Target) -> Event {
        let (lane, step) = (Label::new(lane), Label::new(step));
        Event { at: 1, what: What::StepEnded { lane, stage, step, target, outcome: Outcome::Changed, ms: 1 } }
    }

    fn node(name: &str) -> Target {
        Target::Node(NodeName::new(name))
    }

    fn text(site: &Path) -> String {
        fs::read_to_string(site.join(".bringup/known.json")).unwrap()
    }

    #[test]
    fn the_first_time_it_is_made_from_journals_of_plans_and_runs() {
        let site = tempfile::tempdir().unwrap();
        drop(KnownNodes::open(site.path()).unwrap());
        fs::remove_file(site.path().join(".bringup/known.json")).unwrap();
        let runs = site.path().join(".bringup/runs");
        fs::create_dir_all(&runs).unwrap();
        let apply = concat!(
            r#"{"at":1,"event":"step_ended","lane":"a","stage":"flash","step":"a/provisioned_slot","target":"bmc","outcome":"changed","ms":1}"#,
            "\n",
            r#"{"at":1,"event":"step_ended","lane":"b","stage":"flash","step":"b/provisioned_slot","target":"bmc","outcome":{"failed":{}},"ms":1}"#,
            "\n",
            r#"{"at":2,"event":"step_planned","lane":"c","stage":"move_fs","step":"c/root_device","target":"c","planned":{"known":"in_sync"}}"#,
            "\n",
            r#"{"at":2,"event":"step_planned","lane":"d","stage":"move_fs","step":"d/root_device","target":"d","planned":{"expected":"in_sync"}}"#,
            "\n",
            r#"{"at":2,"event":"step_ended","lane":"f","stage":"k3s","step":"f/k3s_agent","target":"f","outcome":"in_sync","ms":1}"#,
            "\n",
            r#"{"at":3,"event":"step_ended","lane":"e","st"#,
        );
        let rehearsal = r#"{"at":2,"event":"step_ended","lane":"g","stage":"k3s","step":"g/k3s_agent","target":"g","outcome":"in_sync","ms":1}"#;
        fs::write(runs.join("20260101T000000Z-apply-1.jsonl"), apply).unwrap();
        fs::write(runs.join("20260101T000000Z-rehearse-1.jsonl"), rehearsal).unwrap();
        drop(KnownNodes::open(site.path()).unwrap());
        let known = ["a", "b", "c", "d", "e", "f", "g"]
            .map(|node| last_run(site.path(), &NodeName::new(node)).unwrap().is_some());
        assert_eq!(known, [true, false, true, false, false, true, false]);

        // They are read once.
        fs::remove_dir_all(&runs).unwrap();
        drop(KnownNodes::open(site.path()).unwrap());
        let last = last_run(site.path(), &NodeName::new("a")).unwrap();
        assert_eq!(last.as_deref(), Some("20260101T000000Z-apply-1"));
    }

    #[test]
    fn a_journal_of_today_is_read_and_one_of_a_later_format_refused() {
        let site = tempfile::tempdir().unwrap();
        let runs = site.path().join(".bringup/runs");
        fs::create_dir_all(&runs).unwrap();
        fs::set_permissions(site.path().join(".bringup"), fs::Permissions::from_mode(0o700)).unwrap();
        let started = |format| {
            let (run, site, pass) = ("r".to_owned(), "s".to_owned(), bringup_core::run::event::Pass::Apply);
            Event { at: 0, what: What::RunStarted { format, run, site, pass, lanes: Vec::new() } }
        };
        let board = Target::Bmc(bringup_core::ids::BoardName::new("bmc"));
        let flashed = ended("n1", StageName::Flash, "n1/provisioned_slot", board);
        let write = |format| {
            let lines = [started(format), flashed.clone()].map(|event| serde_json::to_string(&event).unwrap());
            fs::write(runs.join("20260101T000000Z-apply-1.jsonl"), lines.join("\n")).unwrap();
        };
        write(bringup_core::run::event::FORMAT + 1);
        let error = KnownNodes::open(site.path()).unwrap_err().to_string();
        assert!(error.contains("apply-1.jsonl: format 2 was written by a later version"), "{error}");
        write(bringup_core::run::event::FORMAT);
        drop(KnownNodes::open(site.path()).unwrap());
        assert!(last_run(site.path(), &NodeName::new("n1")).unwrap().is_some());
    }

    #[test]
    fn each_milestone_is_kept_with_its_first_run_and_its_last() {
        let site = tempfile::tempdir().unwrap();
        let mut known = KnownNodes::open(site.path()).unwrap();
        let board = Target::Bmc(bringup_core::ids::BoardName::new("bmc"));
        for run in ["one", "two"] {
            known.learn(run, &ended("n1", StageName::Flash, "n1/provisioned_slot", board.clone())).unwrap();
            known.learn(run, &ended("n1", StageName::UpdatePackages, "n1/packages", node("n1"))).unwrap();
            known.learn(run, &ended("n1", StageName::K3s, "n1/k3s_agent", node("n1"))).unwrap();
            known.learn(run, &ended("cluster", StageName::Cluster, "cluster/x", Target::Cluster)).unwrap();
        }
        let kept: Value = serde_json::from_str(&text(site.path())).unwrap();
        let both = serde_json::json!({"first": "one", "last": "two"});
        let runs = serde_json::json!({"answered": both, "flashed": both, "joined": both});
        assert_eq!(kept, serde_json::json!({"format": 1, "nodes": {"n1": runs}}));
        let mode = fs::metadata(site.path().join(".bringup/known.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_nothing() {
        let site = tempfile::tempdir().unwrap();
        drop(KnownNodes::open(site.path()).unwrap());
        for text in ["", "{\"format\": 1, \"nodes\"", "{\"format\": 2, \"nodes\": {}}"] {
            fs::write(site.path().join(".bringup/known.json"), text).unwrap();
            let error = last_run(site.path(), &NodeName::new("a")).unwrap_err().to_string();
            assert!(error.contains("known.json"), "{error}");
            assert!(KnownNodes::open(site.path()).is_err(), "{text}");
        }
    }
}
