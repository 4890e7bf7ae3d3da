//! A module that shows its eMMC as mass storage: a disk that comes and goes in the BMC.
//!
//! There is no SCSI here, so the disk is a loop device under the name of a SCSI disk, and what `/sys/block` says of it is
//! made up, in a directory that lies over the BMC's own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::bmcd::{Drive, SLOTS, Seat};
use crate::disks::loops;
use crate::failure::{Failure, Tried};
use crate::host::guest;
use crate::records::write_whole;
use crate::run::Run;
use crate::testbed::{Host, Testbed};

/// What the kernel calls the vendor of an RK1 and of a CM4, in eight characters.
const VENDORS: [&str; 2] = ["Rockchip", "RPi-MSD-"];

/// USB's numbers for the vendor and product of an RK1 and of a CM4 that wait for a boot (bmcd 2.3.7's own list).
const IDS: [[&str; 2]; 2] = [["2207", "350b"], ["0a5c", "2711"]];

/// Where somebody else's stick is.
const OTHER_PORT: &str = "1-9";

/// Who is on the bus.
pub struct Bus<'a> {
    testbed: &'a Testbed,
    bmc: &'a Host,
    seen: Option<(usize, u64)>,
    since: Instant,
    shown: Option<String>,
    /// The modules that wait for a boot, by slot, with their ports.
    waiting: BTreeMap<usize, String>,
}

impl<'a> Bus<'a> {
    /// Nobody.
    pub fn empty(testbed: &'a Testbed, bmc: &'a Host) -> Result<Self, Failure> {
        for name in ["sys-block", "sys-bus/usb/devices"] {
            empty(&super::directory(testbed, bmc).join(name))?;
        }
        Ok(Self { testbed, bmc, seen: None, since: Instant::now(), shown: None, waiting: BTreeMap::new() })
    }

    /// Shows and hides what the board's files say.
    pub fn follow(&mut self, seat: &Seat) -> Result<(), Failure> {
        self.show_waiting(seat)?;
        let now = (0..SLOTS).map(|node| (node, seat.power(node))).find(|(_, (drive, _))| *drive == Drive::Msd);
        let now = now.map(|(node, (_, epoch))| (node, epoch));
        if now != self.seen {
            self.hide()?;
            (self.seen, self.since) = (now, Instant::now());
        }
        let Some((node, _)) = now.filter(|_| self.shown.is_none()) else { return Ok(()) };
        let late = seat.fault("msd-late", node).and_then(|late| late.parse().ok()).unwrap_or(0);
        if self.since.elapsed() < Duration::from_secs(late) {
            return Ok(());
        }
        let letter = seat.fault("msd-letter", node).filter(|letter| letter.len() == 1).unwrap_or("a".to_owned());
        self.show(seat, node, &format!("sd{letter}"))
    }

    fn show_waiting(&mut self, seat: &Seat) -> Result<(), Failure> {
        let waits = (0..SLOTS).filter(|node| seat.waits_on_usb(*node));
        let now: BTreeMap<usize, String> = waits.map(|node| (node, seat.usb_port(node))).collect();
        if now == self.waiting {
            return Ok(());
        }
        let devices = super::directory(self.testbed, self.bmc).join("sys-bus/usb/devices");
        empty(&devices)?;
        for (node, port) in &now {
            let [vendor, product] = IDS[usize::from(self.is_cm4(*node))];
            for (name, id) in [("idVendor", vendor), ("idProduct", product)] {
                write_whole(&devices.join(port).join(name), format!("{id}\n").as_bytes())?;
            }
        }
        self.waiting = now;
        Ok(())
    }

    fn is_cm4(&self, node: usize) -> bool {
        self.testbed.has_cm4(&self.bmc.name, u8::try_from(node + 1).unwrap_or_default())
    }

    fn devices(&self) -> Result<Option<PathBuf>, Failure> {
        Ok(guest::leader(self.testbed, self.bmc)?.map(|leader| guest::root(leader).join("dev")))
    }

    fn show(&mut self, seat: &Seat, node: usize, name: &str) -> Result<(), Failure> {
        let Some(devices) = self.devices()? else { return Ok(()) };
        let disk = loops::attach_anew(&self.testbed.records(), &seat.of_slot(node, "emmc.img"))?;
        let partitions = loops::partitions(&disk)?;
        for (number, node) in [&disk].into_iter().chain(&partitions).enumerate() {
            let suffix = if number == 0 { String::new() } else { number.to_string() };
            make_node(node, &devices.join(format!("{name}{suffix}")))?;
        }
        let tree = super::directory(self.testbed, self.bmc).join("sys-block");
        if name != "sda" {
            // Somebody else's stick, so that the first disk is the wrong one.
            describe(&tree, "sda", (OTHER_PORT, "Generic"), &disk, &[])?;
        }
        let vendor = VENDORS[usize::from(self.is_cm4(node))];
        describe(&tree, name, (&seat.usb_port(node), vendor), &disk, &partitions)?;
        self.shown = Some(name.to_owned());
        Ok(())
    }

    fn hide(&mut self) -> Result<(), Failure> {
        let Some(name) = self.shown.take() else { return Ok(()) };
        let tree = super::directory(self.testbed, self.bmc).join("sys-block");
        empty(&tree)?;
        if self.devices()?.is_some() {
            // What is mounted from it is nobody's any more.
            let script = "for at in $(grep \"^/dev/$1\" /proc/self/mounts | cut -d' ' -f2); do umount -l \"$at\" || :; done; rm -f /dev/\"$1\"*";
            guest::shell(self.testbed, self.bmc, script, &[&name])?;
        }
        Ok(())
    }
}

fn empty(directory: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(directory).tried(|| format!("read {}", directory.display()))?.flatten() {
        fs::remove_dir_all(entry.path()).tried(|| format!("empty {}", directory.display()))?;
    }
    Ok(())
}

fn numbers(node: &Path) -> Result<String, Failure> {
    let name = node.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let path = Path::new("/sys/class/block").join(name).join("dev");
    Ok(fs::read_to_string(&path).tried(|| format!("read {}", path.display()))?.trim().to_owned())
}

fn make_node(like: &Path, at: &Path) -> Result<(), Failure> {
    let numbers = numbers(like)?;
    let (major, minor) = numbers.split_once(':').unwrap_or_default();
    // It is left from a daemon's death at worst.
    let _ = fs::remove_file(at);
    Run::new("mknod").args(["-m", "0660"]).arg(at).args(["b", major, minor]).output().map(drop)
}

/// Says what a disk is, as the kernel does of one at this USB port: what drives it lies below the port's directory.
fn describe(
    tree: &Path,
    name: &str,
    (port, vendor): (&str, &str),
    disk: &Path,
    partitions: &[PathBuf],
) -> Result<(), Failure> {
    let directory = tree.join(name);
    let device = format!(".usb1/{port}/{port}:1.0/host0/target0:0:0/0:0:0:0");
    fs::create_dir_all(&directory).tried(|| format!("make {}", directory.display()))?;
    let link = directory.join("device");
    symlink(Path::new("..").join(&device), &link).tried(|| format!("make {}", link.display()))?;
    let put = |path: &str, text: &str| write_whole(&directory.join(path), format!("{text}\n").as_bytes());
    let real = |node: &Path, what: &str| {
        let node = node.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        fs::read_to_string(Path::new("/sys/class/block").join(node).join(what)).unwrap_or_default().trim().to_owned()
    };
    // Its device first: whoever finds a vendor may ask for the rest.
    put(&format!("../{device}/model"), "USB-MSD         ")?;
    put(&format!("../{device}/vendor"), &format!("{vendor:<8}"))?;
    put("removable", "1")?;
    put("ro", "0")?;
    put("size", &real(disk, "size"))?;
    if !partitions.is_empty() {
        put("dev", &real(disk, "dev"))?;
    }
    for (number, node) in partitions.iter().enumerate() {
        let number = number + 1;
        for what in ["dev", "size", "start"] {
            put(&format!("{name}{number}/{what}"), &real(node, what))?;
        }
        put(&format!("{name}{number}/partition"), &number.to_string())?;
    }
    Ok(())
}
