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
