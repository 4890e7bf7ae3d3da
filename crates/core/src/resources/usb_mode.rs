//! No module of a board is put into USB boot by itself.
//!
//! bmcd applies a stored USB mode `flash` whenever it starts (seen in its source, 2.3.7). The module of that slot then
//! waits on USB instead of booting, and on a board with a USB hub it is the one that the next flash writes to.

use crate::change::{Change, Diff};
use crate::deed::Deed;
use crate::engine::{Act, Look};
use crate::fault::Fault;
use crate::hazard::Hazard;
use crate::names::{BoardName, Label, Slot, Target};
use crate::probe::{FlashJob, JobPhase, Probe, StoredUsbBoot};
use crate::resource::{Applied, Resource};

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

    fn questions(&self) -> Vec<(Target, Probe)> {
        vec![(Resource::target(self), StoredUsbBoot {}.into()), (Resource::target(self), FlashJob {}.into())]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Option<Slot>, Fault> {
        let bmc = Resource::target(self);
        let stored = look.ask(&bmc, StoredUsbBoot {}).await?;
        let job = look.ask(&bmc, FlashJob {}).await?;
        // To set a mode would take the bus from whoever writes to a module now.
        Ok(stored.filter(|_| job.is_none_or(|job| job.phase != JobPhase::Running)))
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
        if let Some(slot) = *seen {
            act.act(&Resource::target(self), Deed::ClearStoredUsbBoot { slot }).await?;
        }
        Ok(Applied::Changed)
    }
}
