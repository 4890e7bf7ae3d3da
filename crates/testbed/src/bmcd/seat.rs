//! The board's files: what bmcd shares with whoever plays the modules.
//!
//! `slotN/power` says what the module of slot N does: a word and a number that grows with each change. `slotN/emmc.img`
//! is its eMMC; a slot without one is empty. `slotN/uart.log` is what its serial console says. Faults are files in
//! `faults/` of the board or of a slot. `usb` is the USB mode that the daemon applies when it starts: a slot,
//! counted from 0, and the API's number. `stored-power` says which slots it gives power to then: `1` or `0` for each.
//! `usb-route` is the slot that the USB bus goes to now. `speed` bounds how many bytes a second an eMMC takes.

use std::fs;
use std::path::{Path, PathBuf};

use super::board::{Board, Drive, SLOTS, Slot, Usb};
use crate::failure::Failure;
use crate::records::write_whole;

/// How much of a serial console bmcd keeps.
const UART_RING: usize = 16 * 1024;

/// A board's directory.
#[derive(Clone, Debug)]
pub struct Seat {
    directory: PathBuf,
}

impl Seat {
    /// The one in a directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// A file of a slot, which is counted from 0 as the API does.
    pub fn of_slot(&self, node: usize, name: &str) -> PathBuf {
        self.directory.join(format!("slot{}", node + 1)).join(name)
    }

    /// A module's eMMC, if there is a module.
    pub fn emmc(&self, node: usize) -> Option<PathBuf> {
        Some(self.of_slot(node, "emmc.img")).filter(|path| path.exists())
    }

    /// Whether the board has a USB hub. Without one the bus goes to one slot at a time.
    pub fn has_hub(&self) -> bool {
        self.directory.join("faults/usb-hub").exists()
    }

    /// Whether a slot's module is on the BMC's USB bus and waits for a boot.
    pub fn waits_on_usb(&self, node: usize) -> bool {
        let waits = match self.power(node).0 {
            Drive::Flash => true,
            Drive::Dark => self.has_hub(),
            Drive::Off | Drive::Normal | Drive::Msd => false,
        };
        waits && self.emmc(node).is_some()
    }

    /// The slot whose module bmcd finds when it is asked for this one's: with a hub it takes the first that waits.
    pub fn found_on_usb(&self, node: usize) -> usize {
        (0..SLOTS).find(|other| self.has_hub() && self.waits_on_usb(*other)).unwrap_or(node)
    }

    /// The USB port at which a slot's module shows up, as the kernel names it.
    pub fn usb_port(&self, node: usize) -> String {
        if self.has_hub() { format!("1-1.{}", node + 1) } else { "1-1".to_owned() }
    }

    /// What a module does, and its number.
    pub fn power(&self, node: usize) -> (Drive, u64) {
        let text = fs::read_to_string(self.of_slot(node, "power")).unwrap_or_default();
        let mut words = text.split_whitespace();
        let drive = words.next().and_then(Drive::of).unwrap_or(Drive::Off);
        (drive, words.next().and_then(|word| word.parse().ok()).unwrap_or(0))
    }

    /// Says what the module of a slot does now.
    pub fn set_power(&self, node: usize, drive: Drive, epoch: u64) -> Result<(), Failure> {
        let text = format!("{} {epoch}\n", drive.word());
        write_whole(&self.of_slot(node, "power"), text.as_bytes())
    }

    /// The board as a daemon finds it that is started.
    pub fn found(&self) -> Board {
        let slots: [Slot; SLOTS] = std::array::from_fn(|node| {
            let (drive, epoch) = self.power(node);
            Slot { drive, epoch, since: (drive != Drive::Off).then_some(0), usb_boot: false }
        });
        Board::found(slots, self.usb().unwrap_or(Usb::of(0, 1)))
    }

    fn usb(&self) -> Option<Usb> {
        let text = fs::read_to_string(self.directory.join("usb")).ok()?;
        let (node, number) = text.trim().split_once(' ')?;
        Some(Usb::of(node.parse().ok()?, number.parse().ok()?))
    }

    /// Which slots had power when that was stored last.
    pub fn stored_power(&self) -> [bool; SLOTS] {
        if self.directory.join("faults/forgets-power").exists() {
            return [false; SLOTS];
        }
        let text = fs::read_to_string(self.directory.join("stored-power")).unwrap_or_default();
        std::array::from_fn(|node| text.as_bytes().get(node) == Some(&b'1'))
    }

    /// Stores which slots have power.
    pub fn store_power(&self, powered: [bool; SLOTS]) -> Result<(), Failure> {
        let text: String = powered.iter().map(|on| if *on { '1' } else { '0' }).collect();
        write_whole(&self.directory.join("stored-power"), text.as_bytes())
    }

    /// Keeps a USB mode for the next daemon.
    pub fn store_usb(&self, usb: &Usb) -> Result<(), Failure> {
        write_whole(&self.directory.join("usb"), format!("{} {}\n", usb.node, usb.number).as_bytes())
    }

    /// Says which slot the USB bus goes to now.
    pub fn route_usb(&self, node: usize) -> Result<(), Failure> {
        write_whole(&self.directory.join("usb-route"), format!("{}\n", node + 1).as_bytes())
    }

    /// What a slot's serial console said last: nothing where no module is. `None`: the machine has no serial ports, as the one
    /// had where bmcd was recorded first.
    pub fn uart(&self, node: usize) -> Option<String> {
        if self.directory.join("no-uart").exists() {
            return None;
        }
        let bytes = fs::read(self.of_slot(node, "uart.log")).unwrap_or_default();
        let last = bytes.get(bytes.len().saturating_sub(UART_RING)..).unwrap_or_default();
        Some(String::from_utf8_lossy(last).into_owned())
    }

    /// Types a line at a slot's serial console.
    pub fn type_at(&self, node: usize, line: &str) -> std::io::Result<()> {
        use std::io::Write;
        let path = self.of_slot(node, "uart.in");
        fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(line.as_bytes())
    }

    fn fault_path(&self, name: &str, node: usize) -> Option<PathBuf> {
        [self.of_slot(node, "faults").join(name), self.directory.join("faults").join(name)]
            .into_iter()
            .find(|path| path.exists())
    }

    /// What is noted of a fault that lasts, if it is there.
    pub fn fault(&self, name: &str, node: usize) -> Option<String> {
        fs::read_to_string(self.fault_path(name, node)?).ok().map(|text| text.trim().to_owned())
    }

    /// A fault that happens so many times.
    pub fn count_down(&self, name: &str, node: usize) -> bool {
        let Some(path) = self.fault_path(name, node) else { return false };
        let left: u64 = read_number(&path).unwrap_or(1);
        let noted = if left > 1 {
            write_whole(&path, (left - 1).to_string().as_bytes()).is_ok()
        } else {
            fs::remove_file(&path).is_ok()
        };
        left > 0 && noted
    }

    /// A fault that happens at a byte of the next transfer, and once.
    pub fn take(&self, name: &str, node: usize) -> Option<u64> {
        let path = self.fault_path(name, node)?;
        let byte = read_number(&path).unwrap_or(0);
        fs::remove_file(&path).ok().map(|()| byte)
    }

    /// How many bytes a second an eMMC takes; `None`: as many as come.
    pub fn speed(&self, node: usize) -> Option<u64> {
        let own = read_number(&self.of_slot(node, "speed"));
        own.or_else(|| read_number(&self.directory.join("speed"))).filter(|speed| *speed > 0)
    }

    /// Asks whoever plays the board to take its power away.
    pub fn cut_power(&self) -> Result<(), Failure> {
        write_whole(&self.directory.join("power-cut"), b"")
    }
}

fn read_number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_found_again_and_faults_end() {
        let directory = tempfile::tempdir().unwrap();
        let seat = Seat::new(directory.path());
        seat.set_power(1, Drive::Normal, 7).unwrap();
        seat.set_power(2, Drive::Msd, 1).unwrap();
        let found = seat.found().slots;
        assert_eq!((found[1].drive, found[1].epoch, found[2].drive), (Drive::Off, 8, Drive::Off));
        assert_eq!(seat.stored_power(), [false; SLOTS]);
        seat.store_power([false, true, false, false]).unwrap();
        assert_eq!(seat.stored_power(), [false, true, false, false]);

        write_whole(&directory.path().join("faults/usb-not-found"), b"2").unwrap();
        let seen: Vec<bool> = (0..3).map(|_| seat.count_down("usb-not-found", 0)).collect();
        assert_eq!(seen, [true, true, false]);
        write_whole(&directory.path().join("slot1/faults/worker-stuck"), b"512\n").unwrap();
        assert_eq!((seat.take("worker-stuck", 1), seat.take("worker-stuck", 0)), (None, Some(512)));
        assert_eq!(seat.take("worker-stuck", 0), None);
    }
}
