//! A BMC's container, and what happens at its board beside it.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::msd::Bus;
use crate::base::tpi;
use crate::bmcd::{Drive, SLOTS, Seat};
use crate::disks::loops;
use crate::failure::{Failure, Tried};
use crate::host::container::{self, REBOOT};
use crate::host::{power, prepare, root};
use crate::process::Process;
use crate::run::Run;
use crate::testbed::{Host, Testbed};

/// How long a board is without power when its power is cut in the middle of something.
const WITHOUT_POWER: Duration = Duration::from_secs(2);

/// How often the board's files are looked at.
const LOOK: Duration = Duration::from_millis(50);

enum End {
    Off,
    Reboot,
    PowerCut,
}

/// Keeps a BMC running until it is off.
pub fn keep(testbed: &Testbed, host: &Host) -> Result<(), Failure> {
    let seat = super::seat(testbed, host);
    loop {
        let root = root::mount(testbed, host)?;
        first_boot(testbed, host, &root.path)?;
        let end = boot(testbed, host, &root)?;
        Run::new("umount").arg(&root.path).output()?;
        match end {
            End::Off => return Ok(()),
            End::Reboot => {}
            End::PowerCut => power_cut(&seat)?,
        }
    }
}

/// Its keys, its network, and who may log in.
fn first_boot(testbed: &Testbed, host: &Host, root: &Path) -> Result<(), Failure> {
    prepare::surroundings(testbed, host, root)?;
    Run::new("ssh-keygen").args(["-A", "-f"]).arg(root).output()?;
    let key = testbed.key().with_extension("pub");
    let key = fs::read(&key).tried(|| format!("read {}", key.display()))?;
    crate::records::write_whole(&root.join("root/.ssh/authorized_keys"), &key)
}

fn boot(testbed: &Testbed, host: &Host, root: &root::Root) -> Result<End, Failure> {
    let (directory, seat) = (super::directory(testbed, host), super::seat(testbed, host));
    let mut bus = Bus::empty(testbed, host)?;
    let card = loops::attach(&testbed.records(), &super::sd_card(testbed, host))?;
    let binds = [
        "/dev/fuse".to_owned(),
        format!("{}:/dev/mmcblk0p1", card.display()),
        format!("{}:/var/lib/testbed-board", directory.display()),
        format!("{}:/usr/libexec/testbed/bmcd", super::program(testbed).display()),
        format!("{}:/usr/bin/tpi", tpi::provide()?.display()),
    ];
    let begun = Instant::now();
    let console = testbed.host_directory(host).join("console.log");
    let mut child = container::start(testbed, host, root, &console, &binds)?;
    loop {
        let ended = child.try_wait().tried(|| format!("watch the container of {}", host.name))?;
        if let Some(status) = ended {
            eprintln!("{} ended after {:.0?}: {status}", host.name, begun.elapsed());
            return Ok(if status.code() == Some(REBOOT) { End::Reboot } else { End::Off });
        }
        if fs::remove_file(directory.join("power-cut")).is_ok() {
            if let Some(process) = i32::try_from(child.id()).ok().and_then(Process::of) {
                power::kill_tree(process)?;
            }
            child.wait().tried(|| format!("watch the container of {}", host.name))?;
            return Ok(End::PowerCut);
        }
        if let Err(failure) = bus.follow(&seat) {
            eprintln!("{}: {failure}", host.name);
        }
        thread::sleep(LOOK);
    }
}

/// All modules go off at once. When the power is back, bmcd gives it to those that had it.
fn power_cut(seat: &Seat) -> Result<(), Failure> {
    modules_off(seat)?;
    thread::sleep(WITHOUT_POWER);
    Ok(())
}

/// The board is without power: its modules go off.
pub fn modules_off(seat: &Seat) -> Result<(), Failure> {
    for node in 0..SLOTS {
        let (drive, epoch) = seat.power(node);
        if drive != Drive::Off {
            seat.set_power(node, Drive::Off, epoch + 1)?;
        }
    }
    Ok(())
}
