//! No maintenance of ours is left open: an earlier run may have died between a node's reboot and its return, or the
//! API may not have answered when that was looked at.

use std::time::Duration;

use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, NodeName, Target};
use crate::resources::node::maintenance::{self, Membership};
use crate::run::change::{Change, Diff};
use crate::run::fault::Fault;

/// A node without our maintenance mark, once k3s runs on it.
#[derive(Debug)]
pub struct MaintenanceEnded {
    /// Which.
    pub node: NodeName,
}

impl Resource for MaintenanceEnded {
    type State = Membership;

    fn label(&self) -> Label {
        Label::of(&self.node, "maintenance")
    }

    fn target(&self) -> Target {
        Target::Cluster
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Membership, Fault> {
        Membership::of(&self.node, look).await
    }

    fn diff(&self, seen: &Membership) -> Diff {
        if seen.in_maintenance() {
            Diff::Change(vec![Change::new("maintenance", "begun by an earlier run", "ended")])
        } else {
            Diff::InSync
        }
    }

    async fn apply(&self, _: &Membership, act: &Act<'_>) -> Result<Applied, Fault> {
        maintenance::bring_back(act, &self.node).await?;
        Ok(Applied::TookOver)
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(1)
    }
}
