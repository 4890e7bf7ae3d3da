//! A node's first boot is over: cloud-init has done what it does, and apt's locks are its own.

use std::time::Duration;

use crate::contract::node::CloudInit;
use crate::contract::{Asked, CloudInitState, Contract};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look, Wait};
use crate::ids::{Label, NodeName, Target};
use crate::run::change::{Change, Diff, Reason};
use crate::run::event::Awaited;
use crate::run::fault::Fault;

const BOUND: Duration = Duration::from_secs(1200);

/// A node whose cloud-init has ended.
#[derive(Debug)]
pub struct CloudInitEnded {
    /// Which.
    pub node: NodeName,
}

/// Waits until a node's cloud-init has ended in this boot, well or not.
pub(in crate::resources) async fn cloud_init_ends(act: &Act<'_>, node: &NodeName) -> Result<(), Fault> {
    let wait = Wait { of: node, awaited: Awaited::CloudInit, bound: BOUND, every: Duration::from_secs(5) };
    act.wait_until(wait, CloudInit {}, |state| (state != CloudInitState::Running).then_some(())).await
}

impl Resource for CloudInitEnded {
    type State = CloudInitState;

    fn label(&self) -> Label {
        Label::of(&self.node, "cloud_init")
    }

    fn target(&self) -> Target {
        Target::Node(self.node.clone())
    }

    fn questions(&self) -> Vec<Asked> {
        vec![self.node.asks(CloudInit {})]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<CloudInitState, Fault> {
        look.ask(&self.node, CloudInit {}).await
    }

    fn diff(&self, seen: &CloudInitState) -> Diff {
        match seen {
            CloudInitState::Absent | CloudInitState::Done => Diff::InSync,
            CloudInitState::Running => Diff::Change(vec![Change::new("cloud-init", "running", "ended")]),
            CloudInitState::Failed => Diff::Blocked(Reason::new(
                "cloud-init ended with errors",
                format!("read /var/log/cloud-init.log on {}; `cloud-init status --long` names them", self.node),
            )),
        }
    }

    async fn apply(&self, _: &CloudInitState, act: &Act<'_>) -> Result<Applied, Fault> {
        cloud_init_ends(act, &self.node).await?;
        Ok(Applied::Changed)
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(35)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::scripted::{Script, check, node01};

    #[test]
    fn a_first_boot_is_waited_for_and_a_failed_one_is_told() {
        use CloudInitState::{Absent, Done, Failed, Running};
        const WAIT: &str = "wait for cloud-init to end";
        let ended = ["cloud-init: running → ended"];
        for (what, answers, plan, run) in [
            ("none", says!(node01(), CloudInit {} => Absent), &["in sync"][..], &["in sync"][..]),
            ("done", says!(node01(), CloudInit {} => Done), &["in sync"], &["in sync"]),
            (
                "failed",
                says!(node01(), CloudInit {} => Failed),
                &["blocked: cloud-init ended with errors"],
                &["blocked: cloud-init ended with errors"],
            ),
            ("running", says!(node01(), CloudInit {} => Running, Running, Done), &ended, &[WAIT, "changed"]),
            (
                "running, then failed",
                says!(node01(), CloudInit {} => Running, Failed),
                &ended,
                &[WAIT, "did not converge: blocked: cloud-init ended with errors"],
            ),
            (
                "running for ever",
                says!(node01(), CloudInit {} => Running),
                &ended,
                &[WAIT, "failed: wait for cloud-init to end on node01: took too long (not so after 1200 s)"],
            ),
        ] {
            check(what, CloudInitEnded { node: node01() }, Script::new([answers]), plan, run);
        }
    }
}
