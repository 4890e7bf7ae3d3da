//! What is known of a slot's node before anything is done to it: whether it lives, may live, or nothing speaks for it.

use std::fmt;

use crate::contract::bmc::{FlashJob, FlashMark, SlotPower};
use crate::contract::cluster::KubeNode;
use crate::contract::controller::Remembered;
use crate::contract::node::{Addresses, HostKeys, SshBanner};
use crate::contract::{Cluster, Controller, FlashFailure, FlashJobState, FlashMarkState, FlashPhase, JobPhase};
use crate::engine::Look;
use crate::ids::{BoardName, NodeName, Sha256, Slot};
use crate::run::fault::{Cause, Fault};
use crate::run::hazard::Liveness;
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
    /// Why it is thought so.
    pub because: Why,
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

/// Why a node is thought to live, or not to: one for each row of [`Signs::liveness`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// Nobody looked: only where the swarm has taken the guard out.
    NotLooked,
    /// Its image is being written.
    BeingWritten,
    /// Its Node is Ready.
    NodeReady,
    /// Its SSH server answers.
    SshAnswers,
    /// This run gave it its first power.
    BootedByThisRun,
    /// It has power and is silent.
    PoweredAndSilent,
    /// It ran after a flash that was cut off.
    LivedSinceFlash,
    /// A run cut its power, and wrote nothing.
    OnlyPowerCut,
    /// A flash was begun, nothing was written, and the cluster has its Node.
    NotWrittenAndMember,
    /// It ran after it was flashed.
    LivedAfterFlash,
    /// What was written to it was never logged in to.
    NeverLoggedIn,
    /// It is off, and the cluster has its Node.
    OffAndMember,
    /// It is off, and was known here before.
    OffAndRemembered,
    /// It is off, and nothing speaks for it.
    OffAndSilent,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotLooked => "not checked",
            Self::BeingWritten => "its image is being written",
            Self::NodeReady => "its Kubernetes Node is Ready",
            Self::SshAnswers => "its SSH server answers",
            Self::BootedByThisRun => "this run gave it power for the first time",
            Self::PoweredAndSilent => "its slot is powered on, but it is silent",
            Self::LivedSinceFlash => "its slot is off, but it ran after a flash that was cut off",
            Self::OnlyPowerCut => "a run cut its power to flash it and came no further",
            Self::NotWrittenAndMember => "its slot is off and nothing was written to it, but the cluster has its Node",
            Self::LivedAfterFlash => "its slot is off, but it ran after it was flashed",
            Self::NeverLoggedIn => "its slot is off, and what was written to it was never logged in to",
            Self::OffAndMember => "its slot is off, but the cluster has its Node",
            Self::OffAndRemembered => "its slot is off, but it was known here before",
            Self::OffAndSilent => "its slot is off and it is silent",
        })
    }
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
    /// What follows from them, and why.
    fn liveness(self) -> (Liveness, Why) {
        use Liveness::{Doubtful, Idle, Living};
        // Its Node stays Ready for a while after its power was cut.
        if self.transfer == Some(JobPhase::Running) {
            return (Idle, Why::BeingWritten);
        }
        if self.member == Some(true) {
            return (Living, Why::NodeReady);
        }
        if self.answers {
            return (Living, Why::SshAnswers);
        }
        if self.powered {
            return match self.booted_by_us {
                true => (Idle, Why::BootedByThisRun),
                false => (Doubtful, Why::PoweredAndSilent),
            };
        }
        // What once lived may live again when it gets power: somebody has switched it off.
        match self.flash {
            Some(_) if self.lived_since_flash => (Doubtful, Why::LivedSinceFlash),
            Some(FlashPhase::Flashing) if self.transfer.is_none() && self.lived_before_flash => {
                (Doubtful, Why::OnlyPowerCut)
            }
            Some(FlashPhase::Flashing) if self.transfer.is_none() && self.member.is_some() => {
                (Doubtful, Why::NotWrittenAndMember)
            }
            Some(FlashPhase::Done) => (Doubtful, Why::LivedAfterFlash),
            Some(_) => (Idle, Why::NeverLoggedIn),
            None if self.member.is_some() => (Doubtful, Why::OffAndMember),
            None if self.remembered => (Doubtful, Why::OffAndRemembered),
            None => (Idle, Why::OffAndSilent),
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
            (Liveness::Idle, Why::NotLooked)
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
        let rows = [
            (off, Idle, Why::OffAndSilent),
            (on, Doubtful, Why::PoweredAndSilent),
            (Signs { answers: true, ..off }, Living, Why::SshAnswers),
            (Signs { answers: true, ..on }, Living, Why::SshAnswers),
            (Signs { member: Some(true), ..off }, Living, Why::NodeReady),
            (Signs { member: Some(true), ..alone(on) }, Living, Why::NodeReady),
            (Signs { member: Some(false), ..off }, Doubtful, Why::OffAndMember),
            (Signs { member: Some(false), ..on }, Doubtful, Why::PoweredAndSilent),
            (Signs { remembered: true, ..off }, Doubtful, Why::OffAndRemembered),
            // What was flashed here and never logged in to cannot have anything that is missed, whoever knows its name.
            (known(transfer(Failed)), Idle, Why::NeverLoggedIn),
            (known(flash(Flashed)), Idle, Why::NeverLoggedIn),
            (known(flash(Seeded)), Idle, Why::NeverLoggedIn),
            (known(flash(Booting)), Idle, Why::NeverLoggedIn),
            (known(flash(Overdue)), Idle, Why::NeverLoggedIn),
            (flash(Flashing), Idle, Why::NeverLoggedIn),
            (Signs { remembered: true, ..flash(Flashing) }, Idle, Why::NeverLoggedIn),
            // Nothing was written, and it is a member: somebody gave it power, and it had what it had before.
            (known(flash(Flashing)), Doubtful, Why::NotWrittenAndMember),
            (since(flash(Flashing)), Doubtful, Why::LivedSinceFlash),
            (since(flash(Seeded)), Doubtful, Why::LivedSinceFlash),
            (since(flash(Overdue)), Doubtful, Why::LivedSinceFlash),
            (flash(Done), Doubtful, Why::LivedAfterFlash),
            (lived(flash(Done)), Doubtful, Why::LivedAfterFlash),
            // Its power was cut, and nothing was written yet.
            (lived(flash(Flashing)), Doubtful, Why::OnlyPowerCut),
            // It was erased, with approval.
            (lived(transfer(Running)), Idle, Why::BeingWritten),
            (lived(transfer(Failed)), Idle, Why::NeverLoggedIn),
            (lived(transfer(Succeeded)), Idle, Why::NeverLoggedIn),
            (lived(flash(Seeded)), Idle, Why::NeverLoggedIn),
            // A Node stays Ready for a while.
            (Signs { member: Some(true), ..transfer(Running) }, Idle, Why::BeingWritten),
            // bmcd 2.0.5 leaves the power on when a flash fails. Its failures name no transfer: this may be another one's, and what
            // runs in the slot may be whole.
            (Signs { powered: true, ..transfer(Failed) }, Doubtful, Why::PoweredAndSilent),
            (Signs { powered: true, answers: true, ..transfer(Failed) }, Living, Why::SshAnswers),
            (Signs { powered: true, ..transfer(Succeeded) }, Doubtful, Why::PoweredAndSilent),
            (Signs { powered: true, ..flash(Booting) }, Doubtful, Why::PoweredAndSilent),
            (Signs { powered: true, ..alone(flash(Booting)) }, Idle, Why::BootedByThisRun),
            (Signs { powered: true, ..flash(Seeded) }, Doubtful, Why::PoweredAndSilent),
            (Signs { answers: true, ..alone(flash(Booting)) }, Living, Why::SshAnswers),
        ];
        for (signs, liveness, because) in rows {
            assert_eq!(signs.liveness(), (liveness, because), "{signs:?}");
        }
    }

    /// Where a slot stands, and how the site wants it.
    struct Stand {
        force: bool,
        liveness: Liveness,
        phase: Option<FlashPhase>,
        of_another_image: bool,
        job: Option<JobPhase>,
        shows_made_key: bool,
        written_in_this_run: bool,
    }

    impl Stand {
        fn begin(&self) -> Option<Begin> {
            let slot = SlotOfNode {
                node: NodeName::new("node01"),
                board: BoardName::new("board1"),
                slot: Slot::new(1).unwrap(),
                known_as: None,
                force: self.force,
            };
            let mark = |phase| FlashMarkState {
                node: slot.node.clone(),
                phase,
                was: Liveness::Idle,
                image_sha256: Sha256::of(if self.of_another_image { "another" } else { "image" }),
                instance_id: "order".to_owned(),
                host_key: None,
                run: "earlier".to_owned(),
            };
            let job = |phase| FlashJobState {
                slot: slot.slot,
                order: Some("order".to_owned()),
                phase,
                done: None,
                total: 1,
                said: Vec::new(),
                failure: None,
            };
            let seen = SlotCondition {
                liveness: self.liveness,
                because: Why::OffAndSilent,
                powered: false,
                mark: self.phase.map(mark),
                job: self.job.map(job),
                shows_made_key: self.shows_made_key,
                written_in_this_run: self.written_in_this_run,
            };
            slot.begin(&seen, Sha256::of("image"))
        }
    }

    #[test]
    fn where_the_work_begins() {
        use FlashPhase::{Booting, Done, Flashed, Flashing, Overdue, Seeded};
        use JobPhase::{Failed, Running, Succeeded};
        let off = || Stand {
            force: false,
            liveness: Liveness::Idle,
            phase: None,
            of_another_image: false,
            job: None,
            shows_made_key: false,
            written_in_this_run: false,
        };
        let at = |phase| Stand { phase: Some(phase), ..off() };
        let transfer = |job| Stand { job: Some(job), ..at(Flashing) };
        let lives = |stand| Stand { liveness: Liveness::Living, ..stand };
        let ours = |stand| Stand { shows_made_key: true, ..lives(stand) };
        let forced = |stand| Stand { force: true, ..stand };
        let this_run = |stand| Stand { written_in_this_run: true, ..stand };
        for (row, (stand, begin)) in [
            (off(), Some(Begin::Erase)),
            (at(Flashing), Some(Begin::Erase)),
            (transfer(Running), Some(Begin::Watch)),
            (transfer(Succeeded), Some(Begin::Watch)),
            (transfer(Failed), Some(Begin::Erase)),
            (at(Flashed), Some(Begin::Seed)),
            (at(Seeded), Some(Begin::PowerOn)),
            (at(Booting), Some(Begin::FirstLogin)),
            (at(Overdue), Some(Begin::PowerCycle)),
            (at(Done), Some(Begin::Erase)),
            (Stand { of_another_image: true, ..at(Seeded) }, Some(Begin::Erase)),
            (Stand { of_another_image: true, ..transfer(Running) }, Some(Begin::Erase)),
            // What lives is left alone, but for a first login that is still to be noted.
            (lives(off()), None),
            (lives(at(Done)), None),
            (lives(at(Seeded)), None),
            (ours(at(Flashed)), None),
            (ours(at(Seeded)), Some(Begin::FirstLogin)),
            (ours(at(Booting)), Some(Begin::FirstLogin)),
            (ours(at(Overdue)), Some(Begin::FirstLogin)),
            (ours(at(Done)), None),
            (forced(lives(at(Done))), Some(Begin::Erase)),
            (forced(this_run(lives(at(Done)))), None),
            // What is on a module may be another's, or broken: the hints of a failed flash say so, and name `flash_force`.
            (forced(at(Flashed)), Some(Begin::Erase)),
            (forced(at(Seeded)), Some(Begin::Erase)),
            (forced(at(Booting)), Some(Begin::Erase)),
            (forced(at(Overdue)), Some(Begin::Erase)),
            (forced(transfer(Running)), Some(Begin::Watch)),
            // It goes on with its own work.
            (forced(this_run(at(Flashed))), Some(Begin::Seed)),
            (forced(this_run(at(Seeded))), Some(Begin::PowerOn)),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(stand.begin(), begin, "row {row}");
        }
    }
}
