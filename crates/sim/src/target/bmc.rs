//! A BMC.

use std::collections::BTreeSet;

use bringup_core::contract::bmc::{
    Action, Answer, ClearStoredUsbBoot, PowerOff, PowerOn, Question, RestartBmcDaemon, SeedCloudInit, StageImage,
    StartFlash, WriteFlashMark,
};
use bringup_core::contract::{Contract, FileState, JobPhase, SdCardState};
use bringup_core::ids::{BoardName, NodeName, Slot, Target};
use bringup_core::run::fault::{Cause, Fault};
use bringup_core::run::hazard::Liveness;
use bringup_core::site::Kind;

use super::{Simulated, absent, reach};
use crate::board::{Ending, Transfer};
use crate::durations;
use crate::machine::{Boot, Machine};
use crate::state::State;

impl Simulated for BoardName {
    type Begun = ();

    const TRIP: u64 = durations::ASK_BMC;
    const TRAVELS: bool = true;

    fn answer(&self, state: &mut State, question: &Question) -> (Result<Answer, Fault>, u64) {
        (answer(state, self, question), 0)
    }

    fn takes(&self, state: &State, action: &Action) -> u64 {
        let images = &state.site.settings;
        match action {
            Action::StageImage(image) => {
                let kind = if image.sha256 == images.cm4_image.sha256 { Kind::Cm4 } else { Kind::Rk1 };
                durations::stage(durations::image_sizes(kind).0)
            }
            // bmcd takes 0.1 s; a slot is left off for 2 s.
            Action::PowerOff(_) => 2_400,
            Action::PowerOn(_) => 700,
            // USB has the module after 6.2 s.
            Action::StartFlash(_) => 6_500,
            Action::ClearStoredUsbBoot(_) => 300,
            Action::RestartBmcDaemon(_) => 14_000,
            Action::SeedCloudInit(_) => 38_000,
            Action::WriteFlashMark(_) => 200,
        }
    }

    fn begin(&self, state: &mut State, _: &Action) -> Result<(), Fault> {
        reach(state, &self.target())
    }

    fn effect(&self, state: &mut State, action: &Action, (): ()) -> Result<(), Fault> {
        state.settle_board(self);
        let now = state.now;
        let Some(board) = state.boards.get_mut(self) else { return Err(absent(self.target(), action)) };
        match action {
            Action::StageImage(StageImage { to, sha256, cached, .. }) => {
                let staged = FileState { sha256: *sha256, size: 1, mode: 0o644, modified: State::seconds(now) };
                board.images.insert(to.clone(), staged.clone());
                state.controller.files.insert(cached.clone(), staged);
            }
            Action::WriteFlashMark(WriteFlashMark { slot, mark, .. }) => {
                board.marks.insert(*slot, mark.clone());
            }
            Action::ClearStoredUsbBoot(ClearStoredUsbBoot { slot }) => {
                board.stored_usb_boot = board.stored_usb_boot.filter(|stored| stored != slot);
                board.waiting = board.waiting.filter(|waiting| waiting != slot);
            }
            Action::RestartBmcDaemon(RestartBmcDaemon { slot }) => {
                board.transfer = None;
                board.waiting = board.stored_usb_boot.or(board.waiting);
                let run_of = |slot: &Slot| board.marks.get(slot).map(|mark| mark.run.clone());
                let run = run_of(slot);
                let new: BTreeSet<Slot> = Slot::ALL.into_iter().filter(|slot| run_of(slot) == run).collect();
                restart_takes_power(state, self, *slot, &new)?;
            }
            Action::PowerOff(PowerOff { slot }) => {
                if let Some(machine) = module(state, self, *slot) {
                    let (node, condition) = (machine.name.clone(), machine.liveness(now));
                    cut_power(machine, now);
                    state.referee.cut(&node, condition);
                }
            }
            Action::PowerOn(PowerOn { slot }) => {
                let hangs = state.faults.boot;
                let hangs = state.faults.strike(hangs);
                if let Some(machine) = module(state, self, *slot) {
                    give_power(machine, now, hangs);
                }
            }
            Action::StartFlash(StartFlash { slot, node, order, .. }) => start_flash(state, self, *slot, node, order),
            Action::SeedCloudInit(seed) => seed_module(state, self, seed)?,
        }
        Ok(())
    }
}

fn answer(state: &mut State, name: &BoardName, question: &Question) -> Result<Answer, Fault> {
    let outside = matches!(question, Question::Addresses(_) | Question::SshBanner(_) | Question::HostKeys(_));
    if !outside {
        reach(state, &name.target())?;
        state.settle_board(name);
    }
    let now = state.now;
    let board = state.boards.get(name).ok_or_else(|| absent(name.target(), question))?;
    Ok(match question {
        Question::Addresses(question) => question.answer(vec![board.address.clone()]),
        Question::SshBanner(question) => question.answer(true),
        Question::HostKeys(question) => question.answer(vec![board.host_key.clone()]),
        Question::SlotPower(question) => {
            let node = board.modules.get(&question.slot);
            let machine = node.and_then(|node| state.machines.get(node));
            question.answer(machine.is_some_and(|machine| machine.boot != Boot::Off))
        }
        Question::FlashMark(question) => question.answer(board.marks.get(&question.slot).cloned()),
        Question::FlashJob(question) => question.answer(board.transfer.as_ref().map(|transfer| transfer.state(now))),
        Question::ImageIsFit(question) => question.answer(()),
        Question::UnpacksXz(question) => question.answer(Some(board.unpacks_xz)),
        Question::ImageFile(question) => question.answer(board.images.get(&question.path).cloned()),
        Question::WaitingModules(question) => {
            let waits = board.waiting.map(|slot| format!("2207:350b at 1-1.{slot}"));
            question.answer(waits.into_iter().collect())
        }
        Question::StoredUsbBoot(question) => question.answer(board.stored_usb_boot),
        Question::SdCard(question) => question.answer(board.card.map(|free| SdCardState { free })),
        Question::Console(question) => question.answer(
            ["[    4.513201] EXT4-fs (mmcblk0p2): mounted filesystem", "[   11.204417] random: crng init done"]
                .map(str::to_owned)
                .into(),
        ),
    })
}

fn module<'a>(state: &'a mut State, board: &BoardName, slot: Slot) -> Option<&'a mut Machine> {
    let node = state.boards.get(board)?.modules.get(&slot)?.clone();
    state.machines.get_mut(&node)
}

/// All slots lose their power for a moment, which is refused but for those that this run gave it.
fn restart_takes_power(state: &mut State, name: &BoardName, flashed: Slot, new: &BTreeSet<Slot>) -> Result<(), Fault> {
    let now = state.now;
    let powered: Vec<Slot> = Slot::ALL
        .into_iter()
        .filter(|slot| *slot != flashed)
        .filter(|slot| module(state, name, *slot).is_some_and(|machine| machine.boot != Boot::Off))
        .collect();
    if let Some(other) = powered.iter().find(|slot| !new.contains(slot)) {
        return Err(Fault::new(Cause::Failed, Target::Bmc(name.clone()), "restart the BMC's daemon")
            .said(format!("its restart may cut the power of slot {other}")));
    }
    for slot in powered {
        if let Some(machine) = module(state, name, slot) {
            cut_power(machine, now);
            give_power(machine, now, false);
        }
    }
    Ok(())
}

fn cut_power(machine: &mut Machine, now: u64) {
    if machine.boot != Boot::Off {
        machine.when_cut = machine.liveness(now);
        machine.down_since = now;
    }
    machine.boot = Boot::Off;
    if let Some(k3s) = machine.system.as_mut().and_then(|system| system.k3s.as_mut()) {
        k3s.active = false;
    }
}

fn give_power(machine: &mut Machine, now: u64, hangs: bool) {
    if machine.boot != Boot::Off {
        return;
    }
    let first = machine.system.as_ref().is_some_and(|system| !system.lived);
    machine.boot = if (hangs && first) || machine.system.is_none() {
        Boot::Hung
    } else {
        Boot::Coming { up_at: now + durations::boot(machine.kind, first) }
    };
}

fn start_flash(state: &mut State, board_name: &BoardName, slot: Slot, node: &NodeName, order: &str) {
    let now = state.now;
    let kind = state.kind_in(board_name, slot);
    let (usb, stall) = (state.faults.flash, state.faults.stall);
    let ending = if state.faults.strike(usb) {
        if state.faults.strike(500) { Ending::Usb } else { Ending::Checksum }
    } else if state.faults.strike(stall) {
        Ending::Stall
    } else {
        Ending::Well
    };
    let Some(board) = state.boards.get_mut(board_name) else { return };
    if let Some(running) = &board.transfer
        && running.state(now).phase == JobPhase::Running
        && running.ending != Ending::Stall
    {
        state.referee.violation(format!("{board_name}: slot {slot} is flashed while slot {} is", running.slot));
    }
    if let Some(waiting) = board.waiting.filter(|waiting| *waiting != slot) {
        state.referee.violation(format!("{board_name}: slot {waiting} is written instead of slot {slot}"));
    }
    let (_, total) = durations::image_sizes(kind);
    board.transfer = Some(Transfer {
        slot,
        node: node.clone(),
        order: order.to_owned(),
        began: now,
        total,
        rate: durations::flash_rate(kind),
        ending,
        written: false,
    });
    if let Some(machine) = module(state, board_name, slot) {
        let condition = if machine.boot == Boot::Off { machine.when_cut } else { machine.liveness(now) };
        machine.system = None;
        machine.when_cut = Liveness::Idle;
        // bmcd leaves a module with power when it does not show up on USB.
        machine.boot = if ending == Ending::Usb { Boot::Hung } else { Boot::Off };
        state.referee.erased(node, condition);
    }
}

fn seed_module(state: &mut State, board: &BoardName, action: &SeedCloudInit) -> Result<(), Fault> {
    let (now, slot) = (state.now, action.slot);
    let transfers = state.boards.get(board).and_then(|board| board.transfer.as_ref());
    if transfers
        .is_some_and(|transfer| transfer.state(now).phase == JobPhase::Running && transfer.ending != Ending::Stall)
    {
        state.referee.violation(format!("{board}: slot {slot} is mounted while the USB bus is in use"));
    }
    let machine = module(state, board, slot);
    let Some(machine) = machine.filter(|machine| machine.boot == Boot::Off) else {
        return Err(Fault::new(Cause::Passing, board.target(), action.to_string())
            .said("the module does not show up as storage"));
    };
    let Some(system) = &mut machine.system else {
        return Err(Fault::new(Cause::Failed, board.target(), action.to_string()).said("mount: wrong fs type"));
    };
    system.seeded = true;
    system.host_keys = vec![action.seed.host_key.public.clone()];
    Ok(())
}
