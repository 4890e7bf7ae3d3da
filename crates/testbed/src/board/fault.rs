//! Faults of boards, on demand.

use std::fs;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::bmcd::SLOTS;
use crate::failure::{Failure, Tried};
use crate::host::guest;
use crate::records::write_whole;
use crate::testbed::{Host, Testbed};

/// What can be wrong with a board.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Fault {
    /// USB finds no module, so many times (1)
    UsbNotFound,
    /// The next flash stops at this byte (1048576), for ever
    WorkerStuck,
    /// The next flash writes the byte at this place (1048576) wrong
    WrongBytes,
    /// The board loses its power when the next flash is at this byte (1048576), and gets it back
    PowerCut,
    /// A flash writes no more than so many bytes a second (8000000)
    Slow,
    /// A module's disk appears so many seconds late (8)
    MsdLate,
    /// The board has a USB hub, as those from v2.5 on: the first module that waits is written, whatever the slot
    UsbHub,
    /// A module's disk has this letter (c), and another disk is the first
    MsdLetter,
    /// A module hangs in its boot loader
    NeverBoots,
    /// A slot's serial console says this
    UartText,
    /// bmcd gives no slot the power that it stored when it starts
    ForgetsPower,
    /// bmcd is dead until somebody starts it
    BmcdDead,
    /// No SD card is mounted; its directory is there
    SdMissing,
    /// The SD card is full
    SdFull,
}

impl Fault {
    /// Its name on the command line and in the board's files.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn value(self) -> &'static str {
        match self {
            Self::WorkerStuck | Self::WrongBytes | Self::PowerCut => "1048576",
            Self::Slow => "8000000",
            Self::MsdLate => "8",
            Self::MsdLetter => "c",
            Self::UartText => "Kernel panic - not syncing: VFS: Unable to mount root fs",
            _ => "1",
        }
    }

    /// What is done inside the BMC to break it, and to fix it.
    fn inside(self) -> Option<[&'static str; 2]> {
        Some(match self {
            Self::BmcdDead => ["kill -9 $(cat /run/bmcd.pid)", "/etc/init.d/S94bmcd start"],
            Self::SdMissing => [
                "mountpoint -q /mnt/sdcard && umount -l /mnt/sdcard || :",
                "mountpoint -q /mnt/sdcard || mount -t ext4 /dev/mmcblk0p1 /mnt/sdcard",
            ],
            Self::SdFull => [
                "busybox fallocate -l $(($(df -k /mnt/sdcard | tail -n 1 | awk '{print $4}') * 1024 - 65536)) \
                 /mnt/sdcard/.full",
                "rm -f /mnt/sdcard/.full",
            ],
            _ => return None,
        })
    }
}

/// Where a fault is noted: at a slot, or at the board.
fn path(testbed: &Testbed, bmc: &Host, fault: Fault, slot: Option<u8>) -> Result<PathBuf, Failure> {
    let seat = super::seat(testbed, bmc);
    let name = fault.name();
    let wanted = slot.or((fault == Fault::UartText).then_some(1));
    let Some(slot) = wanted else {
        let name = if fault == Fault::Slow { "speed".to_owned() } else { format!("faults/{name}") };
        return Ok(super::directory(testbed, bmc).join(name));
    };
    let node = usize::from(slot).checked_sub(1).filter(|node| *node < SLOTS);
    let node = node.ok_or_else(|| Failure::new(format!("break slot {slot}"), format!("a board has {SLOTS}")))?;
    Ok(match fault {
        Fault::Slow => seat.of_slot(node, "speed"),
        Fault::UartText => seat.of_slot(node, "uart.log"),
        _ => seat.of_slot(node, "faults").join(name),
    })
}

/// Breaks it.
pub fn break_it(
    testbed: &Testbed,
    bmc: &Host,
    fault: Fault,
    slot: Option<u8>,
    value: Option<&str>,
) -> Result<(), Failure> {
    let text = value.unwrap_or(fault.value());
    write_whole(&path(testbed, bmc, fault, slot)?, format!("{text}\n").as_bytes())?;
    match fault.inside() {
        Some([script, _]) => guest::shell(testbed, bmc, script, &[]).map(drop),
        None => Ok(()),
    }
}

/// Fixes it, whether or not it is broken.
pub fn fix(testbed: &Testbed, bmc: &Host, fault: Fault, slot: Option<u8>) -> Result<(), Failure> {
    let path = path(testbed, bmc, fault, slot)?;
    if path.exists() {
        fs::remove_file(&path).tried(|| format!("remove {}", path.display()))?;
    }
    match fault.inside() {
        Some([_, script]) => guest::shell(testbed, bmc, script, &[]).map(drop),
        None => Ok(()),
    }
}

/// What is wrong with a board, for lists.
pub fn all(testbed: &Testbed, bmc: &Host) -> Vec<String> {
    let found = |fault: &&Fault| {
        let mut places = std::iter::once(None).chain((1..=4).map(Some));
        **fault != Fault::UartText
            && places.any(|slot| path(testbed, bmc, **fault, slot).is_ok_and(|path| path.exists()))
    };
    Fault::value_variants().iter().filter(found).map(|fault| fault.name()).collect()
}
