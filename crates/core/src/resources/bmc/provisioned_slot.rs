//! A module carries an operating system of ours and has been logged in to with the key that was made for it.
//!
//! One resource from power-off to the first login: in between the node cannot be looked at like anything else. A mark
//! on the BMC tells the next run how far this one came.

use std::time::Duration;

use crate::contract::bmc::{
    CloudSeed, Console, FlashJob, ImageFile, ImageIsFit, ImageSource, PowerOff, PowerOn, SeedCloudInit, SlotPower,
    StartFlash, WaitingModules, WriteFlashMark,
};
use crate::contract::controller::NewHostKey;
use crate::contract::node::{Addresses, BootId, HostKeys, SshBanner};
use crate::contract::{Contract, Controller, FlashJobState, FlashMarkState, FlashPhase, JobPhase};
use crate::engine::resource::{Applied, Renewal, Resource};
use crate::engine::{Act, Look, Wait};
use crate::ids::{Label, Span, Target};
use crate::resources::bmc::flash_condition::{Begin, SlotCondition, SlotOfNode};
use crate::resources::bmc::staged_image;
use crate::resources::known_host;
use crate::resources::renewed;
use crate::run::change::{Change, Diff};
use crate::run::event::Awaited;
use crate::run::fault::{Cause, Fault};
use crate::run::hazard::{Disk, Hazard, Liveness};
use crate::sabotage::Guard;
use crate::site::{FlashTransport, Image};
use crate::text::known_hosts::HostKey;

/// How long another slot's transfer is waited for.
const BUSY_BOUND: Duration = Duration::from_secs(3600);
/// How long a silent node is given: it may be on its way through a reboot.
const REBOOT_BOUND: Duration = Duration::from_secs(180);
/// How long a module that lost its power may still be seen on USB.
const USB_GONE_BOUND: Duration = Duration::from_secs(10);
/// How often a node is looked for.
const EVERY: Duration = Duration::from_secs(5);

/// A slot whose module is flashed, seeded and booted.
#[derive(Debug)]
pub struct ProvisionedSlot {
    /// The slot and its node.
    pub slot: SlotOfNode,
    /// The image of its kind.
    pub image: Image,
    /// Where the controller keeps the image.
    pub cached: String,
    /// Where the BMC has it.
    pub staged: String,
    /// How it comes to the module.
    pub transport: FlashTransport,
    /// Account that cloud-init makes.
    pub account: String,
    /// Keys that may log in to it.
    pub public_keys: Vec<String>,
    /// The user's known_hosts file.
    pub known_hosts: String,
    /// The host and port that it is dialled by.
    pub dialled: (String, u16),
    /// It is the control plane: with it the cluster begins anew.
    pub control_plane: bool,
    /// How long writing the image usually takes.
    pub usual_flash: Duration,
    /// How long the way from power-on to the first login usually is.
    pub usual_boot: Duration,
    /// How long it may be: a first boot grows the file system and makes accounts.
    pub boot_within: Duration,
}

impl ProvisionedSlot {
    fn begin(&self, seen: &SlotCondition) -> Option<Begin> {
        self.slot.begin(seen, self.image.sha256)
    }

    /// The mark of a flash that begins.
    fn mark(&self, was: Liveness, run: &str) -> FlashMarkState {
        FlashMarkState {
            node: self.slot.node.clone(),
            phase: FlashPhase::Flashing,
            was,
            image_sha256: self.image.sha256,
            instance_id: format!("{}-{run}", self.slot.node),
            host_key: None,
            run: run.to_owned(),
        }
    }

    async fn write(&self, act: &Act<'_>, mark: &FlashMarkState) -> Result<(), Fault> {
        act.act(&self.slot.board, WriteFlashMark { slot: self.slot.slot, phase: mark.phase, mark: mark.clone() }).await
    }

    /// The bus is one, and so is the transfer: one that an earlier run began to another slot would be cancelled by ours.
    /// Whoever it belongs to sees it through first.
    async fn bus_is_free(&self, act: &Act<'_>, mark: Option<&FlashMarkState>) -> Result<(), Fault> {
        if !act.guards().hold(Guard::UsbSpan) {
            return Ok(());
        }
        let bmc = &self.slot.board;
        let job = act.look().ask(bmc, FlashJob {}).await?;
        let others = |job: &FlashJobState| {
            job.phase == JobPhase::Running && !mark.is_some_and(|mark| self.slot.is_of(job, mark))
        };
        let Some(job) = job.filter(others) else { return Ok(()) };
        Err(Fault::new(Cause::Busy, bmc.target(), format!("use the USB bus for slot {}", self.slot.slot))
            .said(format!("slot {} is being flashed", job.slot))
            .next(format!(
                "run without --limit, so that slot {}'s flash is seen through; one that hangs ends with the BMC's \
                 daemon: /etc/init.d/S94bmcd restart, which may cut the power of the board's other nodes for some seconds",
                job.slot
            )))
    }

    fn source(&self) -> ImageSource {
        match self.transport {
            FlashTransport::Staged => ImageSource::Staged(self.staged.clone()),
            FlashTransport::Stream => ImageSource::Streamed(self.cached.clone()),
        }
    }

    /// The bytes to write are an image, and where they will be read from, before anything is erased for them. To fetch them may take
    /// long: what was seen before is looked at again.
    async fn image_is_there(&self, act: &Act<'_>, seen: &SlotCondition) -> Result<(), Fault> {
        let (source, sha256) = (self.source(), self.image.sha256);
        if self.transport == FlashTransport::Staged {
            self.still_staged(act).await?;
            return act.look().ask(&self.slot.board, ImageIsFit { source, sha256 }).await;
        }
        staged_image::fetch(act, &self.image, &self.cached).await?;
        act.look().ask(&self.slot.board, ImageIsFit { source, sha256 }).await?;
        let now = self.slot.look(&act.look()).await?;
        if now.liveness <= seen.liveness && self.begin(&now) == Some(Begin::Erase) {
            return Ok(());
        }
        Err(Fault::new(Cause::Stale, self.slot.board.target(), format!("flash slot {}", self.slot.slot))
            .said(now.because.to_string()))
    }

    /// Erases: mark, power off, begin to write. The mark comes first, so that a node which loses its power here is not
    /// taken for one that was off.
    async fn erase(&self, act: &Act<'_>, mark: &FlashMarkState) -> Result<(), Fault> {
        let bmc = &self.slot.board;
        self.write(act, mark).await?;
        act.act(bmc, PowerOff { slot: self.slot.slot }).await?;
        self.no_neighbour_waits(act).await?;
        let flash = StartFlash {
            slot: self.slot.slot,
            node: self.slot.node.clone(),
            order: mark.instance_id.clone(),
            source: self.source(),
            sha256: self.image.sha256,
        };
        act.act(bmc, flash).await
    }

    /// Makes sure that no other module could be written instead of this one, which is off or runs by itself now. On a board
    /// with a USB hub bmcd takes the first module that waits for a boot over USB, whatever slot is asked for.
    async fn no_neighbour_waits(&self, act: &Act<'_>) -> Result<(), Fault> {
        let bmc = &self.slot.board;
        let wait =
            Wait { of: bmc, awaited: Awaited::NoWaitingModule, bound: USB_GONE_BOUND, every: Duration::from_secs(1) };
        let gone = act.wait_until(wait, WaitingModules {}, |modules| modules.is_empty().then_some(())).await;
        let Err(fault) = gone else { return Ok(()) };
        if fault.cause != Cause::TimedOut {
            return Err(fault);
        }
        let waiting = act.look().ask(bmc, WaitingModules {}).await?;
        let slot = self.slot.slot;
        Err(Fault::new(Cause::Refused, bmc.target(), format!("write to slot {slot}"))
            .said(format!("a module waits on the BMC's USB bus that is not slot {slot}'s: {}", waiting.join(", ")))
            .likely("the module of another slot waits for a boot over USB; it would be written instead of this one")
            .next("find the slot that is in that mode and switch it off (`bringup power off NODE`); then run again"))
    }

    /// The bytes on the card may have gone since they were put there; what is erased for them must not be in vain.
    async fn still_staged(&self, act: &Act<'_>) -> Result<(), Fault> {
        let file = act.look().ask(&self.slot.board, ImageFile { path: self.staged.clone() }).await?;
        if file.is_some_and(|file| file.sha256 == self.image.sha256) {
            return Ok(());
        }
        Err(Fault::new(Cause::Mismatch, self.slot.board.target(), format!("flash slot {}", self.slot.slot))
            .said(format!("{} is not the image that the site names", self.staged))
            .next("run again: it is put there anew"))
    }

    /// Gives the module its identity; known_hosts has it before there is power.
    async fn seed(&self, act: &Act<'_>, mark: &mut FlashMarkState) -> Result<(), Fault> {
        let (slot, hostname) = (self.slot.slot, self.slot.node.to_string());
        let new = NewHostKey { comment: hostname.clone(), order: mark.instance_id.clone() };
        let host_key = act.look().ask(&Controller, new).await?;
        let public = host_key.public.clone();
        let seed = CloudSeed {
            hostname,
            account: self.account.clone(),
            public_keys: self.public_keys.clone(),
            instance_id: mark.instance_id.clone(),
            host_key,
        };
        act.act(&self.slot.board, SeedCloudInit { slot, node: self.slot.node.clone(), seed }).await?;
        mark.host_key = Some(public);
        mark.phase = FlashPhase::Seeded;
        self.write(act, mark).await
    }

    async fn record_key(&self, act: &Act<'_>, mark: &FlashMarkState) -> Result<(), Fault> {
        let Some(key) = mark.host_key.clone() else { return Ok(()) };
        let (host, port) = &self.dialled;
        let addresses = act.look().ask(&self.slot.node, Addresses {}).await.unwrap_or_default();
        let names = known_host::names(host, *port, &addresses);
        act.holding(Span::KnownHosts, known_host::record(act, &self.known_hosts, &names, &[key])).await
    }

    /// Gives it power, if it has none. That is said first: who finds it powered shall know by whom.
    async fn give_power(&self, act: &Act<'_>, mark: &mut FlashMarkState) -> Result<(), Fault> {
        let (bmc, slot) = (&self.slot.board, self.slot.slot);
        if act.look().ask(bmc, SlotPower { slot }).await? {
            return Ok(());
        }
        act.run().clone_into(&mut mark.run);
        mark.phase = FlashPhase::Booting;
        self.write(act, mark).await?;
        act.act(bmc, PowerOn { slot }).await
    }

    /// Waits until the node answers with the key that was made for it and lets us in. One that this run gave power to
    /// and that does not come gets it anew, once: nobody has used it yet. Any other may be in use, and is left.
    async fn first_login(&self, act: &Act<'_>, mark: &mut FlashMarkState) -> Result<(), Fault> {
        let Some(expected) = mark.host_key.clone() else { return Ok(()) };
        let mut shown = self.shows(act, &expected).await;
        let ours = mark.run == act.run() && mark.phase == FlashPhase::Booting;
        if ours && matches!(&shown, Err(fault) if fault.cause == Cause::TimedOut) {
            act.holding(self.usb(), async {
                self.bus_is_free(act, Some(mark)).await?;
                // The bus may have been waited for: one that has come up meanwhile is left alone.
                if act.look().ask(&self.slot.node, SshBanner {}).await? {
                    return Ok(());
                }
                act.act(&self.slot.board, PowerOff { slot: self.slot.slot }).await?;
                self.give_power(act, mark).await
            })
            .await?;
            shown = self.shows(act, &expected).await;
        }
        match shown {
            Err(fault) if fault.cause == Cause::TimedOut => Err(self.overdue(act, mark, fault).await?),
            result => result,
        }?;
        let node = &self.slot.node;
        let wait = Wait { of: node, awaited: Awaited::FirstLogin, bound: self.boot_within, every: EVERY };
        act.wait_until(wait, BootId {}, |_| Some(())).await
    }

    async fn shows(&self, act: &Act<'_>, expected: &HostKey) -> Result<(), Fault> {
        let node = &self.slot.node;
        let wait = Wait { of: node, awaited: Awaited::MadeHostKey, bound: self.boot_within, every: EVERY };
        act.wait_until(wait, HostKeys {}, |shown| shown.contains(expected).then_some(())).await
    }

    /// Marks a node that did not come up in time; the fault with what its console says.
    async fn overdue(&self, act: &Act<'_>, mark: &mut FlashMarkState, fault: Fault) -> Result<Fault, Fault> {
        let console = act.look().ask(&self.slot.board, Console { slot: self.slot.slot }).await.unwrap_or_default();
        mark.phase = FlashPhase::Overdue;
        self.write(act, mark).await?;
        Ok(fault
            .said(console.join("\n"))
            .likely("it hangs in its first boot, or got another address than its name resolves to")
            .next(format!(
                "its console is above; to take its power and give it anew: --limit {0}; to flash it anew: \
                 -e flash_force=true --limit {0}",
                self.slot.node
            )))
    }

    fn usb(&self) -> Span {
        Span::Usb(self.slot.board.clone())
    }
}

impl Resource for ProvisionedSlot {
    type State = SlotCondition;

    fn label(&self) -> Label {
        Label::of(&self.slot.node, "provisioned_slot")
    }

    fn target(&self) -> Target {
        self.slot.board.target()
    }

    async fn observe(&self, look: &Look<'_>) -> Result<SlotCondition, Fault> {
        self.slot.look(look).await
    }

    fn diff(&self, seen: &SlotCondition) -> Diff {
        let Some(begin) = self.begin(seen) else { return Diff::InSync };
        let from = match &seen.mark {
            Some(mark) => format!("{} ({})", mark.phase.word(), seen.because),
            None => format!("not flashed by us ({})", seen.because),
        };
        let to = match begin {
            Begin::Erase => format!("{} written, seeded and booted", self.image.file_name()),
            Begin::Watch => "the running transfer seen through, seeded and booted".to_owned(),
            Begin::Seed => "seeded and booted".to_owned(),
            Begin::PowerCycle => "booted, with its power taken and given".to_owned(),
            Begin::PowerOn | Begin::FirstLogin => "booted".to_owned(),
        };
        Diff::Change(vec![Change::new(format!("slot {}", self.slot.slot), from, to)])
    }

    fn hazards(&self, seen: Option<&SlotCondition>) -> Vec<Hazard> {
        let node = self.slot.node.clone();
        let erase = |liveness| vec![Hazard::Erase { node: node.clone(), disk: Disk::Emmc, liveness }];
        let Some(seen) = seen else { return erase(Liveness::Idle) };
        match self.begin(seen) {
            Some(Begin::Erase) => erase(seen.liveness),
            // To write to a module takes its power; whoever waits for one takes nothing.
            Some(Begin::Watch | Begin::Seed | Begin::PowerCycle) if seen.liveness != Liveness::Idle => {
                vec![Hazard::CutPower { node }]
            }
            _ => Vec::new(),
        }
    }

    fn span(&self, seen: &SlotCondition) -> Option<Span> {
        (self.begin(seen) < Some(Begin::FirstLogin)).then(|| self.usb())
    }

    fn renews(&self, seen: Option<&SlotCondition>) -> Vec<Renewal> {
        if seen.is_some_and(|seen| seen.liveness == Liveness::Living) && !self.slot.force {
            return Vec::new();
        }
        let mut renewals = vec![renewed::node(&self.slot.node)];
        if self.control_plane {
            renewals.push(renewed::cluster());
        }
        renewals
    }

    async fn apply(&self, seen: &SlotCondition, act: &Act<'_>) -> Result<Applied, Fault> {
        let mut begin = self.begin(seen).unwrap_or(Begin::FirstLogin);
        if begin == Begin::Watch && !act.guards().hold(Guard::Takeover) {
            begin = Begin::Erase;
        }
        if begin < Begin::FirstLogin {
            self.bus_is_free(act, seen.mark.as_ref()).await?;
        }
        let mut mark = match &seen.mark {
            Some(mark) if begin > Begin::Erase => mark.clone(),
            _ => self.mark(seen.liveness, act.run()),
        };
        match begin {
            Begin::Erase => {
                self.image_is_there(act, seen).await?;
                if seen.liveness == Liveness::Living {
                    // It runs, so whoever waits is another: known before its power is taken for nothing.
                    self.no_neighbour_waits(act).await?;
                }
                self.erase(act, &mark).await?;
            }
            Begin::Watch | Begin::Seed | Begin::PowerCycle if seen.liveness != Liveness::Idle => {
                act.act(&self.slot.board, PowerOff { slot: self.slot.slot }).await?;
            }
            _ => {}
        }
        if begin <= Begin::Watch {
            self.watch(act, &mark).await?;
            act.run().clone_into(&mut mark.run);
            mark.phase = FlashPhase::Flashed;
            self.write(act, &mark).await?;
        }
        if begin <= Begin::Seed {
            // Minutes have gone by since it was written, or a run.
            self.no_neighbour_waits(act).await?;
            self.seed(act, &mut mark).await?;
        }
        if begin < Begin::FirstLogin {
            self.record_key(act, &mark).await?;
            self.give_power(act, &mut mark).await?;
        } else if !seen.powered {
            act.holding(self.usb(), async {
                self.bus_is_free(act, Some(&mark)).await?;
                self.give_power(act, &mut mark).await
            })
            .await?;
        }
        act.release_span();
        self.first_login(act, &mut mark).await?;
        act.run().clone_into(&mut mark.run);
        mark.phase = FlashPhase::Done;
        self.write(act, &mark).await?;
        Ok(if begin == Begin::Erase { Applied::Changed } else { Applied::TookOver })
    }

    fn estimate(&self) -> Duration {
        self.usual_flash + self.usual_boot
    }

    fn estimate_in_span(&self) -> Duration {
        self.usual_flash
    }

    fn patience(&self) -> Duration {
        BUSY_BOUND
    }

    fn settles_within(&self, seen: &SlotCondition) -> Duration {
        // Without power nothing boots.
        if seen.liveness == Liveness::Doubtful && seen.powered { REBOOT_BOUND } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests;
