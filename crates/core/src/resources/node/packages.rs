//! Packages are installed on a node.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::contract::node::Packages;
use crate::contract::{Asked, Contract, Job};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, NodeName, Target};
use crate::resources::node::job;
use crate::run::change::{Change, Diff};
use crate::run::fault::Fault;

const BOUND: Duration = Duration::from_secs(3600);

/// Packages that a node has, in whichever version.
#[derive(Debug)]
pub struct InstalledPackages {
    /// Which node.
    pub node: NodeName,
    /// What they are for, as the label tells it: `packages`, `gpu_packages`.
    pub purpose: &'static str,
    /// Their names.
    pub names: BTreeSet<String>,
}

impl InstalledPackages {
    fn question(&self) -> Packages {
        Packages { names: self.names.clone() }
    }
}

impl Resource for InstalledPackages {
    type State = BTreeSet<String>;

    fn label(&self) -> Label {
        Label::of(&self.node, self.purpose)
    }

    fn target(&self) -> Target {
        Target::Node(self.node.clone())
    }

    fn questions(&self) -> Vec<Asked> {
        vec![self.node.asks(self.question())]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<BTreeSet<String>, Fault> {
        look.ask(&self.node, self.question()).await
    }

    fn diff(&self, installed: &BTreeSet<String>) -> Diff {
        Diff::of(self.names.difference(installed).map(|name| Change::add(name, "installed")).collect())
    }

    async fn apply(&self, installed: &BTreeSet<String>, act: &Act<'_>) -> Result<Applied, Fault> {
        let names = self.names.difference(installed).cloned().collect();
        job::see_through(act, &self.node, Job::InstallPackages { names }, BOUND).await
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(35)
    }
}
