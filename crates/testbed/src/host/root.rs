//! A host's root file system: the base system below, what the host has changed above; or, with disks, a partition.

use std::fs;
use std::path::PathBuf;

use crate::disks;
use crate::failure::{Failure, Tried};
use crate::run::Run;
use crate::testbed::{Host, Place, Testbed};

/// A root that is mounted for this process and its children only.
pub struct Root {
    /// Where it is.
    pub path: PathBuf,
    /// Devices that the host sees.
    pub devices: Vec<PathBuf>,
}

/// Mounts it.
pub fn mount(testbed: &Testbed, host: &Host) -> Result<Root, Failure> {
    let directory = testbed.host_directory(host);
    if testbed.disks && host.place == Place::Alone {
        let path = directory.join("root");
        fs::create_dir_all(&path).tried(|| format!("make {}", path.display()))?;
        let (devices, partition) = disks::devices(testbed, host)?;
        Run::new("mount").args(["-t", "ext4"]).arg(partition).arg(&path).output()?;
        return Ok(Root { path, devices });
    }
    let (upper, work, root) = (directory.join("upper"), directory.join("work"), directory.join("root"));
    for path in [&upper, &work, &root] {
        fs::create_dir_all(path).tried(|| format!("make {}", path.display()))?;
    }
    let base = if host.place == Place::Bmc { testbed.bmc_base_directory() } else { testbed.base_directory() };
    let base = base.join("root");
    let options = format!("lowerdir={},upperdir={},workdir={}", base.display(), upper.display(), work.display());
    Run::new("mount").args(["-t", "overlay", "testbed", "-o", &options]).arg(&root).output()?;
    Ok(Root { path: root, devices: Vec::new() })
}

/// Forgets all that the host has changed. It must be off.
pub fn empty(testbed: &Testbed, host: &Host) -> Result<(), Failure> {
    disks::remove(testbed, host)?;
    let directory = testbed.host_directory(host);
    for name in ["upper", "work", "prepared", "broken", "k3s-storage"] {
        let path = directory.join(name);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        if path.symlink_metadata().is_ok() {
            removed.tried(|| format!("remove {}", path.display()))?;
        }
    }
    Ok(())
}
