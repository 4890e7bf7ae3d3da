//! Hosts with two disks: loop devices over sparse files. Such a host's root is really on a partition of one of them.
//!
//! Both have the layout of the RK1's image: a small first partition (empty, as the kernel may have no vfat) and the root
//! in the second.

pub mod grow;
pub mod image;
pub mod loops;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use loops::detach;

use crate::failure::{Failure, Tried};
use crate::host::guest;
use crate::run::Run;
use crate::testbed::{Host, Testbed};
use crate::wait;

/// What the file system is called that holds a root.
pub const ROOT_LABEL: &str = "cloudimg-rootfs";

/// Which of a host's disks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Disk {
    /// What it boots from at first, as an eMMC.
    First,
    /// What its root may move to, as an NVMe drive. A little bigger.
    Second,
}

impl Disk {
    fn image(self, testbed: &Testbed, host: &Host) -> PathBuf {
        let name = match self {
            Self::First => "disk-a.img",
            Self::Second => "disk-b.img",
        };
        testbed.host_directory(host).join(name)
    }
}

/// Makes a host's disks, unless they are there, and the devices over them.
pub fn make(testbed: &Testbed, host: &Host) -> Result<(), Failure> {
    let (first, second) = (Disk::First.image(testbed, host), Disk::Second.image(testbed, host));
    if !first.exists() {
        image::install(&testbed.base_directory(), &first)?;
    }
    if !second.exists() {
        image::empty(&second)?;
    }
    let records = testbed.records();
    loops::attach(&records, &first)?;
    loops::attach(&records, &second).map(drop)
}

/// The second disk of a host, as it is called inside.
pub fn second(testbed: &Testbed, host: &Host) -> Option<String> {
    let device = loops::device(&Disk::Second.image(testbed, host)).ok()??;
    Some(device.display().to_string())
}

/// All device nodes that a host sees, and the partition that it boots from: the second disk's, if a root is on it.
pub fn devices(testbed: &Testbed, host: &Host) -> Result<(Vec<PathBuf>, PathBuf), Failure> {
    make(testbed, host)?;
    let mut nodes = Vec::new();
    let mut root = None;
    for disk in [Disk::First, Disk::Second] {
        let image = disk.image(testbed, host);
        let device = loops::attach(&testbed.records(), &image)?;
        let partitions = loops::partitions(&device)?;
        let second = partitions.get(1).filter(|partition| label(partition) == ROOT_LABEL).cloned();
        root = second.or(root);
        nodes.push(device);
        nodes.extend(partitions);
    }
    let root = root.ok_or_else(|| {
        Failure::new(format!("boot {}", host.name), format!("no disk of it holds a file system {ROOT_LABEL}"))
            .help(format!("make it new: testbed reset --name {} {}", testbed.name, host.name))
    })?;
    Ok((nodes, root))
}

/// The second disk of a module, which boots from its eMMC: its nodes, and the partition that a root moved to.
pub fn beside_emmc(testbed: &Testbed, host: &Host) -> Result<(Vec<PathBuf>, Option<PathBuf>), Failure> {
    if !testbed.disks {
        return Ok((Vec::new(), None));
    }
    let image = Disk::Second.image(testbed, host);
    if !image.exists() {
        image::empty(&image)?;
    }
    let device = loops::attach(&testbed.records(), &image)?;
    let partitions = loops::partitions(&device)?;
    let root = partitions.get(1).filter(|partition| label(partition) == ROOT_LABEL).cloned();
    Ok(([vec![device], partitions].concat(), root))
}

/// What a file system is called.
pub fn label(partition: &Path) -> String {
    // It fails where there is nothing, which is an answer.
    let said = Run::new("blkid").args(["-p", "-o", "value", "-s", "LABEL"]).arg(partition).said();
    said.map(|said| said.out.trim().to_owned()).unwrap_or_default()
}

/// Takes a host's disks away: the next start makes new ones. It must be off.
pub fn remove(testbed: &Testbed, host: &Host) -> Result<(), Failure> {
    // What was killed lets go of its mounts a moment later.
    wait::until_true(Duration::from_secs(15), &format!("the end of {}", host.name), || {
        guest::leader(testbed, host).is_ok_and(|leader| leader.is_none())
    })?;
    for disk in [Disk::First, Disk::Second] {
        let image = disk.image(testbed, host);
        if image.exists() {
            detach(&image)?;
            fs::remove_file(&image).tried(|| format!("remove {}", image.display()))?;
            loops::strike(&testbed.records(), &image)?;
        }
    }
    Ok(())
}
