//! A board: slots, one USB bus, an SD card, and the BMC's one transfer.

use std::collections::BTreeMap;

use bringup_core::contract::{FileState, FlashFailure, FlashJobState, FlashMarkState, JobPhase};
use bringup_core::ids::{NodeName, Slot};
use bringup_core::text::known_hosts::HostKey;

/// How a transfer will end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    Well,
    /// The module does not show up on USB.
    Usb,
    /// Bytes are read back wrong.
    Checksum,
    /// The worker dies at half its way.
    Stall,
}

/// The one transfer.
#[derive(Clone, Debug)]
pub(crate) struct Transfer {
    pub slot: Slot,
    pub node: NodeName,
    pub order: String,
    pub began: u64,
    pub total: u64,
    /// Bytes a millisecond.
    pub rate: u64,
    pub ending: Ending,
    /// The module has what was written.
    pub written: bool,
}

impl Transfer {
    pub fn state(&self, now: u64) -> FlashJobState {
        let done = (now.saturating_sub(self.began) * self.rate).min(self.total);
        let over = done == self.total;
        let (phase, done, said) = match self.ending {
            Ending::Usb => (JobPhase::Failed, 0, "Error occured during flashing: \"USB\""),
            Ending::Stall => (JobPhase::Running, done.min(self.total / 2), ""),
            Ending::Checksum if over => (JobPhase::Failed, done, "crc error: the module holds other bytes"),
            Ending::Well if over => (JobPhase::Succeeded, done, ""),
            Ending::Checksum | Ending::Well => (JobPhase::Running, done, ""),
        };
        let said = said.lines().map(str::to_owned).collect();
        let failure = (phase == JobPhase::Failed).then_some(match self.ending {
            Ending::Usb => FlashFailure::NoModule,
            _ => FlashFailure::WrongBytes,
        });
        FlashJobState {
            slot: self.slot,
            order: Some(self.order.clone()),
            phase,
            done: Some(done),
            total: self.total,
            said,
            failure,
        }
    }
}

/// A board.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    pub host_key: HostKey,
    pub address: String,
    /// Free bytes of its SD card; `None`: no card.
    pub card: Option<u64>,
    /// Its firmware unpacks xz.
    pub unpacks_xz: bool,
    pub images: BTreeMap<String, FileState>,
    pub marks: BTreeMap<Slot, FlashMarkState>,
    pub modules: BTreeMap<Slot, NodeName>,
    pub transfer: Option<Transfer>,
    /// A slot whose module waits on the BMC's USB bus: bmcd writes to it, whatever slot is asked for.
    pub waiting: Option<Slot>,
    /// A slot whose USB mode is stored as `flash`: its module waits there whenever the BMC's daemon starts.
    pub stored_usb_boot: Option<Slot>,
}
