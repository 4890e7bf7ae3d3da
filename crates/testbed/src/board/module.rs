//! The module in a slot: boots what is on its eMMC when it is given power, and is gone at once when it loses it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::Duration;

use crate::bmcd::{Drive, Seat};
use crate::disks::{self, loops};
use crate::failure::{Failure, Tried};
use crate::host::container::{self, REBOOT};
use crate::host::root::Root;
use crate::host::{power, prepare};
use crate::process::Process;
use crate::run::Run;
use crate::testbed::{Host, Testbed};

/// How often the slot's power is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Where cloud-init looks for the files that a flashed module has on its first partition.
const SEED: &str = "var/lib/cloud/seed/nocloud";

/// What cloud-init reads of that partition.
const SEED_FILES: [&str; 3] = ["meta-data", "user-data", "network-config"];

/// What file systems are called that a root may be on: that of an RK1's image, and that of a CM4's.
const ROOTS: [&str; 2] = [disks::ROOT_LABEL, "writable"];

struct Module<'a> {
    testbed: &'a Testbed,
    host: &'a Host,
    seat: Seat,
    node: usize,
}

/// Plays the module of a slot (counted from 1), for ever.
pub fn keep(testbed: &Testbed, host: &Host, bmc: &Host, slot: u8) -> Result<(), Failure> {
    let module = Module { testbed, host, seat: super::seat(testbed, bmc), node: usize::from(slot).saturating_sub(1) };
    loop {
        let (drive, epoch) = module.seat.power(module.node);
        if drive == Drive::Normal {
            module.serve(epoch)?;
        }
        while module.seat.power(module.node) == (drive, epoch) {
            thread::sleep(LOOK);
        }
    }
}

impl Module<'_> {
    fn has_power(&self, epoch: u64) -> bool {
        self.seat.power(self.node) == (Drive::Normal, epoch)
    }

    fn console(&self) -> PathBuf {
        self.seat.of_slot(self.node, "uart.log")
    }

    fn say(&self, text: &str) -> Result<(), Failure> {
        let path = self.console();
        let file = OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| writeln!(file, "{text}\r")).tried(|| format!("write {}", path.display()))
    }

    /// From power-on to power-off, or until it halts.
    fn serve(&self, epoch: u64) -> Result<(), Failure> {
        self.say("\r\nU-Boot (played by a testbed)")?;
        if self.seat.fault("never-boots", self.node).is_some() {
            return self.say("Loading Environment from MMC... *** Warning - bad CRC, using default environment");
        }
        while self.has_power(epoch) {
            let root = match self.root() {
                Ok(root) => root,
                Err(failure) => {
                    self.say("mmc0: no bootable file system")?;
                    return self.say(&failure.to_string());
                }
            };
            let child = container::start(self.testbed, self.host, &root, &self.console(), &[])?;
            let ended = self.watch(child, epoch)?;
            Run::new("umount").arg(&root.path).output()?;
            if ended.is_none_or(|status| status.code() != Some(REBOOT)) {
                break;
            }
        }
        Ok(())
    }

    /// How the guest ended, unless its power was taken.
    fn watch(&self, mut child: Child, epoch: u64) -> Result<Option<ExitStatus>, Failure> {
        let tried = || format!("watch the container of {}", self.host.name);
        loop {
            if let Some(status) = child.try_wait().tried(tried)? {
                eprintln!("{} ended: {status}", self.host.name);
                return Ok(Some(status));
            }
            if !self.has_power(epoch) {
                if let Some(process) = i32::try_from(child.id()).ok().and_then(Process::of) {
                    power::kill_tree(process)?;
                }
                child.wait().tried(tried)?;
                return Ok(None);
            }
            thread::sleep(LOOK);
        }
    }

    /// Mounts what it boots from, with what its first partition has for cloud-init.
    fn root(&self) -> Result<Root, Failure> {
        let emmc = self.seat.of_slot(self.node, "emmc.img");
        // Programs and pods of a cluster take more room than an image has at first.
        if self.testbed.kubernetes {
            loops::detach(&emmc)?;
            disks::grow::last_partition(&emmc)?;
        }
        let device = loops::attach_anew(&self.testbed.records(), &emmc)?;
        let partitions = loops::partitions(&device)?;
        let (beside, moved) = disks::beside_emmc(self.testbed, self.host)?;
        let on_emmc = partitions.iter().find(|partition| ROOTS.contains(&disks::label(partition).as_str()));
        let root = moved
            .as_ref()
            .or(on_emmc)
            .ok_or_else(|| Failure::new(format!("boot {}", self.host.name), "its eMMC holds no root file system"))?;
        let path = self.testbed.host_directory(self.host).join("root");
        fs::create_dir_all(&path).tried(|| format!("make {}", path.display()))?;
        if self.testbed.kubernetes && moved.is_none() {
            disks::grow::file_system(root)?;
        }
        Run::new("mount").args(["-t", "ext4"]).arg(root).arg(&path).output()?;
        let given = partitions.first().map_or(Ok(()), |first| self.hand_over(first, &path));
        let given = given.and_then(|()| prepare::surroundings(self.testbed, self.host, &path));
        if let Err(failure) = given {
            Run::new("umount").arg(&path).output()?;
            return Err(failure);
        }
        Ok(Root { path, devices: [vec![device], partitions, beside].concat() })
    }

    /// The guest's own kernel has no vfat: what is for cloud-init is put where it looks first.
    fn hand_over(&self, first: &Path, root: &Path) -> Result<(), Failure> {
        let seed = root.join(SEED);
        if seed.exists() {
            fs::remove_dir_all(&seed).tried(|| format!("remove {}", seed.display()))?;
        }
        fs::create_dir_all(&seed).tried(|| format!("make {}", seed.display()))?;
        let boot = self.testbed.host_directory(self.host).join("first-partition");
        fs::create_dir_all(&boot).tried(|| format!("make {}", boot.display()))?;
        Run::new("fusefat").args(["-o", "ro"]).arg(first).arg(&boot).output()?;
        let copied = SEED_FILES.iter().map(|name| (boot.join(name), seed.join(name))).filter(|(from, _)| from.exists());
        let copied: Result<Vec<u64>, _> = copied.map(|(from, to)| fs::copy(from, to)).collect();
        Run::new("umount").arg(&boot).output()?;
        copied.map(drop).tried(|| format!("copy {}", SEED_FILES.join(", ")))
    }
}
