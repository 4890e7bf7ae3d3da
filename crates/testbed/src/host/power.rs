//! Power: on, off, and cut.

use std::time::Duration;

use super::{guest, ready, root};
use crate::detached;
use crate::failure::Failure;
use crate::process::Process;
use crate::records::Thing;
use crate::run::Run;
use crate::testbed::{Host, Testbed};
use crate::wait;

/// How long a host may take to go down by itself.
const POWEROFF: Duration = Duration::from_secs(120);

/// How long the kernel may take to end what was killed.
const KILL: Duration = Duration::from_secs(20);

/// Starts a host unless it runs, and does not wait for it to be ready.
pub fn on(testbed: &Testbed, host: &Host) -> Result<(), Failure> {
    if testbed.records().process(&host.name)?.is_some() {
        return Ok(());
    }
    let log = testbed.host_directory(host).join("supervisor.log");
    detached::start(testbed, &host.name, &["run", &host.name], &log, true).map(drop)
}

/// Starts a host, and waits until it is ready.
pub fn start(testbed: &Testbed, host: &Host) -> Result<(), Failure> {
    on(testbed, host)?;
    ready::wait(testbed, host)
}

/// Takes a host's power away: everything in it dies at this moment. What it has written stays.
pub fn cut(testbed: &Testbed, host: &Host) -> Result<(), Failure> {
    if let Some(supervisor) = testbed.records().process(&host.name)? {
        kill_tree(supervisor)?;
        testbed.records().strike(&Thing::Process { role: host.name.clone(), process: supervisor })?;
    }
    Ok(())
}

/// Kills a process of ours with all that it started, and waits until all are gone.
pub fn kill_tree(process: Process) -> Result<(), Failure> {
    let mut tree = process.descendants();
    tree.insert(0, process);
    for process in &tree {
        process.kill();
    }
    wait::until_true(KILL, &format!("the end of process {} and what it started", process.pid), || {
        tree.iter().all(|process| !process.lives())
    })
}

/// Tells a host to go down, and waits until it has.
pub fn stop(testbed: &Testbed, host: &Host) -> Result<(), Failure> {
    let Some(supervisor) = testbed.records().process(&host.name)? else { return Ok(()) };
    let said = guest::command(testbed, host, &["true"])
        .and_then(|_| guest::shell(testbed, host, "systemctl poweroff --no-block", &[]));
    let off = wait::until_true(POWEROFF, &format!("{} to be off", host.name), || !supervisor.lives());
    let help = format!("take its power away: testbed cut --name {} {}", testbed.name, host.name);
    off.map_err(|late| match said {
        Err(said) => said.help(help),
        Ok(_) => late.help(help),
    })
}

/// Makes a host new: power off, all that it has changed forgotten, power on.
pub fn reset(testbed: &Testbed, host: &Host) -> Result<(), Failure> {
    cut(testbed, host)?;
    root::empty(testbed, host)?;
    crate::net::dnsmasq::tell(testbed)?;
    crate::net::serve::provide(testbed)?;
    // Its next host keys are other ones.
    let known = testbed.directory().join("ssh/known_hosts");
    if known.exists() {
        Run::new("ssh-keygen").args(["-R", &testbed.address(host).to_string(), "-f"]).arg(known).output()?;
    }
    start(testbed, host)
}
