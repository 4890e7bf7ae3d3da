//! What is known of a slot's node before anything is done to it: whether it lives, may live, or nothing speaks for it.

use crate::contract::bmc::{FlashJob, FlashMark, SlotPower};
use crate::contract::cluster::KubeNode;
use crate::contract::controller::Remembered;
use crate::contract::node::{Addresses, HostKeys, SshBanner};
use crate::contract::{Cluster, Controller, FlashFailure, FlashJobState, FlashMarkState, FlashPhase, JobPhase};
use crate::engine::Look;
use crate::fault::{Cause, Fault};
use crate::hazard::Liveness;
use crate::ids::{BoardName, NodeName, Sha256, Slot};
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
    /// Its name in known_hosts; `None` where it is dialled by an address.
    pub known_as: Option<String>,
    /// It is flashed even if it lives, or if an earlier run's flash could be continued.
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

/// What speaks for a node's life, or against it.
#[derive(Clone, Copy, Debug, Default)]
struct Signs {
    /// Its slot has power.
    powered: bool,
    /// The transfer of the flash that was begun.
    transfer: Option<JobPhase>,
    /// How far our flash of it came.
    flash: Option<FlashPhase>,
    /// When that began, it lived or may have lived.
    lived_before_flash: bool,
    /// This run gave it its first power.
    booted_by_us: bool,
    /// The cluster has its Node; whether that is Ready.
    member: Option<bool>,
    /// An SSH server answers at its address.
    answers: bool,
    /// An earlier run knew it, or known_hosts does.
    remembered: bool,
    /// A run after the one that flashed it last had to do with it: somebody gave it power, and it came up.
    lived_since_flash: bool,
}

impl Signs {
    /// What follows from them, and why, for the operator.
    fn liveness(self) -> (Liveness, &'static str) {
        use Liveness::{Doubtful, Idle, Living};
        // Its Node stays Ready for a while after its power was cut.
        if self.transfer == Some(JobPhase::Running) {
            return (Idle, "its image is being written");
        }
        if self.member == Some(true) {
            return (Living, "its Kubernetes Node is Ready");
        }
        if self.answers {
            return (Living, "its SSH server answers");
        }
        if self.powered {
            return match self.booted_by_us {
                true => (Idle, "this run gave it power for the first time"),
                false => (Doubtful, "its slot is powered on, but it is silent"),
            };
        }
        // What once lived may live again when it gets power: somebody has switched it off.
        match self.flash {
            Some(_) if self.lived_since_flash => {
                (Doubtful, "its slot is off, but it ran after a flash that was cut off")
            }
            Some(FlashPhase::Flashing) if self.transfer.is_none() && self.lived_before_flash => {
                (Doubtful, "a run cut its power to flash it and came no further")
            }
            Some(FlashPhase::Flashing) if self.transfer.is_none() && self.member.is_some() => {
                (Doubtful, "its slot is off and nothing was written to it, but the cluster has its Node")
            }
            Some(FlashPhase::Done) => (Doubtful, "its slot is off, but it ran after it was flashed"),
            Some(_) => (Idle, "its slot is off, and what was written to it was never logged in to"),
            None if self.member.is_some() => (Doubtful, "its slot is off, but the cluster has its Node"),
            None if self.remembered => (Doubtful, "its slot is off, but it was known here before"),
            None => (Idle, "its slot is off and it is silent"),
        }
    }
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
    /// Looks at what is there now, whatever a plan makes of it later.
    pub async fn look(&self, look: &Look<'_>) -> Result<SlotCondition, Fault> {
        let look = look.at_present();
        let mark = look.ask(&self.board, FlashMark { slot: self.slot }).await?;
        let mark = mark.filter(|mark| mark.node == self.node);
        let job = look.ask(&self.board, FlashJob {}).await?;
        let job = job.filter(|job| mark.as_ref().is_some_and(|mark| self.is_of(job, mark)));
        let powered = look.ask(&self.board, SlotPower { slot: self.slot }).await?;
        let (liveness, because) = if look.guards().hold(Guard::LifeCheck) {
            self.signs(&look, powered, mark.as_ref(), job.as_ref()).await?.liveness()
        } else {
            (Liveness::Idle, "nobody looked")
        };
        let made = mark.as_ref().and_then(|mark| mark.host_key.clone());
        let shows_made_key = match made {
            Some(made) if liveness == Liveness::Living => {
                look.ask(&self.node, HostKeys {}).await.is_ok_and(|shown| shown.contains(&made))
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

    /// Asks what there is to know of the node's life.
    async fn signs(
        &self,
        look: &Look<'_>,
        powered: bool,
        mark: Option<&FlashMarkState>,
        job: Option<&FlashJobState>,
    ) -> Result<Signs, Fault> {
        let begun = mark.filter(|mark| mark.phase == FlashPhase::Flashing);
        let mut signs = Signs {
            powered,
            // Where no module showed up nothing was written.
            transfer: begun.and(job).filter(|job| job.failure != Some(FlashFailure::NoModule)).map(|job| job.phase),
            flash: mark.map(|mark| mark.phase),
            lived_before_flash: mark.is_some_and(|mark| mark.was != Liveness::Idle),
            // Only whoever gave it power knows since when it has had the time to live.
            booted_by_us: mark.is_some_and(|mark| mark.phase == FlashPhase::Booting && mark.run == look.run()),
            ..Signs::default()
        };
        if signs.transfer == Some(JobPhase::Running) {
            return Ok(signs);
        }
        // A cluster that does not answer cannot speak for a node; its SSH server and its power still can.
        let kube = match look.ask(&Cluster, KubeNode { name: self.node.clone() }).await {
            Ok(kube) => kube,
            // The question never reached it.
            Err(fault) if fault.cause == Cause::Unasked => return Err(fault),
            Err(_) => None,
        };
        signs.member = kube.map(|kube| kube.ready);
        if signs.member != Some(true) {
            let addresses = look.ask(&self.node, Addresses {}).await?;
            signs.answers = !addresses.is_empty() && look.ask(&self.node, SshBanner {}).await?;
        }
        if !powered {
            // An address may have been another machine's before: DHCP gives it again.
            let names = self.known_as.iter().cloned().collect();
            let remembered = look.ask(&Controller, Remembered { node: self.node.clone(), names }).await?;
            signs.lived_since_flash = mark.is_some_and(|mark| remembered.last_run.as_ref() > Some(&mark.run));
            signs.remembered = remembered.in_known_hosts || remembered.last_run.is_some();
        }
        Ok(signs)
    }

    /// Where the work would begin; `None` where nothing is to be done.
    pub fn begin(&self, seen: &SlotCondition, image_sha256: Sha256) -> Option<Begin> {
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
        // What was written may be on another module, or broken.
        if self.force && mark.phase > FlashPhase::Flashing && !seen.written_in_this_run {
            return Some(Begin::Erase);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_speaks_for_a_life() {
        use FlashPhase::{Booting, Done, Flashed, Flashing, Overdue, Seeded};
        use JobPhase::{Failed, Running, Succeeded};
        use Liveness::{Doubtful, Idle, Living};
        let off = Signs::default();
        let on = Signs { powered: true, ..off };
        let flash = |phase| Signs { flash: Some(phase), ..off };
        let transfer = |phase| Signs { transfer: Some(phase), ..flash(Flashing) };
        let lived = |signs| Signs { lived_before_flash: true, ..signs };
        let known = |signs| Signs { remembered: true, member: Some(false), ..signs };
        let since = |signs| Signs { remembered: true, lived_since_flash: true, ..signs };
        let alone = |signs| Signs { booted_by_us: true, ..signs };
        for (signs, liveness) in [
            (off, Idle),
            (on, Doubtful),
            (Signs { answers: true, ..off }, Living),
            (Signs { answers: true, ..on }, Living),
            (Signs { member: Some(true), ..off }, Living),
            (Signs { member: Some(true), ..alone(on) }, Living),
            (Signs { member: Some(false), ..off }, Doubtful),
            (Signs { member: Some(false), ..on }, Doubtful),
            (Signs { remembered: true, ..off }, Doubtful),
            // What was flashed here and never logged in to cannot have anything that is missed, whoever knows its name.
            (known(transfer(Failed)), Idle),
            (known(flash(Flashed)), Idle),
            (known(flash(Seeded)), Idle),
            (known(flash(Booting)), Idle),
            (known(flash(Overdue)), Idle),
            (flash(Flashing), Idle),
            (Signs { remembered: true, ..flash(Flashing) }, Idle),
            // Nothing was written, and it is a member: somebody gave it power, and it had what it had before.
            (known(flash(Flashing)), Doubtful),
            (since(flash(Flashing)), Doubtful),
            (since(flash(Seeded)), Doubtful),
            (since(flash(Overdue)), Doubtful),
            (flash(Done), Doubtful),
            (lived(flash(Done)), Doubtful),
            // Its power was cut, and nothing was written yet.
            (lived(flash(Flashing)), Doubtful),
            // It was erased, with leave.
            (lived(transfer(Running)), Idle),
            (lived(transfer(Failed)), Idle),
            (lived(transfer(Succeeded)), Idle),
            (lived(flash(Seeded)), Idle),
            // A Node stays Ready for a while.
            (Signs { member: Some(true), ..transfer(Running) }, Idle),
            // bmcd 2.0.5 leaves the power on when a flash fails. Its failures name no transfer: this may be another one's, and what
            // runs in the slot may be whole.
            (Signs { powered: true, ..transfer(Failed) }, Doubtful),
            (Signs { powered: true, answers: true, ..transfer(Failed) }, Living),
            (Signs { powered: true, ..transfer(Succeeded) }, Doubtful),
            (Signs { powered: true, ..flash(Booting) }, Doubtful),
            (Signs { powered: true, ..alone(flash(Booting)) }, Idle),
            (Signs { powered: true, ..flash(Seeded) }, Doubtful),
            (Signs { answers: true, ..alone(flash(Booting)) }, Living),
        ] {
            let (found, because) = signs.liveness();
            assert_eq!(found, liveness, "{signs:?}: {because}");
        }
    }

    /// What is on a module may be another's, or broken: the hints of a failed flash say so, and name `flash_force`.
    #[test]
    fn a_forced_flash_begins_again_where_an_earlier_one_was_not_finished() {
        use FlashPhase::{Booting, Flashed, Flashing, Overdue, Seeded};
        let image = Sha256::of("image");
        for (force, phase, written_in_this_run, begin) in [
            (false, Flashed, false, Begin::Seed),
            (true, Flashed, false, Begin::Erase),
            (true, Seeded, false, Begin::Erase),
            (true, Booting, false, Begin::Erase),
            (true, Overdue, false, Begin::Erase),
            // It goes on with its own work.
            (true, Flashed, true, Begin::Seed),
            (true, Seeded, true, Begin::PowerOn),
            (true, Flashing, false, Begin::Watch),
        ] {
            let slot = SlotOfNode {
                node: NodeName::new("node01"),
                board: BoardName::new("board1"),
                slot: Slot::new(1).unwrap(),
                known_as: None,
                force,
            };
            let mark = FlashMarkState {
                node: slot.node.clone(),
                phase,
                was: Liveness::Idle,
                image_sha256: image,
                instance_id: "order".to_owned(),
                host_key: None,
                run: "earlier".to_owned(),
            };
            let job = FlashJobState {
                slot: slot.slot,
                order: Some("order".to_owned()),
                phase: JobPhase::Running,
                done: None,
                total: 1,
                said: Vec::new(),
                failure: None,
            };
            let seen = SlotCondition {
                liveness: Liveness::Idle,
                because: "",
                powered: false,
                mark: Some(mark),
                job: Some(job),
                shows_made_key: false,
                written_in_this_run,
            };
            assert_eq!(slot.begin(&seen, image), Some(begin), "{force} {phase:?} {written_in_this_run}");
        }
    }
}
