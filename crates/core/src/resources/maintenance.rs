//! Taking a node down and up again without hurting the cluster that it may be part of.

use std::time::Duration;

use crate::deed::Deed;
use crate::engine::{Act, Look, Wait};
use crate::fault::{Cause, Fault};
use crate::names::{Label, NodeName, Target};
use crate::probe::{BootId, InMaintenance, KubeNode, KubeNodeState};
use crate::sabotage::Guard;

/// How long a node may take from the reboot to its next boot.
const BOOT_BOUND: Duration = Duration::from_secs(900);
/// How long its Node may take to be Ready again.
const READY_BOUND: Duration = Duration::from_secs(600);
const EVERY: Duration = Duration::from_secs(5);

/// How long a node waits for another one's maintenance.
pub(super) const PATIENCE: Duration = Duration::from_secs(1800);

/// What a node is to the cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its Node is Ready.
    pub ready: bool,
    /// It bears our mark: an earlier run took it into maintenance and did not come to the end.
    pub in_maintenance: bool,
}

impl Member {
    /// What the cluster says of a node; `None` if it knows none of that name or does not answer.
    pub(super) async fn of(node: &NodeName, look: &Look<'_>) -> Result<Option<Self>, Fault> {
        match look.ask(&Target::Cluster, KubeNode { name: node.clone() }).await {
            Ok(state) => Ok(state.map(|state| Self { ready: state.ready, in_maintenance: state.in_maintenance })),
            // No cluster yet, or none that could be asked: nothing runs there that a drain would save.
            Err(fault) if matches!(fault.cause, Cause::Unreachable | Cause::Unresolved) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Whether taking it down needs the maintenance gate.
    pub(super) fn needs_gate(self) -> bool {
        self.ready || self.in_maintenance
    }
}

/// The span that a cluster's maintenance is.
pub(super) fn span() -> Label {
    Label::of("cluster", "maintenance")
}

/// Reboots a node and waits until it is back: as a member of the cluster cordoned and drained before, uncordoned after.
pub(super) async fn reboot(act: &Act<'_>, node: &NodeName, member: Option<Member>) -> Result<(), Fault> {
    let target = Target::Node(node.clone());
    let in_cluster = member.is_some_and(Member::needs_gate);
    if in_cluster {
        clear_out(act, node).await?;
    }
    let before = act.look().ask(&target, BootId {}).await?;
    match act.act(&target, Deed::Reboot).await {
        Ok(_) => {}
        // The connection often dies of what was asked for.
        Err(fault) if fault.cause == Cause::Lost => {}
        Err(fault) => return Err(fault),
    }
    let proof = act.guards().hold(Guard::BootIdProof);
    let wait = Wait { target: &target, wanted: "the next boot", bound: BOOT_BOUND, every: EVERY };
    act.wait_until(wait, BootId {}, |now| (now != before || !proof).then_some(())).await.map_err(|fault| {
        fault
            .likely("the node hangs in shutdown or in boot, or came back with another address")
            .next("look at its console; once it is up, run again")
    })?;
    if in_cluster {
        bring_back(act, node).await?;
    }
    Ok(())
}

/// Ends a maintenance that an earlier run began: the node is up.
pub(super) async fn bring_back(act: &Act<'_>, node: &NodeName) -> Result<(), Fault> {
    let wanted = format!("Node {node} to be Ready");
    let wait = Wait { target: &Target::Cluster, wanted: &wanted, bound: READY_BOUND, every: EVERY };
    act.wait_until(wait, KubeNode { name: node.clone() }, |state| match state {
        Some(KubeNodeState { ready: true, .. }) => Some(()),
        _ => None,
    })
    .await?;
    act.act(&Target::Cluster, Deed::Uncordon { node: node.clone() }).await?;
    Ok(())
}

/// Cordons and drains a node, unless another one is in maintenance.
async fn clear_out(act: &Act<'_>, node: &NodeName) -> Result<(), Fault> {
    let cluster = Target::Cluster;
    if act.guards().hold(Guard::MaintenanceGate) {
        let others = act.look().ask(&cluster, InMaintenance {}).await?;
        if let Some(other) = others.iter().find(|other| *other != node) {
            return Err(Fault::new(Cause::Busy, cluster, format!("take {node} into maintenance"))
                .said(format!("{other} is still in maintenance"))
                .next(format!("see to it that {other} comes back, then run again")));
        }
    }
    act.act(&cluster, Deed::Cordon { node: node.clone() }).await?;
    match act.act(&cluster, Deed::Drain { node: node.clone() }).await {
        Ok(_) => Ok(()),
        Err(fault) if fault.cause == Cause::Refused => {
            // A reboot that an earlier run ordered may have begun meanwhile: only who answers is let go.
            act.look().ask(&Target::Node(node.clone()), BootId {}).await?;
            act.act(&cluster, Deed::Uncordon { node: node.clone() }).await?;
            let mut fault = fault;
            fault.cause = Cause::NotAllowed;
            Err(fault
                .likely("a disruption budget does not let its pods go")
                .next("give the workload another replica or a wider budget, then run again"))
        }
        Err(fault) => Err(fault),
    }
}
