//! A running unit has read the files that it reads only when it starts.

use std::time::Duration;

use crate::change::{Change, Diff};
use crate::deed::{Deed, UnitAction};
use crate::engine::{Act, Look};
use crate::fault::Fault;
use crate::ids::{Label, NodeName, Target};
use crate::probe::{File, Probe, Unit};
use crate::resource::{Applied, Resource};

/// A unit that, if it runs, started after each of these files was last written.
#[derive(Debug)]
pub struct UnitNewerThanFile {
    /// Which node.
    pub node: NodeName,
    /// The unit.
    pub unit: &'static str,
    /// The files; what is not there tells nothing.
    pub files: Vec<String>,
}

/// What a look finds.
#[derive(Debug)]
pub struct Seen {
    /// A file that is newer.
    newer: Option<String>,
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
        let files = self.files.iter().map(|path| File { path: path.clone() }.into());
        let unit = Unit { name: self.unit.to_owned() }.into();
        files.chain([unit]).map(|probe| (target.clone(), probe)).collect()
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        let target = Resource::target(self);
        let unit = look.ask(&target, Unit { name: self.unit.to_owned() }).await?;
        let Some(unit) = unit.filter(|unit| unit.active) else { return Ok(Seen { newer: None }) };
        for path in &self.files {
            let file = look.ask(&target, File { path: path.clone() }).await?;
            if file.is_some_and(|file| unit.since < file.modified) {
                return Ok(Seen { newer: Some(path.clone()) });
            }
        }
        Ok(Seen { newer: None })
    }

    fn diff(&self, seen: &Seen) -> Diff {
        let Some(file) = &seen.newer else { return Diff::InSync };
        let to = format!("restarted after {file} was written");
        Diff::Change(vec![Change::new(self.unit, format!("older than {file}"), to)])
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
