//! A running k3s has read the files that it reads only when it starts.

use std::time::Duration;

use crate::contract::node::{ControlUnit, File, Unit, UnitAction};
use crate::contract::{Asked, Contract, K3sRole, UnitState};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look, Wait};
use crate::ids::{Label, NodeName, Target};
use crate::resources::node::k3s::watch::K3sWatch;
use crate::run::change::{Change, Diff};
use crate::run::event::Awaited;
use crate::run::fault::{Cause, Fault};

const EVERY: Duration = Duration::from_secs(2);

/// A unit of k3s' that, if it runs, started after each of these files was last written.
#[derive(Debug)]
pub struct UnitNewerThanFile {
    /// Which node.
    pub node: NodeName,
    /// As what it runs k3s.
    pub role: K3sRole,
    /// The files; what is not there tells nothing.
    pub files: Vec<String>,
}

/// What a look finds.
#[derive(Debug)]
pub struct Seen {
    /// A file that is newer.
    newer: Option<String>,
    /// When the newest of them was written, in seconds since 1970.
    modified: u64,
}

impl Resource for UnitNewerThanFile {
    type State = Seen;

    fn label(&self) -> Label {
        Label::of(&self.node, format_args!("{}-restarted", self.role.unit()))
    }

    fn target(&self) -> Target {
        Target::Node(self.node.clone())
    }

    fn questions(&self) -> Vec<Asked> {
        let files = self.files.iter().map(|path| self.node.asks(File { path: path.clone() }));
        let unit = self.node.asks(Unit { name: self.role.unit().to_owned() });
        files.chain([unit]).collect()
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        let unit = look.ask(&self.node, Unit { name: self.role.unit().to_owned() }).await?;
        let mut seen = Seen { newer: None, modified: 0 };
        let Some(unit) = unit.filter(|unit| unit.active) else { return Ok(seen) };
        for path in &self.files {
            let file = look.ask(&self.node, File { path: path.clone() }).await?;
            let Some(file) = file.filter(|file| unit.since < file.modified) else { continue };
            seen.modified = seen.modified.max(file.modified);
            seen.newer.get_or_insert_with(|| path.clone());
        }
        Ok(seen)
    }

    fn diff(&self, seen: &Seen) -> Diff {
        let Some(file) = &seen.newer else { return Diff::InSync };
        let to = format!("restarted after {file} was written");
        Diff::Change(vec![Change::new(self.role.unit(), format!("older than {file}"), to)])
    }

    async fn apply(&self, seen: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        let name = self.role.unit().to_owned();
        act.act(&self.node, ControlUnit { name: name.clone(), action: UnitAction::Restart }).await?;
        let mut watch = K3sWatch::begin(&self.node, self.role);
        loop {
            let awaited = Awaited::K3sUp { node: self.node.clone(), role: self.role };
            let wait = Wait { of: &self.node, awaited, bound: watch.bound(), every: EVERY };
            let is_up = |unit: Option<UnitState>| {
                unit.is_some_and(|unit| unit.active && unit.since >= seen.modified).then_some(())
            };
            match act.wait_until(wait, Unit { name: name.clone() }, is_up).await {
                Err(fault) if fault.cause == Cause::TimedOut => watch.look(fault, act).await?,
                result => return result.map(|()| Applied::Changed),
            }
        }
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::node::{self, K3sTrouble};
    use crate::resources::scripted::{Script, check, file, node01};
    use crate::text::k3s_journal::{Said, StartFailure};

    #[test]
    fn k3s_is_restarted_for_what_was_written_after_its_start() {
        let unit = |active, since| {
            let state = UnitState { active, enabled: true, since };
            says!(node01(), Unit { name: "k3s-agent".to_owned() } => Some(state.clone()))
        };
        let written = |path: &str, at: Option<u64>| {
            let state = at.map(|modified| crate::contract::FileState { modified, ..file("x", 0o644) });
            says!(node01(), File { path: path.to_owned() } => state)
        };
        let both = |a, b| vec![written("/a", a), written("/b", b)];
        let journal = says!(node01(), K3sTrouble {} => Some(Said {
            message: "no such table".to_owned(),
            trouble: Some(StartFailure::Containerd),
        }));
        let none = says!(node01(), Unit { name: "k3s-agent".to_owned() } => None);
        let (restart, wait) = ("node01: restart k3s-agent", "wait for k3s-agent on node01 to be up");
        let older = "k3s-agent: older than /b → restarted after /b was written";
        let same = &["in sync"][..];
        for (what, unit_before, unit_after, mut facts, plan, run) in [
            ("no unit", none, unit(true, 60), both(Some(50), Some(50)), same, same),
            ("it does not run", unit(false, 10), unit(true, 60), both(Some(50), Some(50)), same, same),
            ("newer", unit(true, 50), unit(true, 60), both(Some(49), Some(50)), same, same),
            ("no files", unit(true, 10), unit(true, 60), both(None, None), same, same),
            ("older", unit(true, 10), unit(true, 60), both(Some(9), Some(50)), &[older], &[restart, wait, "changed"]),
            (
                "one of the files is gone",
                unit(true, 10),
                unit(true, 60),
                both(None, Some(50)),
                &[older],
                &[restart, wait, "changed"],
            ),
            // It is not up before the start is newer than the newest file.
            (
                "it does not come up",
                unit(true, 10),
                unit(true, 10),
                both(Some(9), Some(50)),
                &[older],
                &[
                    restart,
                    wait,
                    "failed: wait for k3s-agent on node01 to be up on node01: took too long (no such table)",
                ],
            ),
        ] {
            facts.extend([unit_before, journal.clone()]);
            let resource = UnitNewerThanFile {
                node: node01(),
                role: K3sRole::Agent,
                files: vec!["/a".to_owned(), "/b".to_owned()],
            };
            let told = check(what, resource, Script::new(facts).once("restart k3s-agent", [unit_after]), plan, run);
            assert!(
                told.done::<NodeName>().iter().all(|action| matches!(action, node::Action::ControlUnit(_))),
                "{what}"
            );
        }
    }
}
