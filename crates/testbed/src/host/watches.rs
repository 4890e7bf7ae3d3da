//! How many files may be watched at once. The kernel counts for the machine as a whole, and each node of a cluster wants
//! dozens of watches: with Linux's own limit the second node's kubelet ends with "too many open files".

use std::fs;

use crate::failure::{Failure, Tried};
use crate::places;
use crate::records::write_whole;

const LIMIT: &str = "/proc/sys/fs/inotify/max_user_instances";

/// Enough for as many hosts as a testbed can have.
const WANTED: u32 = 16384;

/// Holds what the limit was before the first testbed, for the last one to put back.
const BEFORE: &str = ".inotify-instances-before";

/// Raises the limit.
pub fn allow() -> Result<(), Failure> {
    let before = fs::read_to_string(LIMIT).tried(|| format!("read {LIMIT}"))?;
    if before.trim().parse().is_ok_and(|limit: u32| limit < WANTED) {
        write_whole(&places::state().join(BEFORE), before.as_bytes())?;
        fs::write(LIMIT, WANTED.to_string()).tried(|| format!("write {WANTED} to {LIMIT}"))?;
    }
    Ok(())
}

/// Puts the limit back, if no testbed is left. The caller holds the lock of all testbeds.
pub fn put_back() -> Result<(), Failure> {
    let kept = places::state().join(BEFORE);
    if let Ok(before) = fs::read_to_string(&kept) {
        fs::write(LIMIT, before).tried(|| format!("put back {LIMIT}"))?;
        fs::remove_file(&kept).tried(|| format!("remove {}", kept.display()))?;
    }
    Ok(())
}
