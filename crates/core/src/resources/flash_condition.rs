//! What is known of a slot's node before anything is done to it: whether it lives, may live, or nothing speaks for it.

use crate::engine::Look;
use crate::fault::Fault;
use crate::hazard::Liveness;
use crate::names::{BoardName, NodeName, Slot, Target};
use crate::probe::{
    Addresses, FlashJob, FlashJobState, FlashMark, FlashMarkState, FlashPhase, HostKeys, JobPhase, KubeNode,
    Remembered, SlotPower, SshBanner,
};
use crate::sabotage::Guard;

/// A slot and the node in it.
#[derive(Clone, Debug)]
pub struct SlotOfNode {
    /// The node.
    pub node: NodeName,
    /// Its board.
    pub board: BoardName,
    /// Its slot.
    pub slot: Slot,
    /// Its name in known_hosts, as it is dialled.
    pub known_as: String,
    /// It is flashed even if it lives.
    pub force: bool,
}

/// What a look at a slot finds.
#[derive(Debug)]
pub struct SlotCondition {
    /// Whether the node lives.
    pub liveness: Liveness,
    /// Why it is thought so, for the operator.
    pub because: &'static str,
    /// Its slot has power.
    pub powered: bool,
    /// Our mark, if it is this node's.
    pub mark: Option<FlashMarkState>,
    /// The transfer that was started for this mark.
    pub job: Option<FlashJobState>,
    /// The node shows the host key that was made for it.
    pub shows_made_key: bool,
    /// This run has written its image already, forced or not.
    pub written_in_this_run: bool,
}

/// Where the work on a slot begins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Begin {
    /// With an erasure.
    Erase,
    /// With watching the transfer that runs.
    Watch,
    /// With the identity.
    Seed,
    /// With power taken and given: it had its time to come up.
    PowerCycle,
    /// With power.
    PowerOn,
    /// With waiting for the first login.
    FirstLogin,
}

impl SlotOfNode {
    /// The BMC.
    pub fn bmc(&self) -> Target {
        Target::Bmc(self.board.clone())
    }

    /// The node.
    pub fn target(&self) -> Target {
        Target::Node(self.node.clone())
    }

    /// Looks at what is there now, whatever a plan makes of it later.
    pub async fn look(&self, look: &Look<'_>) -> Result<SlotCondition, Fault> {
        let look = look.at_present();
        let mark = look.ask(&self.bmc(), FlashMark { slot: self.slot }).await?;
        let mark = mark.filter(|mark| mark.node == self.node);
        let job = look.ask(&self.bmc(), FlashJob {}).await?;
        let job = job.filter(|job| mark.as_ref().is_some_and(|mark| self.is_of(job, mark)));
        let powered = look.ask(&self.bmc(), SlotPower { slot: self.slot }).await?;
        let (liveness, because) = if look.guards().hold(Guard::LifeCheck) {
            self.liveness(&look, powered, mark.as_ref(), job.as_ref()).await?
        } else {
            (Liveness::Idle, "nobody looked")
        };
        let made = mark.as_ref().and_then(|mark| mark.host_key.clone());
        let shows_made_key = match made {
            Some(made) if liveness == Liveness::Living => {
                look.ask(&self.target(), HostKeys {}).await.is_ok_and(|shown| shown.contains(&made))
            }
            _ => false,
        };
        let written_in_this_run =
            mark.as_ref().is_some_and(|mark| mark.run == look.run() && mark.phase > FlashPhase::Flashing);
        Ok(SlotCondition { liveness, because, powered, mark, job, shows_made_key, written_in_this_run })
    }

    /// Whether a transfer is the one that a mark was written for.
    pub fn is_of(&self, job: &FlashJobState, mark: &FlashMarkState) -> bool {
        job.slot == self.slot && job.order.as_ref() == Some(&mark.instance_id)
    }

    async fn liveness(
        &self,
        look: &Look<'_>,
        powered: bool,
        mark: Option<&FlashMarkState>,
        job: Option<&FlashJobState>,
    ) -> Result<(Liveness, &'static str), Fault> {
        let phase = mark.map(|mark| mark.phase);
        let transfer = job.filter(|_| phase == Some(FlashPhase::Flashing)).map(|job| job.phase);
        // Its Node stays Ready for a while after its power was cut.
        if transfer == Some(JobPhase::Running) {
            return Ok((Liveness::Idle, "its image is being written"));
        }
        // A cluster that does not answer cannot speak for a node; its SSH server and its power still can.
        let kube = look.ask(&Target::Cluster, KubeNode { name: self.node.clone() }).await.ok().flatten();
        if kube.as_ref().is_some_and(|kube| kube.ready) {
            return Ok((Liveness::Living, "its Kubernetes Node is Ready"));
        }
        let addresses = look.ask(&self.target(), Addresses {}).await?;
        if !addresses.is_empty() && look.ask(&self.target(), SshBanner {}).await? {
            return Ok((Liveness::Living, "its SSH server answers"));
        }
        if powered {
            // Only whoever gave it power knows since when it has had the time to live.
            let booted_by_us = phase == Some(FlashPhase::Booting) && mark.is_some_and(|mark| mark.run == look.run());
            return Ok(if booted_by_us {
                (Liveness::Idle, "this run gave it power for the first time")
            } else {
                (Liveness::Doubtful, "its slot is powered on, but it is silent")
            });
        }
        let unused = matches!(phase, Some(FlashPhase::Flashed | FlashPhase::Seeded));
        if unused || transfer == Some(JobPhase::Succeeded) {
            return Ok((Liveness::Idle, "its slot is off, and what was written to it has not run yet"));
        }
        if addresses.is_empty() {
            let question = Remembered { node: self.node.clone(), names: vec![self.known_as.clone()] };
            if kube.is_some() || look.ask(&Target::Controller, question).await? {
                return Ok((Liveness::Doubtful, "its name does not resolve, although it was known here"));
            }
        }
        let begun = mark.filter(|mark| mark.phase == FlashPhase::Flashing && job.is_none());
        if begun.is_some_and(|mark| mark.was != Liveness::Idle) {
            return Ok((Liveness::Doubtful, "a run cut its power to flash it and came no further"));
        }
        Ok((Liveness::Idle, "its slot is off and it is silent"))
    }

    /// Where the work would begin; `None` where nothing is to be done.
    pub fn begin(&self, seen: &SlotCondition, image_sha256: &str) -> Option<Begin> {
        if seen.liveness == Liveness::Living {
            if self.force && !seen.written_in_this_run {
                return Some(Begin::Erase);
            }
            // It came up with the key that was made for it: what is missing is to say so.
            let unfinished = |mark: &FlashMarkState| {
                (FlashPhase::Seeded..FlashPhase::Done).contains(&mark.phase) && seen.shows_made_key
            };
            return seen.mark.as_ref().filter(|mark| unfinished(mark)).map(|_| Begin::FirstLogin);
        }
        let Some(mark) = seen.mark.as_ref().filter(|mark| mark.image_sha256 == image_sha256) else {
            return Some(Begin::Erase);
        };
        Some(match mark.phase {
            FlashPhase::Flashing => match seen.job.as_ref().map(|job| job.phase) {
                Some(JobPhase::Running | JobPhase::Succeeded) => Begin::Watch,
                Some(JobPhase::Failed) | None => Begin::Erase,
            },
            FlashPhase::Flashed => Begin::Seed,
            FlashPhase::Seeded => Begin::PowerOn,
            FlashPhase::Booting => Begin::FirstLogin,
            FlashPhase::Overdue => Begin::PowerCycle,
            FlashPhase::Done => Begin::Erase,
        })
    }
}
