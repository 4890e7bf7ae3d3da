//! A running unit has read the file that it reads only when it starts.

use std::time::Duration;

use crate::change::{Change, Diff};
use crate::deed::{Deed, UnitAction};
use crate::engine::{Act, Look};
use crate::fault::Fault;
use crate::ids::{Label, NodeName, Target};
use crate::probe::{File, Probe, Unit};
use crate::resource::{Applied, Resource};

/// A unit that, if it runs, started after the file was last written.
#[derive(Debug)]
pub struct UnitNewerThanFile {
    /// Which node.
    pub node: NodeName,
    /// The unit.
    pub unit: &'static str,
    /// The file.
    pub file: String,
}

/// What a look finds.
#[derive(Debug)]
pub struct Seen {
    stale: bool,
}

impl Resource for UnitNewerThanFile {
    type State = Seen;

    fn label(&self) -> Label {
        Label::of(&self.node, format_args!("{}-restarted", self.unit))
    }

    fn target(&self) -> Target {
        Target::Node(self.node.clone())
    }

    fn questions(&self) -> Vec<(Target, Probe)> {
        let target = Resource::target(self);
        vec![
            (target.clone(), Unit { name: self.unit.to_owned() }.into()),
            (target, File { path: self.file.clone() }.into()),
        ]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        let target = Resource::target(self);
        let unit = look.ask(&target, Unit { name: self.unit.to_owned() }).await?;
        let file = look.ask(&target, File { path: self.file.clone() }).await?;
        let stale = match (unit, file) {
            (Some(unit), Some(file)) => unit.active && unit.since < file.modified,
            _ => false,
        };
        Ok(Seen { stale })
    }

    fn diff(&self, seen: &Seen) -> Diff {
        if !seen.stale {
            return Diff::InSync;
        }
        let to = format!("restarted after {} was written", self.file);
        Diff::Change(vec![Change::new(self.unit, format!("older than {}", self.file), to)])
    }

    async fn apply(&self, _: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        let deed = Deed::Unit { name: self.unit.to_owned(), action: UnitAction::Restart };
        act.act(&Resource::target(self), deed).await?;
        Ok(Applied::Changed)
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(10)
    }
}
