//! Image files of disks.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ROOT_LABEL;
use crate::failure::{Failure, Tried};
use crate::places::{self, Lock};
use crate::run::Run;

const MIB: u64 = 1024 * 1024;

/// Where the second partition begins, in MiB: after the first one's four.
const ROOT_BEGINS: u64 = 5;

/// How big the first disk's root is, in MiB.
const ROOT_SIZE: u64 = 1800;

/// What is behind the root, for the second copy of the partition table.
const BEHIND: u64 = 2;

/// How big the second disk is, in MiB.
const SECOND_SIZE: u64 = 3000;

/// Makes a file of nothing, of so many MiB.
pub fn make(path: &Path, mebibytes: u64) -> Result<(), Failure> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).tried(|| format!("make {}", directory.display()))?;
    }
    let file = File::create(path).tried(|| format!("make {}", path.display()))?;
    file.set_len(mebibytes * MIB).tried(|| format!("make {} as big as it should be", path.display()))
}

/// A disk with nothing on it.
pub fn empty(path: &Path) -> Result<(), Failure> {
    make(path, SECOND_SIZE)
}

/// A disk with the base system on it, as if it were just flashed. Written under another name until it is whole.
pub fn install(base: &Path, path: &Path) -> Result<(), Failure> {
    let root = provide_root(base)?;
    let unfinished = path.with_extension("unfinished");
    make(&unfinished, ROOT_BEGINS + ROOT_SIZE + BEHIND)?;
    let table = format!(
        "label: gpt\nstart=1MiB, size=4MiB, name=CIDATA\nstart={ROOT_BEGINS}MiB, size={ROOT_SIZE}MiB, name=rootfs\n"
    );
    Run::new("sfdisk").args(["--quiet", "--no-reread", "--no-tell-kernel"]).arg(&unfinished).input(table).output()?;
    Run::new("dd")
        .arg(format!("if={}", root.display()))
        .arg(format!("of={}", unfinished.display()))
        .args(["bs=1M", &format!("seek={ROOT_BEGINS}"), "conv=sparse,notrunc", "status=none"])
        .output()?;
    fs::rename(&unfinished, path).tried(|| format!("name {} as finished", path.display()))
}

/// It is some hundreds of megabytes in thousands of files, and on a machine without a cache other stories make theirs
/// meanwhile: more than two minutes have been seen, where a quiet machine takes seconds.
const ROOT_BOUND: Duration = Duration::from_secs(600);

/// Sees to it that the base system in this directory is there as a file system in a file too; where that is.
pub fn provide_root(base: &Path) -> Result<PathBuf, Failure> {
    let path = base.join("root.ext4");
    if path.exists() {
        return Ok(path);
    }
    let name = base.file_name().unwrap_or_default().to_string_lossy();
    let _lock = places::lock(&places::cache(), &format!("{name}-root"), Lock::Alone, ROOT_BOUND)?;
    if path.exists() {
        return Ok(path);
    }
    let unfinished = base.join("root.unfinished");
    make(&unfinished, ROOT_SIZE)?;
    Run::new("mkfs.ext4")
        .args(["-q", "-F", "-L", ROOT_LABEL, "-d"])
        .arg(base.join("root"))
        .arg(&unfinished)
        .bound(ROOT_BOUND)
        .output()?;
    fs::rename(&unfinished, &path).tried(|| format!("name {} as finished", path.display()))?;
    Ok(path)
}
