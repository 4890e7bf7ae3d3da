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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::scripted::{Script, check};

    #[test]
    fn a_cluster_is_set_up_on_a_control_plane_and_a_worker() {
        let names = |names: &[&str]| -> BTreeSet<NodeName> { names.iter().map(NodeName::new).collect() };
        let wait = "wait for enough Ready nodes";
        let in_sync = &["in sync"][..];
        let without = "note: WithoutWorkers";
        let no_worker = "Ready nodes: no worker → the control plane and a worker";
        let no_control_plane = "Ready nodes: no control plane → the control plane and a worker";
        let all = ["cp", "w1", "w2"];
        for (what, workers, ready, later, plan, run) in [
            ("all", &["w1", "w2"][..], &all[..], &all[..], in_sync, in_sync),
            ("one worker", &["w1", "w2"], &["cp", "w2"], &all, &[without, "in sync"], in_sync),
            ("no worker", &["w1", "w2"], &["cp"], &["cp", "w1"], &[without, no_worker], &[wait, "changed"]),
            // A node that the site does not have carries nothing of it.
            (
                "a stranger",
                &["w1", "w2"],
                &["cp", "x"],
                &["cp", "x"],
                &[without, no_worker],
                &[wait, "failed: wait for enough Ready nodes on cluster: took too long (not so after 180 s)"],
            ),
            ("workers alone", &["w1", "w2"], &["w1", "w2"], &all, &[no_control_plane], &[wait, "changed"]),
            ("a site without workers", &[], &["cp"], &["cp"], in_sync, in_sync),
            ("a site without workers, not Ready", &[], &[], &["cp"], &[no_control_plane], &[wait, "changed"]),
        ] {
            let script = Script::new([says!(Cluster, ReadyNodes {} => names(ready), names(ready), names(later))]);
            let resource = ReadyWorkers { control_plane: NodeName::new("cp"), workers: names(workers) };
            check(what, resource, script, plan, run);
        }
    }
}
