//! The process that keeps a host's container running, and starts it again when it asks for a reboot.

use std::time::Instant;

use super::container::{self, REBOOT};
use super::{cgroup, prepare, root};
use crate::board;
use crate::breakage::marks;
use crate::failure::{Failure, Tried};
use crate::process::Process;
use crate::records::Thing;
use crate::run::Run;
use crate::testbed::{Host, Place, Testbed};

/// What it does until the host is off. Its mounts are its own, so nothing has to be taken away if it is killed.
pub fn run(testbed: &Testbed, host: &Host) -> Result<(), Failure> {
    let me = Process::me().ok_or_else(|| Failure::new("find myself in /proc", "it is not mounted"))?;
    let record = Thing::Process { role: host.name.clone(), process: me };
    testbed.record_process(&record)?;
    cgroup::enter(testbed, host)?;
    // nspawn wants its own directories there, and they must not be seen by the rest of the machine.
    Run::new("mount").args(["-t", "tmpfs", "tmpfs", "/run/systemd"]).output()?;
    match &host.place {
        Place::Alone => keep(testbed, host)?,
        Place::Bmc => board::bmc::keep(testbed, host)?,
        Place::Slot { board, slot, .. } => board::module::keep(testbed, host, testbed.host(board)?, *slot)?,
    }
    testbed.records().strike(&record)
}

fn keep(testbed: &Testbed, host: &Host) -> Result<(), Failure> {
    loop {
        let root = root::mount(testbed, host)?;
        prepare::once(testbed, host, &root.path)?;
        let begun = Instant::now();
        let console = testbed.host_directory(host).join("console.log");
        let mut child = container::start(testbed, host, &root, &console, &[])?;
        // As long as the host is on: `down`, `stop` and `cut` bound it.
        let status = child.wait().tried(|| format!("watch the container of {}", host.name))?;
        eprintln!("{} ended after {:.0?}: {status}", host.name, begun.elapsed());
        Run::new("umount").arg(&root.path).output()?;
        if status.code() != Some(REBOOT) || marks::is_set(testbed, host, "no-return") {
            return Ok(());
        }
    }
}
