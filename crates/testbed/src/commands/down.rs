//! `testbed down`.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use super::alone;
use crate::failure::{Failure, Tried};
use crate::host::{cgroup, power, watches};
use crate::net::bridge;
use crate::places::{self, Lock};
use crate::process::Process;
use crate::records::Thing;
use crate::testbed::{directory_of, records_of};
use crate::{disks, owner, tools};

/// Takes away all that the records name, whatever happened to who made it; nothing else.
pub fn run(name: &str) -> Result<(), Failure> {
    tools::root()?;
    let _lock = alone(name)?;
    take_away(name)
}

/// The same if its owner is gone; who that was, if so.
pub fn run_if_stale(name: &str) -> Result<Option<Process>, Failure> {
    let _lock = alone(name)?;
    // Asked now, as another testbed may have been made under this name until the lock was taken.
    let Some(owner) = owner::of(name)?.filter(|owner| !owner.lives()) else { return Ok(None) };
    take_away(name)?;
    Ok(Some(owner))
}

/// The caller is alone with the testbed.
fn take_away(name: &str) -> Result<(), Failure> {
    let directory = directory_of(name);
    // First of all: whoever is being started now finds no testbed, or is found by its record.
    match fs::remove_file(directory.join("testbed.json")) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(Failure::new(format!("remove the testbed's file in {}", directory.display()), error));
        }
        _ => {}
    }
    let records = records_of(name);
    // Read again each time: until a process was killed, it may have recorded more.
    while let Some(thing) = records.all()?.into_iter().min_by_key(order) {
        match &thing {
            Thing::Process { process, .. } if process.lives() => power::kill_tree(*process)?,
            Thing::Process { .. } => {}
            Thing::Loop { image } => disks::detach(image)?,
            Thing::Cgroup { path } => cgroup::remove(path)?,
            Thing::NftTable { name } => bridge::remove_table(name)?,
            Thing::Bridge { name } => bridge::remove(name)?,
        }
        records.strike(&thing)?;
    }
    refuse_mounts(&directory)?;
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(Failure::new(format!("remove {}", directory.display()), error));
        }
        _ => {}
    }
    // Only now, as a large directory takes its time to go, and others wait for this lock.
    let _all = places::lock(&places::state(), "all", Lock::Alone, Duration::from_secs(60))?;
    let left = fs::read_dir(places::state()).tried(|| "look for other testbeds".to_owned())?;
    if !left.flatten().any(|entry| entry.path().is_dir()) {
        bridge::stop_forwarding()?;
        watches::put_back()?;
    }
    // Last of all: until here it may be killed, and what is left has its owner.
    owner::forget(name)
}

/// What uses another thing goes before it.
fn order(thing: &Thing) -> u8 {
    match thing {
        Thing::Process { .. } => 0,
        Thing::Cgroup { .. } => 1,
        Thing::Loop { .. } => 2,
        Thing::NftTable { .. } => 3,
        Thing::Bridge { .. } => 4,
    }
}

/// The testbed mounts nothing that is seen here. Whoever else did would lose what is below.
fn refuse_mounts(directory: &Path) -> Result<(), Failure> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").tried(|| "read /proc/self/mountinfo".to_owned())?;
    let below = mounts
        .lines()
        .filter_map(|line| line.split_whitespace().nth(4))
        .find(|point| Path::new(point).starts_with(directory));
    match below {
        Some(point) => Err(Failure::new(format!("remove {}", directory.display()), format!("{point} is mounted"))
            .help(format!("umount {point}"))),
        None => Ok(()),
    }
}
