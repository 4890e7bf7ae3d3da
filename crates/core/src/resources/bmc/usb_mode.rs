//! No module of a board is put into USB boot by itself.
//!
//! bmcd applies a stored USB mode `flash` whenever it starts (seen in its source, 2.3.7). The module of that slot then
//! waits on USB instead of booting, and on a board with a USB hub it is the one that the next flash writes to.

use std::time::Duration;

use crate::contract::bmc::{ClearStoredUsbBoot, FlashJob, StoredUsbBoot};
use crate::contract::{Asked, Contract, FlashJobState, JobPhase};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look, Wait};
use crate::ids::{BoardName, Label, Slot, Target};
use crate::run::change::{Change, Diff};
use crate::run::event::Awaited;
use crate::run::fault::Fault;
use crate::run::hazard::Hazard;

/// How long a flash that somebody else has begun is waited for.
const FLASH_BOUND: Duration = Duration::from_secs(3600);
const EVERY: Duration = Duration::from_secs(5);

/// A board whose stored USB mode is not `flash`.
#[derive(Debug)]
pub struct UsbMode {
    /// Which.
    pub board: BoardName,
}

impl Resource for UsbMode {
    /// The slot that is put into USB boot.
    type State = Option<Slot>;

    fn label(&self) -> Label {
        Label::of(&self.board, "usb_mode")
    }

    fn target(&self) -> Target {
        Target::Bmc(self.board.clone())
    }

    fn questions(&self) -> Vec<Asked> {
        vec![self.board.asks(StoredUsbBoot {})]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Option<Slot>, Fault> {
        look.ask(&self.board, StoredUsbBoot {}).await
    }

    fn diff(&self, seen: &Option<Slot>) -> Diff {
        seen.map_or(Diff::InSync, |slot| {
            Diff::Change(vec![Change::new(format!("USB mode of slot {slot}"), "flash", "device")])
        })
    }

    fn hazards(&self, seen: Option<&Option<Slot>>) -> Vec<Hazard> {
        let slot = seen.copied().flatten();
        slot.map(|slot| Hazard::ClearUsbBoot { board: self.board.clone(), slot }).into_iter().collect()
    }

    async fn apply(&self, seen: &Option<Slot>, act: &Act<'_>) -> Result<Applied, Fault> {
        let Some(slot) = *seen else { return Ok(Applied::Changed) };
        let bmc = &self.board;
        // Setting a mode would take the bus from a module that is being written. Nothing else of this run begins before.
        let wait = Wait { of: bmc, awaited: Awaited::RunningFlash, bound: FLASH_BOUND, every: EVERY };
        let ended = |job: Option<FlashJobState>| job.is_none_or(|job| job.phase != JobPhase::Running).then_some(());
        act.wait_until(wait, FlashJob {}, ended).await?;
        act.act(bmc, ClearStoredUsbBoot { slot }).await?;
        Ok(Applied::Changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::bmc;
    use crate::resources::scripted::{Script, check};

    #[test]
    fn a_stored_usb_boot_is_put_back_when_no_flash_runs() {
        let board = || BoardName::new("board1");
        let slot = Slot::new(2).unwrap();
        let stored = |slot| says!(board(), StoredUsbBoot {} => slot);
        let job = |phase| {
            Some(FlashJobState { slot, order: None, phase, done: None, total: 1, said: Vec::new(), failure: None })
        };
        let plan =
            ["USB mode of slot 2: flash → device", "! change the USB mode of slot 2 on board1 from flash to device"];
        let (wait, clear) = ("wait for the running flash to end", "board1: set the USB mode of slot 2 to device");
        for (what, mode, flash, plan, run) in [
            ("none", None, says!(board(), FlashJob {} => None), &["in sync"][..], &["in sync"][..]),
            ("stored", Some(slot), says!(board(), FlashJob {} => None), &plan, &[wait, clear, "changed"]),
            (
                "stored, and an old flash",
                Some(slot),
                says!(board(), FlashJob {} => job(JobPhase::Failed)),
                &plan,
                &[wait, clear, "changed"],
            ),
            (
                "stored, and a flash runs",
                Some(slot),
                says!(board(), FlashJob {} => job(JobPhase::Running), job(JobPhase::Succeeded)),
                &plan,
                &[wait, clear, "changed"],
            ),
            (
                "stored, and a flash hangs",
                Some(slot),
                says!(board(), FlashJob {} => job(JobPhase::Running)),
                &plan,
                &[wait, "failed: wait for the running flash to end on board1: took too long (not so after 3600 s)"],
            ),
        ] {
            let script =
                Script::new([stored(mode), flash]).once("set the USB mode of slot 2 to device", [stored(None)]);
            let told = check(what, UsbMode { board: board() }, script, plan, run);
            let clears =
                |action: &&bmc::Action| matches!(action, bmc::Action::ClearStoredUsbBoot(clear) if clear.slot == slot);
            assert!(told.done::<BoardName>().iter().all(clears), "{what}");
        }
    }
}
