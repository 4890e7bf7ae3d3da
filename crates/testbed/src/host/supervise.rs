//! The process that keeps a host's container running, and starts it again when it asks for a reboot.

use std::fs::{self, OpenOptions};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::root::{self, Root};
use super::{cgroup, prepare};
use crate::breakage::marks;
use crate::failure::{Failure, Tried};
use crate::process::Process;
use crate::records::Thing;
use crate::run::Run;
use crate::testbed::{Host, Testbed};
use crate::{net, wait};

/// What nspawn exits with when its guest asks for a reboot.
const REBOOT: i32 = 133;

/// What it does until the host is off. Its mounts are its own, so nothing has to be taken away if it is killed.
pub fn run(testbed: &Testbed, host: &Host) -> Result<(), Failure> {
    let me = Process::me().ok_or_else(|| Failure::new("find myself in /proc", "it is not mounted"))?;
    let record = Thing::Process { role: host.name.clone(), process: me };
    testbed.records().write(&record)?;
    cgroup::enter(testbed, host)?;
    // nspawn wants its own directories there, and they must not be seen by the rest of the machine.
    Run::new("mount").args(["-t", "tmpfs", "tmpfs", "/run/systemd"]).output()?;
    loop {
        let root = root::mount(testbed, host)?;
        prepare::once(testbed, host, &root.path)?;
        let begun = Instant::now();
        let status = boot(testbed, host, &root)?;
        eprintln!("{} ended after {:.0?}: {status}", host.name, begun.elapsed());
        Run::new("umount").arg(&root.path).output()?;
        if status.code() != Some(REBOOT) || marks::is_set(testbed, host, "no-return") {
            break;
        }
    }
    testbed.records().strike(&record)
}

/// One boot, from power-on to power-off.
///
/// Whoever kills this process kills the guest: `setpriv` ends `unshare` with it, `unshare` ends nspawn, and with nspawn,
/// the first process of its namespace, the kernel ends everything inside.
fn boot(testbed: &Testbed, host: &Host, root: &Root) -> Result<ExitStatus, Failure> {
    let interface = testbed.interface(host);
    wait::until_true(Duration::from_secs(15), &format!("the end of the interface {interface}"), || {
        !net::bridge::has_interface(&interface)
    })?;
    let console = testbed.host_directory(host).join("console.log");
    let tried = || format!("write {}", console.display());
    if let Some(directory) = console.parent() {
        fs::create_dir_all(directory).tried(tried)?;
    }
    let console = OpenOptions::new().create(true).append(true).open(&console).tried(tried)?;
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"])
        .args(["--pid", "--fork", "--kill-child=KILL", "--mount-proc"])
        .args(["systemd-nspawn", "--boot", "--register=no", "--keep-unit", "--resolv-conf=off", "--timezone=off"])
        .args(["--link-journal=no", "--console=read-only"])
        .arg(format!("--directory={}", root.path.display()))
        .arg(format!("--machine={}", testbed.machine(host)))
        .arg(format!("--hostname={}", host.name))
        .arg(format!("--network-bridge={}", testbed.bridge()))
        .args(root.devices.iter().map(|device| format!("--bind={}", device.display())))
        .env("SYSTEMD_NSPAWN_TMPFS_TMP", "0")
        .stdin(Stdio::null())
        .stdout(console.try_clone().tried(|| "share the console's log".to_owned())?)
        .stderr(console)
        .spawn()
        .tried(|| format!("start the container of {}", host.name))?;
    // As long as the host is on: `down`, `stop` and `cut` bound it.
    child.wait().tried(|| format!("watch the container of {}", host.name))
}
