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

/// Version 1's controllers that a kubelet wants, each in a hierarchy of its own.
const CONTROLLERS: [&str; 8] = ["cpuset", "cpu", "cpuacct", "memory", "pids", "devices", "freezer", "blkio"];

/// Moves this process, and what it starts from now on, into the host's group.
pub fn enter(testbed: &Testbed, host: &Host) -> Result<(), Failure> {
    let controllers =
        CONTROLLERS.iter().filter(|_| testbed.kubernetes).map(|name| Path::new("/sys/fs/cgroup").join(name));
    let hierarchies = HIERARCHIES.iter().map(PathBuf::from).chain(controllers);
    for hierarchy in hierarchies.filter(|path| path.join("cgroup.procs").exists()) {
        let path = hierarchy.join(format!("testbed-{}", testbed.machine(host)));
        testbed.records().write(&Thing::Cgroup { path: path.clone() })?;
        let tried = || format!("enter the control group {}", path.display());
        fs::create_dir_all(&path).tried(tried)?;
        // A new group of cpusets is empty, and nobody can be in it.
        for name in ["cpuset.cpus", "cpuset.mems"].into_iter().filter(|name| path.join(name).exists()) {
            let all = fs::read(hierarchy.join(name)).tried(tried)?;
            fs::write(path.join(name), all).tried(tried)?;
        }
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
