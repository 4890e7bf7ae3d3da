//! Taking a node down and up again without hurting the cluster that it may be part of.

use std::time::Duration;

use tokio::time::Instant;

use crate::contract::cluster::{Cordon, Drain, InMaintenance, KubeNode, Uncordon};
use crate::contract::node::{BootId, K3s, PackagesBusy, Reboot};
use crate::contract::{Cluster, KubeNodeState};
use crate::engine::{Act, Look, Wait};
use crate::ids::{NodeName, Target};
use crate::resources::node::cloud_init_ended::cloud_init_ends;
use crate::run::event::Awaited;
use crate::run::fault::{Cause, Fault};
use crate::sabotage::Guard;

/// How long a node that was told to reboot may still answer: systemd gives what it stops 90 s.
const SHUTDOWN_BOUND: Duration = Duration::from_secs(240);
/// How long its Node may take to be Ready again.
const READY_BOUND: Duration = Duration::from_secs(600);
/// How long somebody else's work on a node's packages may take: unattended-upgrades on a slow module.
const LOCKS_BOUND: Duration = Duration::from_secs(3600);
const EVERY: Duration = Duration::from_secs(5);

/// How long a node waits for another one's maintenance.
pub(in crate::resources) const PATIENCE: Duration = Duration::from_secs(1800);

/// What a node is to the cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Membership {
    /// It has no Node there, or no cluster is there.
    None,
    /// It has a Node.
    Member {
        /// Its Node is Ready.
        ready: bool,
        /// It bears our mark: an earlier run took it into maintenance and did not come to the end.
        in_maintenance: bool,
    },
    /// k3s runs on it, but the cluster that could say does not answer.
    Unknown,
}

impl Membership {
    /// What the cluster says of a node; where it does not answer, what the node itself lets one think.
    pub(in crate::resources) async fn of(node: &NodeName, look: &Look<'_>) -> Result<Self, Fault> {
        match look.ask(&Cluster, KubeNode { name: node.clone() }).await {
            Ok(None) => Ok(Self::None),
            Ok(Some(KubeNodeState { ready, in_maintenance, .. })) => Ok(Self::Member { ready, in_maintenance }),
            Err(fault) if matches!(fault.cause, Cause::Unreachable | Cause::Unresolved) => {
                let k3s = look.ask(node, K3s {}).await?;
                Ok(if k3s.is_some_and(|k3s| k3s.active) { Self::Unknown } else { Self::None })
            }
            Err(fault) => Err(fault),
        }
    }

    /// Whether taking it down needs the maintenance gate.
    pub(in crate::resources) fn needs_gate(self) -> bool {
        match self {
            Self::None => false,
            Self::Member { ready, in_maintenance } => ready || in_maintenance,
            Self::Unknown => true,
        }
    }

    /// Whether a maintenance is left to be ended.
    pub(in crate::resources) fn in_maintenance(self) -> bool {
        matches!(self, Self::Member { in_maintenance: true, .. })
    }
}

/// Reboots a node and waits until it is back: as a member of the cluster cordoned and drained before, uncordoned after.
/// `gate` says whether the maintenance span is held; what needs it and came meanwhile is a fault of cause `Stale`. `within`
/// is how long the next boot is waited for.
pub(in crate::resources) async fn reboot(
    act: &Act<'_>,
    node: &NodeName,
    gate: bool,
    within: Duration,
) -> Result<(), Fault> {
    let target = Target::Node(node.clone());
    let membership = Membership::of(node, &act.look()).await?;
    if membership.needs_gate() && !gate {
        return Err(Fault::new(Cause::Stale, target, "reboot").said("it has become a member of the cluster meanwhile"));
    }
    let is_member = match membership {
        Membership::None => false,
        Membership::Member { .. } => membership.needs_gate(),
        Membership::Unknown => {
            return Err(Fault::new(Cause::Busy, target, "take it out of the cluster before its reboot")
                .said("k3s runs on it, but the cluster's API does not answer")
                .likely("the control plane is down")
                .next("see to the control plane, or stop k3s on the node if the cluster is no more; then run again"));
        }
    };
    let in_cluster = is_member && clear_out(act, node).await?;
    // Whoever unpacks a kernel now must not lose power over it.
    packages_are_free(act, node).await?;
    let before = act.look().ask(node, BootId {}).await?;
    match act.act(node, Reboot {}).await {
        Ok(_) => {}
        // The connection often dies of what was asked for.
        Err(fault) if fault.cause == Cause::Lost => {}
        Err(fault) => return Err(fault),
    }
    let proof = act.guards().hold(Guard::BootIdProof);
    let wait = Wait { of: node, awaited: Awaited::NextBoot, bound: within, every: EVERY };
    let shutdown = SHUTDOWN_BOUND.min(within);
    let ordered = Instant::now();
    let rebooted = act.wait_until(wait, BootId {}, |now| {
        if now != before || !proof { Some(true) } else { (ordered.elapsed() > shutdown).then_some(false) }
    });
    let rebooted = rebooted.await.map_err(|fault| {
        fault
            .likely("the node hangs in shutdown or in boot, or came back with another address")
            .next("look at its console; once it is up, run again")
    })?;
    if !rebooted {
        return Err(Fault::new(Cause::Passing, target, "reboot")
            .said(format!("it was told to, and is up with the same boot id after {} s", shutdown.as_secs()))
            .likely("its systemd did not do it")
            .next("see on the node why: journalctl -b; then run again"));
    }
    // sshd is up long before the boot is over.
    cloud_init_ends(act, node).await?;
    if in_cluster {
        bring_back(act, node).await?;
    }
    Ok(())
}

/// Waits until nobody is at work on a node's packages.
pub(in crate::resources) async fn packages_are_free(act: &Act<'_>, node: &NodeName) -> Result<(), Fault> {
    if !act.look().ask(node, PackagesBusy {}).await? {
        return Ok(());
    }
    let wait = Wait { of: node, awaited: Awaited::PackageLocks, bound: LOCKS_BOUND, every: EVERY };
    let freed = act.wait_until(wait, PackagesBusy {}, |busy| (!busy).then_some(())).await;
    freed.map_err(|fault| fault.likely("an upgrade hangs there").next("see who holds them: lslocks; then run again"))
}

/// Cordons and drains a node before it is copied, if it is one of the cluster's: what it writes after the copy is lost.
/// `gate` says whether the maintenance span is held.
pub(in crate::resources) async fn quieten(act: &Act<'_>, node: &NodeName, gate: bool) -> Result<(), Fault> {
    if gate {
        clear_out(act, node).await?;
    }
    Ok(())
}

/// Ends a maintenance, be it an earlier run's: the machine is up, and its Node is waited for. What was Ready before this
/// boot of it is Ready for the cluster until its lease ends.
pub(in crate::resources) async fn bring_back(act: &Act<'_>, node: &NodeName) -> Result<(), Fault> {
    let boot = act.look().ask(node, BootId {}).await?;
    let awaited = Awaited::NodeReadySinceBoot { node: node.clone() };
    let wait = Wait { of: &Cluster, awaited, bound: READY_BOUND, every: EVERY };
    act.wait_until(wait, KubeNode { name: node.clone() }, |state| match state {
        Some(KubeNodeState { ready: true, boot_id, .. }) if boot_id == boot => Some(()),
        _ => None,
    })
    .await?;
    act.act(&Cluster, Uncordon { node: node.clone() }).await?;
    Ok(())
}

/// Cordons and drains a node, unless another one is in maintenance. `false`: there was nothing to drain. The cluster takes
/// a Node for Ready for some time after its machine went; that of one which was just flashed would never be rid of its pods.
async fn clear_out(act: &Act<'_>, node: &NodeName) -> Result<bool, Fault> {
    if !act.look().ask(node, K3s {}).await?.is_some_and(|k3s| k3s.active) {
        return Ok(false);
    }
    if act.guards().hold(Guard::MaintenanceGate) {
        let others = act.look().ask(&Cluster, InMaintenance {}).await?;
        if let Some(other) = others.iter().find(|other| *other != node) {
            return Err(Fault::new(Cause::Busy, Target::Cluster, format!("take {node} into maintenance"))
                .said(format!("{other} is still in maintenance"))
                .next(format!("make sure that {other} comes back, then run again")));
        }
    }
    act.act(&Cluster, Cordon { node: node.clone() }).await?;
    match act.act(&Cluster, Drain { node: node.clone() }).await {
        Ok(_) => Ok(true),
        Err(fault) if matches!(fault.cause, Cause::Refused | Cause::TimedOut) => {
            // A reboot that an earlier run ordered may have begun meanwhile: only who answers is let go.
            act.look().ask(node, BootId {}).await?;
            act.act(&Cluster, Uncordon { node: node.clone() }).await?;
            let likely = fault.likely.is_none().then_some("a disruption budget does not let its pods go");
            let mut fault = Fault { cause: Cause::NotAllowed, ..fault };
            if let Some(likely) = likely {
                fault =
                    fault.likely(likely).next("give the workload another replica or a wider budget, then run again");
            }
            Err(fault)
        }
        Err(fault) => Err(fault),
    }
}
