//! What bmcd knows of the board: which slots have power, in what state their modules are, where USB goes.

/// How many slots a board has.
pub const SLOTS: usize = 4;

/// What a module is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drive {
    /// It has no power.
    Off,
    /// It runs what is on its eMMC.
    Normal,
    /// It shows its eMMC to the BMC as mass storage.
    Msd,
    /// Its eMMC is being written.
    Flash,
    /// It has power and waits for a USB host that is not there.
    Dark,
}

impl Drive {
    /// Its name in the files of the board.
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Normal => "normal",
            Self::Msd => "msd",
            Self::Flash => "flash",
            Self::Dark => "dark",
        }
    }

    /// The one of this name.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Off, Self::Normal, Self::Msd, Self::Flash, Self::Dark].into_iter().find(|drive| drive.word() == word)
    }
}

/// One slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    /// What its module does.
    pub drive: Drive,
    /// Grows with each change, so that two power cycles in a row are told apart.
    pub epoch: u64,
    /// When it was given power, in seconds of the daemon's clock.
    pub since: Option<u64>,
    /// Its module looks for a USB host when it is given power.
    pub usb_boot: bool,
}

impl Default for Slot {
    fn default() -> Self {
        Self { drive: Drive::Off, epoch: 0, since: None, usb_boot: false }
    }
}

/// Where the USB bus goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Usb {
    /// Which slot, from 0.
    pub node: usize,
    /// What the API calls mode and route.
    pub number: u32,
    /// Host, Device or Flash, from the module's side.
    pub mode: &'static str,
    /// The other end.
    pub route: &'static str,
}

impl Usb {
    /// By the number that the API has for mode and route.
    pub fn of(node: usize, number: u32) -> Self {
        let mode = match number & 3 {
            0 => "Host",
            2 => "Flash",
            _ => "Device",
        };
        Self { node, number, mode, route: if number & 4 == 0 { "AlternativePort" } else { "Bmc" } }
    }
}

/// The board.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Board {
    /// Its slots.
    pub slots: [Slot; SLOTS],
    /// Its USB bus, as it was set.
    pub usb: Usb,
    /// The slot that the bus goes to now. A flash sets it back as it was set, `node_to_msd` does not.
    pub routed: usize,
}

impl Default for Board {
    fn default() -> Self {
        Self { slots: [Slot::default(); SLOTS], usb: Usb::of(0, 1), routed: 0 }
    }
}

impl Board {
    /// What a daemon that is started makes of what it finds: it requests the power lines as outputs without a value, which
    /// takes the power of all slots until it sets what was stored (bmcd issue 90); and the bus is set as it was stored. A
    /// stored mode `Flash` makes that slot's module look for a USB host when it is given power.
    pub fn found(mut slots: [Slot; SLOTS], usb: Usb) -> Self {
        for slot in slots.iter_mut().filter(|slot| slot.drive != Drive::Off) {
            (slot.drive, slot.since) = (Drive::Off, None);
            slot.epoch += 1;
        }
        if let Some(slot) = slots.get_mut(usb.node).filter(|_| usb.mode == "Flash") {
            slot.usb_boot = true;
        }
        Self { slots, routed: usb.node, usb }
    }

    /// Sets the power of those slots that are named. One that has it keeps what it does.
    pub fn set_power(&mut self, wanted: [Option<bool>; SLOTS], now: u64) {
        for (node, on) in wanted.into_iter().enumerate() {
            let Some(slot) = self.slots.get(node) else { continue };
            match (slot.drive, on) {
                (Drive::Off, Some(true)) => {
                    let drive = if slot.usb_boot { Drive::Dark } else { Drive::Normal };
                    self.turn(node, drive, now);
                }
                (drive, Some(false)) if drive != Drive::Off => self.turn(node, Drive::Off, now),
                _ => {}
            }
        }
    }

    /// A module begins to do something else. One bus serves all: who was on it before is not any more.
    pub fn turn(&mut self, node: usize, drive: Drive, now: u64) {
        let takes_the_bus = matches!(drive, Drive::Msd | Drive::Flash);
        if takes_the_bus {
            self.routed = node;
        } else if self.slots.get(node).is_some_and(|slot| slot.drive == Drive::Flash) {
            self.routed = self.usb.node;
        }
        for (other, slot) in self.slots.iter_mut().enumerate() {
            let loses_it = takes_the_bus && other != node && matches!(slot.drive, Drive::Msd | Drive::Flash);
            if other != node && !loses_it {
                continue;
            }
            let next = if loses_it { Drive::Dark } else { drive };
            slot.since = match next {
                Drive::Off => None,
                _ if slot.drive == Drive::Off => Some(now),
                _ => slot.since.or(Some(now)),
            };
            slot.drive = next;
            slot.epoch += 1;
        }
    }

    /// A pulse on a module's reset line. One without power does not notice.
    pub fn reset(&mut self, node: usize, now: u64) {
        let Some(slot) = self.slots.get(node).filter(|slot| slot.drive != Drive::Off) else { return };
        let drive = if slot.usb_boot { Drive::Dark } else { Drive::Normal };
        self.turn(node, drive, now);
    }

    /// Sets where the bus goes. In the mode `Flash` the module looks for a USB host when it is given power.
    pub fn set_usb(&mut self, usb: Usb) {
        if let Some(slot) = self.slots.get_mut(usb.node) {
            slot.usb_boot = usb.mode == "Flash";
        }
        self.routed = usb.node;
        self.usb = usb;
    }

    /// Modules look for no USB host any more when they are given power.
    pub fn clear_usb_boot(&mut self) {
        for slot in &mut self.slots {
            slot.usb_boot = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_that_is_there_changes_nothing_and_every_cycle_counts() {
        let mut board = Board::default();
        board.set_power([Some(true), None, None, None], 5);
        board.set_power([Some(true), None, None, None], 9);
        assert_eq!(board.slots[0], Slot { drive: Drive::Normal, epoch: 1, since: Some(5), usb_boot: false });
        board.set_power([Some(false), None, None, None], 9);
        board.set_power([Some(true), None, None, None], 9);
        assert_eq!((board.slots[0].epoch, board.slots[1].epoch), (3, 0));
    }

    #[test]
    fn one_module_at_a_time_is_seen_over_usb() {
        let mut board = Board::default();
        board.turn(0, Drive::Msd, 0);
        board.turn(2, Drive::Flash, 0);
        assert_eq!((board.slots[0].drive, board.slots[2].drive), (Drive::Dark, Drive::Flash));
        board.turn(2, Drive::Off, 0);
        assert_eq!(board.routed, 0, "a flash sets the bus back");
        board.turn(2, Drive::Msd, 0);
        board.turn(2, Drive::Off, 0);
        assert_eq!(board.routed, 2, "mass storage does not");
        board.turn(2, Drive::Flash, 0);
        board.reset(0, 1);
        assert_eq!(board.slots[0].drive, Drive::Normal);
        let found = Board::found(board.slots, Usb::of(0, 1)).slots;
        assert_eq!(
            (found[0].drive, found[2].drive, found[2].epoch),
            (Drive::Off, Drive::Off, board.slots[2].epoch + 1)
        );
    }

    #[test]
    fn a_stored_flash_mode_takes_the_module_from_its_boot_whenever_the_daemon_starts() {
        let mut board = Board::found([Slot::default(); SLOTS], Usb::of(2, 2));
        board.set_power([Some(true); SLOTS], 0);
        assert_eq!(board.slots.map(|slot| slot.drive), [Drive::Normal, Drive::Normal, Drive::Dark, Drive::Normal]);
        board.set_usb(Usb::of(2, 1));
        board.reset(2, 1);
        assert_eq!(board.slots[2].drive, Drive::Normal);
    }
}
