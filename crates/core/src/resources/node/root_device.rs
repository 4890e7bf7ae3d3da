//! The root file system is on the disk that the site names.

use std::time::Duration;

use crate::contract::node::{BootId, Disk, JobState, RootPartition, SshBanner};
use crate::contract::{Asked, Contract, DiskState, Job, JobPhase, JobStatus};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{DiskPath, Label, NodeName, Span, Target};
use crate::resources::node::job;
use crate::resources::node::maintenance::{self, Membership};
use crate::run::change::{Change, Diff, Reason};
use crate::run::fault::{Cause, Fault};
use crate::run::hazard::{self, DiskFound, Hazard, Liveness};
use crate::sabotage::Guard;
use crate::site::Kind;

/// How long the copy may take: an eMMC of 32 GB at its slowest.
const BOUND: Duration = Duration::from_secs(3600);

/// For how long after its end a copy is what the root is, in seconds.
const COPY_LASTS: u64 = 180;

/// A node with `/` on `root_dev`.
#[derive(Debug)]
pub struct RootDevice {
    /// Which.
    pub node: NodeName,
    /// What it is: only an RK1's image brings what moves a root.
    pub kind: Kind,
    /// The disk, such as `/dev/nvme0n1`.
    pub root_dev: DiskPath,
    /// Someone sits at it, or it is the machine that this runs on: it is not rebooted.
    pub workstation: bool,
    /// How long the reboot to it may take.
    pub reboot_within: Duration,
}

/// What a look finds.
#[derive(Debug)]
pub struct Seen {
    partition: String,
    /// `None` where nobody could look yet.
    disk: Option<Option<DiskState>>,
    /// The copy runs or has run in this boot: the disk is erased already, what is missing is its end and the reboot.
    copied: Option<JobPhase>,
    membership: Membership,
}

impl RootDevice {
    fn job(&self) -> Job {
        Job::MoveRoot { disk: self.root_dev.clone() }
    }

    /// What has become of the copy that an earlier run began in this boot. One that ended a while ago has grown old: what
    /// was written since is not in it.
    async fn copied(&self, look: &Look<'_>) -> Result<Option<JobPhase>, Fault> {
        let job = self.job();
        let status =
            look.ask(&self.node, JobState { name: job.name() }).await?.filter(|status| status.hash == job.hash());
        let counts = |status: &JobStatus| match status.phase {
            JobPhase::Running => true,
            JobPhase::Succeeded => status.ended_ago.is_some_and(|seconds| seconds <= COPY_LASTS),
            JobPhase::Failed => false,
        };
        let Some(status) = status.filter(counts) else { return Ok(None) };
        let boot_id = look.ask(&self.node, BootId {}).await?;
        Ok((status.boot_id == boot_id).then_some(status.phase))
    }

    /// The disk as it is in the node that will be flashed, if that answers: a flash leaves it alone. What `/` is on
    /// now holds an older root then.
    async fn disk_before_flash(&self, look: &Look<'_>) -> Result<Option<Option<DiskState>>, Fault> {
        let look = look.at_present();
        match look.ask(&self.node, SshBanner {}).await {
            Ok(true) => {}
            // The question never reached it.
            Err(fault) if fault.cause == Cause::Unasked => return Err(fault),
            Ok(false) | Err(_) => return Ok(None),
        }
        let Ok(disk) = look.ask(&self.node, Disk { path: self.root_dev.clone() }).await else { return Ok(None) };
        Ok(Some(disk.map(|disk| DiskState {
            holds_root: disk.holds_root || disk.carries_root,
            carries_root: false,
            ..disk
        })))
    }

    /// Whether `/` is where it should be: the disk may be named by a link.
    fn holds(&self, seen: &Seen) -> bool {
        let carries_root = seen.disk.as_ref().and_then(Option::as_ref).is_some_and(|disk| disk.carries_root);
        carries_root || self.root_dev.has(&seen.partition)
    }

    fn disk_to_erase(&self, seen: Option<&Seen>) -> hazard::Disk {
        let disk = seen.and_then(|seen| seen.disk.as_ref()).and_then(Option::as_ref);
        let found = disk.map(|disk| DiskFound {
            model: disk.model.clone(),
            serial: disk.serial.clone(),
            holds: disk
                .holds_root
                .then(|| "an older root".to_owned())
                .into_iter()
                .chain(disk.file_systems.clone())
                .collect(),
        });
        hazard::Disk::At { path: self.root_dev.clone(), found }
    }
}

impl Resource for RootDevice {
    type State = Seen;

    fn label(&self) -> Label {
        Label::of(&self.node, "root_device")
    }

    fn target(&self) -> Target {
        Target::Node(self.node.clone())
    }

    fn questions(&self) -> Vec<Asked> {
        let disk = Disk { path: self.root_dev.clone() };
        let job = JobState { name: self.job().name() };
        vec![self.node.asks(RootPartition {}), self.node.asks(job), self.node.asks(disk)]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        let partition = look.ask(&self.node, RootPartition {}).await?;
        let disk = match look.ask(&self.node, Disk { path: self.root_dev.clone() }).await {
            Ok(disk) => Some(disk),
            Err(fault) if fault.cause == Cause::NotYet => self.disk_before_flash(look).await?,
            Err(fault) => return Err(fault),
        };
        let copied = self.copied(look).await?;
        Ok(Seen { partition, disk, copied, membership: Membership::of(&self.node, look).await? })
    }

    fn diff(&self, seen: &Seen) -> Diff {
        if self.holds(seen) {
            return Diff::InSync;
        }
        if self.kind != Kind::Rk1 {
            return Diff::Blocked(Reason::new(
                format!("only an RK1's image brings ubuntu-rockchip-install, and {} is none", self.node),
                "take root_dev away from this node",
            ));
        }
        if self.workstation {
            return Diff::Blocked(Reason::new(
                format!("{} is a workstation, and a root moves with a reboot", self.node),
                "move it by hand, or take root_dev away from this node",
            ));
        }
        let mounted =
            seen.disk.as_ref().and_then(Option::as_ref).map(|disk| disk.mounted.as_slice()).unwrap_or_default();
        if seen.copied.is_none() && !mounted.is_empty() {
            return Diff::Blocked(Reason::new(
                format!("{} is in use: {} is on it", self.root_dev, mounted.join(", ")),
                "if it may be erased, unmount what is on it, then run again",
            ));
        }
        if seen.disk == Some(None) {
            return Diff::Blocked(Reason::new(
                format!("there is no disk {} in {}", self.root_dev, self.node),
                "check that it is plugged in, and its name with lsblk",
            ));
        }
        Diff::Change(vec![Change::new("root", seen.partition.clone(), format!("a partition of {}", self.root_dev))])
    }

    fn hazards(&self, seen: Option<&Seen>) -> Vec<Hazard> {
        let reboot = Hazard::Reboot { node: self.node.clone() };
        if seen.is_some_and(|seen| seen.copied.is_some()) {
            return vec![reboot];
        }
        let disk = self.disk_to_erase(seen);
        vec![Hazard::Erase { node: self.node.clone(), disk, liveness: Liveness::Idle }, reboot]
    }

    fn span(&self, seen: &Seen) -> Option<Span> {
        seen.membership.needs_gate().then_some(Span::Maintenance)
    }

    async fn apply(&self, seen: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        let applied = match seen.copied {
            Some(JobPhase::Succeeded) => Applied::TookOver,
            // Watched and never started again: a copy that fails now asks for approval to erase, as the first one did.
            Some(JobPhase::Running) if act.guards().hold(Guard::Takeover) => {
                job::watch(act, &self.node, &self.job(), BOUND).await?;
                Applied::TookOver
            }
            _ => {
                maintenance::quieten(act, &self.node, seen.membership.needs_gate()).await?;
                job::see_through(act, &self.node, self.job(), BOUND).await?
            }
        };
        maintenance::reboot(act, &self.node, seen.membership.needs_gate(), self.reboot_within).await?;
        Ok(applied)
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(335)
    }

    fn patience(&self) -> Duration {
        maintenance::PATIENCE
    }
}

#[cfg(test)]
mod tests;
