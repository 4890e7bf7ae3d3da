//! The cluster has enough Ready nodes to carry what comes.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::contract::cluster::ReadyNodes;
use crate::contract::{Asked, Cluster, Contract};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look, Wait};
use crate::ids::{Label, NodeName, Target};
use crate::run::change::{Change, Diff};
use crate::run::event::{Awaited, Notice};
use crate::run::fault::{Cause, Fault};

/// Node lanes have ended when this is looked at: who is not Ready now is only given a little more time.
const BOUND: Duration = Duration::from_secs(180);

/// A Ready control plane, and at least one Ready worker where the site has any.
#[derive(Debug)]
pub struct ReadyWorkers {
    /// The control plane.
    pub control_plane: NodeName,
    /// The workers.
    pub workers: BTreeSet<NodeName>,
}

impl ReadyWorkers {
    fn enough(&self, ready: &BTreeSet<NodeName>) -> bool {
        ready.contains(&self.control_plane) && (self.workers.is_empty() || !self.workers.is_disjoint(ready))
    }
}

impl Resource for ReadyWorkers {
    type State = BTreeSet<NodeName>;

    fn label(&self) -> Label {
        Label::of("cluster", "ready_nodes")
    }

    fn target(&self) -> Target {
        Target::Cluster
    }

    fn questions(&self) -> Vec<Asked> {
        vec![Cluster.asks(ReadyNodes {})]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<BTreeSet<NodeName>, Fault> {
        look.ask(&Cluster, ReadyNodes {}).await
    }

    fn diff(&self, ready: &BTreeSet<NodeName>) -> Diff {
        if self.enough(ready) {
            return Diff::InSync;
        }
        let now = if ready.contains(&self.control_plane) { "no worker" } else { "no control plane" };
        Diff::Change(vec![Change::new("Ready nodes", now, "the control plane and a worker")])
    }

    fn notices(&self, ready: &BTreeSet<NodeName>) -> Vec<Notice> {
        let nodes: BTreeSet<NodeName> = self.workers.difference(ready).cloned().collect();
        if nodes.is_empty() { Vec::new() } else { vec![Notice::WithoutWorkers { nodes }] }
    }

    async fn apply(&self, _: &BTreeSet<NodeName>, act: &Act<'_>) -> Result<Applied, Fault> {
        let wait = Wait { of: &Cluster, awaited: Awaited::ReadyWorkers, bound: BOUND, every: Duration::from_secs(5) };
        act.wait_until(wait, ReadyNodes {}, |ready| self.enough(&ready).then_some(())).await.map_err(|fault| {
            if fault.cause == Cause::TimedOut {
                fault.next("see why no worker is Ready: kubectl get nodes")
            } else {
                fault
            }
        })?;
        Ok(Applied::Changed)
    }
}
