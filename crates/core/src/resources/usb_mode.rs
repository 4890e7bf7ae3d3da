//! No module of a board is put into USB boot by itself.
//!
//! bmcd applies a stored USB mode `flash` whenever it starts (seen in its source, 2.3.7). The module of that slot then
//! waits on USB instead of booting, and on a board with a USB hub it is the one that the next flash writes to.

use std::time::Duration;

use crate::change::{Change, Diff};
use crate::contract::bmc::{ClearStoredUsbBoot, FlashJob, StoredUsbBoot};
use crate::contract::{Asked, Contract, FlashJobState, JobPhase};
use crate::engine::{Act, Look, Wait};
use crate::event::Awaited;
use crate::fault::Fault;
use crate::hazard::Hazard;
use crate::ids::{BoardName, Label, Slot, Target};
use crate::resource::{Applied, Resource};

/// How long a flash that somebody else has begun is waited for.
const FLASH_BOUND: Duration = Duration::from_secs(3600);
const EVERY: Duration = Duration::from_secs(5);

/// A board whose stored USB mode is not `flash`.
#[derive(Debug)]
pub struct UsbMode {
    /// Which.
    pub board: BoardName,
}

impl UsbMode {
    /// Its label on a board.
    pub fn label_of(board: &BoardName) -> Label {
        Label::of(board, "usb_mode")
    }
}

impl Resource for UsbMode {
    /// The slot that is put into USB boot.
    type State = Option<Slot>;

    fn label(&self) -> Label {
        Self::label_of(&self.board)
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
