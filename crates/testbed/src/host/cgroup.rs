//! A control group of a host's own.
//!
//! nspawn puts a guest's processes below the group that it is started in. Guests that share one share the groups of their
//! units too: one that stops a unit then takes that unit's group away from another.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failure::{Failure, Tried};
use crate::records::Thing;
use crate::testbed::{Host, Testbed};
use crate::wait;

/// The hierarchies that systemd tells its units apart by, where the machine has them: version 1's own, and version 2
/// alone or beside it.
const HIERARCHIES: [&str; 3] = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

/// Moves this process, and what it starts from now on, into the host's group.
pub fn enter(testbed: &Testbed, host: &Host) -> Result<(), Failure> {
    let hierarchies = HIERARCHIES.iter().map(Path::new).filter(|path| path.join("cgroup.procs").exists());
    for hierarchy in hierarchies {
        let path = hierarchy.join(format!("testbed-{}", testbed.machine(host)));
        testbed.records().write(&Thing::Cgroup { path: path.clone() })?;
        let tried = || format!("enter the control group {}", path.display());
        fs::create_dir_all(&path).tried(tried)?;
        fs::write(path.join("cgroup.procs"), std::process::id().to_string()).tried(tried)?;
    }
    Ok(())
}

/// Takes a group away with all below it, as soon as nobody is in them.
pub fn remove(path: &Path) -> Result<(), Failure> {
    wait::until_true(Duration::from_secs(20), &format!("the control group {} to be empty", path.display()), || {
        below(path).iter().rev().all(|group| match fs::remove_dir(group) {
            Err(error) => error.kind() == ErrorKind::NotFound,
            Ok(()) => true,
        })
    })
}

/// The group and those below it, each after the one that it is in.
fn below(path: &Path) -> Vec<PathBuf> {
    let mut all = vec![path.to_owned()];
    let mut next = 0;
    while let Some(group) = all.get(next).cloned() {
        let entries = fs::read_dir(group).into_iter().flatten().flatten();
        all.extend(entries.map(|entry| entry.path()).filter(|path| path.is_dir()));
        next += 1;
    }
    all
}
