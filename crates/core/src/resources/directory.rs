//! A directory is there.

use crate::change::{Change, Diff};
use crate::deed::Deed;
use crate::engine::{Act, Look};
use crate::fault::Fault;
use crate::ids::{Label, Target};
use crate::probe::{Directory, Probe};
use crate::resource::{Applied, Resource};

/// A directory with its parents.
#[derive(Debug)]
pub struct MadeDirectory {
    /// Where.
    pub target: Target,
    /// What it is for, as the label tells it.
    pub purpose: &'static str,
    /// Its path.
    pub path: String,
}

impl Resource for MadeDirectory {
    type State = bool;

    fn label(&self) -> Label {
        Label::of(&self.target, self.purpose)
    }

    fn target(&self) -> Target {
        self.target.clone()
    }

    fn questions(&self) -> Vec<(Target, Probe)> {
        vec![(self.target.clone(), Directory { path: self.path.clone() }.into())]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<bool, Fault> {
        look.ask(&self.target, Directory { path: self.path.clone() }).await
    }

    fn diff(&self, there: &bool) -> Diff {
        if *there { Diff::InSync } else { Diff::Change(vec![Change::add(&self.path, "directory")]) }
    }

    async fn apply(&self, _: &bool, act: &Act<'_>) -> Result<Applied, Fault> {
        act.act(&self.target, Deed::MakeDirectory { path: self.path.clone() }).await?;
        Ok(Applied::Changed)
    }
}
