//! A node's GPU has a driver.

use std::time::Duration;

use crate::contract::node::GpuDriver;
use crate::contract::{Asked, Contract, Job};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, NodeName, Target};
use crate::resources::node::job;
use crate::run::change::{Change, Diff};
use crate::run::fault::Fault;

const BOUND: Duration = Duration::from_secs(7200);

/// A node with an NVIDIA driver, whichever `ubuntu-drivers` chooses.
#[derive(Debug)]
pub struct GpuDriverInstalled {
    /// Which.
    pub node: NodeName,
}

impl Resource for GpuDriverInstalled {
    type State = Option<String>;

    fn label(&self) -> Label {
        Label::of(&self.node, "gpu_driver")
    }

    fn target(&self) -> Target {
        Target::Node(self.node.clone())
    }

    fn questions(&self) -> Vec<Asked> {
        vec![self.node.asks(GpuDriver {})]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Option<String>, Fault> {
        look.ask(&self.node, GpuDriver {}).await
    }

    fn diff(&self, seen: &Option<String>) -> Diff {
        match seen {
            Some(_) => Diff::InSync,
            None => Diff::Change(vec![Change::add("GPU driver", "as ubuntu-drivers chooses")]),
        }
    }

    async fn apply(&self, _: &Option<String>, act: &Act<'_>) -> Result<Applied, Fault> {
        job::see_through(act, &self.node, Job::InstallGpuDriver, BOUND).await
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(280)
    }
}
