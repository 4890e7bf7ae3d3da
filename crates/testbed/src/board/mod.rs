//! Boards: a BMC, modules in slots, and the files by which the stand-in bmcd and whoever plays the hardware hear of each
//! other. What the files are is told where bmcd reads them.

pub mod bmc;
pub mod fault;
pub mod module;
mod msd;

use std::fs;
use std::path::PathBuf;

use crate::bmcd::{SLOTS, Seat};
use crate::disks::image;
use crate::failure::{Failure, Tried};
use crate::records::write_whole;
use crate::run::Run;
use crate::testbed::{Host, Testbed};

/// How big a module's eMMC is, in MiB. It takes as much room as is written to it.
const EMMC: u64 = 8192;

/// How big a BMC's SD card is, in MiB, likewise.
const SD_CARD: u64 = 4096;

/// A board's directory.
pub fn directory(testbed: &Testbed, bmc: &Host) -> PathBuf {
    testbed.host_directory(bmc).join("board")
}

/// The files of a board as bmcd knows them.
pub fn seat(testbed: &Testbed, bmc: &Host) -> Seat {
    Seat::new(directory(testbed, bmc))
}

/// The stand-in's own program: a copy, as the one that runs may be built anew.
fn program(testbed: &Testbed) -> PathBuf {
    testbed.directory().join("bin/bmcd")
}

fn sd_card(testbed: &Testbed, bmc: &Host) -> PathBuf {
    directory(testbed, bmc).join("sdcard.img")
}

/// Makes what is missing of a board.
pub fn make(testbed: &Testbed, bmc: &Host) -> Result<(), Failure> {
    let (directory, seat) = (directory(testbed, bmc), seat(testbed, bmc));
    for path in ["faults", "sys-block", "sys-bus/usb/devices"]
        .map(|name| directory.join(name))
        .into_iter()
        .chain([testbed.directory().join("bin")])
    {
        fs::create_dir_all(&path).tried(|| format!("make {}", path.display()))?;
    }
    if !program(testbed).exists() {
        let me = std::env::current_exe().tried(|| "find my own program".to_owned())?;
        fs::copy(&me, program(testbed)).tried(|| format!("copy {}", me.display()))?;
    }
    for node in 0..SLOTS {
        let faults = seat.of_slot(node, "faults");
        fs::create_dir_all(&faults).tried(|| format!("make {}", faults.display()))?;
        let filled = testbed.slots(&bmc.name).any(|(_, slot)| usize::from(slot) == node + 1);
        let (emmc, console) = (seat.of_slot(node, "emmc.img"), seat.of_slot(node, "uart.log"));
        if filled && !console.exists() {
            write_whole(&console, b"")?;
        }
        if filled && !emmc.exists() {
            image::make(&emmc, EMMC)?;
        }
    }
    let card = sd_card(testbed, bmc);
    if !card.exists() {
        let unfinished = card.with_extension("unfinished");
        image::make(&unfinished, SD_CARD)?;
        Run::new("mkfs.ext4").args(["-q", "-F", "-m", "0", "-L", "sdcard"]).arg(&unfinished).output()?;
        fs::rename(&unfinished, &card).tried(|| format!("name {} as finished", card.display()))?;
    }
    Ok(())
}
