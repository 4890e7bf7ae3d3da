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
    /// Our mark, if it is this node's.
    pub mark: Option<FlashMarkState>,
    /// The BMC's transfer, if it goes to this slot.
    pub job: Option<FlashJobState>,
    /// The node shows the host key that was made for it.
    pub shows_made_key: bool,
    /// It was flashed by force in this run already.
    pub forced_already: bool,
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
        let job = look.ask(&self.bmc(), FlashJob {}).await?.filter(|job| job.slot == self.slot);
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
        let forced_already = mark.as_ref().is_some_and(|mark| mark.run == look.run());
        Ok(SlotCondition { liveness, because, mark, job, shows_made_key, forced_already })
    }

    async fn liveness(
        &self,
        look: &Look<'_>,
        powered: bool,
        mark: Option<&FlashMarkState>,
        job: Option<&FlashJobState>,
    ) -> Result<(Liveness, &'static str), Fault> {
        // A cluster that does not answer cannot speak for a node; its SSH server and its power still can.
        let kube = look.ask(&Target::Cluster, KubeNode { name: self.node.clone() }).await.ok().flatten();
        if kube.as_ref().is_some_and(|kube| kube.ready) {
            return Ok((Liveness::Living, "its Kubernetes Node is Ready"));
        }
        let addresses = look.ask(&self.target(), Addresses {}).await?;
        if addresses.is_empty() {
            let question = Remembered { node: self.node.clone(), names: vec![self.known_as.clone()] };
            if kube.is_some() || look.ask(&Target::Controller, question).await? {
                return Ok((Liveness::Doubtful, "its name does not resolve, although it was known here"));
            }
        } else if look.ask(&self.target(), SshBanner {}).await? {
            return Ok((Liveness::Living, "its SSH server answers"));
        }
        let transfers = job.is_some_and(|job| job.phase == JobPhase::Running);
        let boots = mark.is_some_and(|mark| matches!(mark.phase, FlashPhase::Booting | FlashPhase::Seeded));
        if powered && !transfers && !boots {
            return Ok((Liveness::Doubtful, "its slot is powered on, but it is silent"));
        }
        let begun = mark.filter(|mark| mark.phase == FlashPhase::Flashing && job.is_none());
        if begun.is_some_and(|mark| mark.was != Liveness::Idle) {
            return Ok((Liveness::Doubtful, "a run cut its power to flash it and came no further"));
        }
        Ok((Liveness::Idle, "its slot is off and it is silent"))
    }

    /// Where the work would begin; `None` where nothing is to be done.
    pub fn begin(&self, seen: &SlotCondition, image_sha256: &str) -> Option<Begin> {
        let forces = self.force && !seen.forced_already;
        if seen.liveness == Liveness::Living && !forces {
            // It came up with the key that was made for it: what is missing is to say so.
            let unfinished = |mark: &FlashMarkState| {
                matches!(mark.phase, FlashPhase::Booting | FlashPhase::Seeded) && seen.shows_made_key
            };
            return seen.mark.as_ref().filter(|mark| unfinished(mark)).map(|_| Begin::FirstLogin);
        }
        if seen.liveness == Liveness::Living {
            return Some(Begin::Erase);
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
            FlashPhase::Done => Begin::Erase,
        })
    }
}
