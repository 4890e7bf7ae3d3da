//! Loop devices, known by the file that they are over.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failure::{Failure, Tried};
use crate::records::{Records, Thing};
use crate::run::Run;
use crate::wait;

/// The device over a file, if there is one.
pub fn device(image: &Path) -> Result<Option<PathBuf>, Failure> {
    let said = Run::new("losetup").args(["--noheadings", "--output", "NAME", "--associated"]).arg(image).output()?;
    Ok(said.lines().next().map(|line| PathBuf::from(line.trim())))
}

/// Sees to it that there is a device over a file, and that the kernel knows its partitions.
pub fn attach(records: &Records, image: &Path) -> Result<PathBuf, Failure> {
    let found = match device(image)? {
        Some(found) => found,
        None => {
            records.write(&Thing::Loop { image: image.to_owned() })?;
            let said = Run::new("losetup").args(["--find", "--show"]).arg(image).output()?;
            PathBuf::from(said.trim())
        }
    };
    // Some kernels read no partition tables by themselves. It fails where there is no table, or nothing new.
    Run::new("partx").arg("--update").arg(&found).said()?;
    Ok(found)
}

/// A device over a file that has been written to behind the back of any that was there.
pub fn attach_anew(records: &Records, image: &Path) -> Result<PathBuf, Failure> {
    detach(image)?;
    attach(records, image)
}

/// The device nodes of a device's partitions, in their order.
pub fn partitions(device: &Path) -> Result<Vec<PathBuf>, Failure> {
    let name = device.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let directory = Path::new("/sys/block").join(name);
    let entries = fs::read_dir(&directory).tried(|| format!("read {}", directory.display()))?;
    let mut numbers: Vec<u32> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_prefix(name)?.strip_prefix('p')?.parse().ok())
        .collect();
    numbers.sort_unstable();
    Ok(numbers.iter().map(|number| PathBuf::from(format!("/dev/{name}p{number}"))).collect())
}

/// Takes the devices over a file away. One that is still in use goes as soon as it is not.
pub fn detach(image: &Path) -> Result<(), Failure> {
    wait::until(Duration::from_secs(20), &format!("the loop device over {} to be free", image.display()), || {
        let Some(found) = device(image)? else { return Ok(Some(())) };
        // Where there is no partition it fails, which is as good.
        Run::new("partx").arg("--delete").arg(&found).said()?;
        Run::new("losetup").arg("--detach").arg(&found).said()?;
        Ok(None)
    })
}

/// Strikes out the record of a file's devices.
pub fn strike(records: &Records, image: &Path) -> Result<(), Failure> {
    records.strike(&Thing::Loop { image: image.to_owned() })
}
