//! A host's container: one boot of it.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::kubernetes;
use super::root::Root;
use crate::failure::{Failure, Tried};
use crate::testbed::{Host, Testbed};
use crate::{net, wait};

/// What nspawn exits with when its guest asks for a reboot.
pub const REBOOT: i32 = 133;

/// Starts it. Its console is appended to a file; `binds` are what nspawn's `--bind` takes.
///
/// Whoever kills this process kills the guest: `setpriv` ends `unshare` with it, `unshare` ends nspawn, and with nspawn,
/// the first process of its namespace, the kernel ends everything inside.
pub fn start(testbed: &Testbed, host: &Host, root: &Root, console: &Path, binds: &[String]) -> Result<Child, Failure> {
    let interface = testbed.interface(host);
    wait::until_true(Duration::from_secs(15), &format!("the end of the interface {interface}"), || {
        !net::bridge::has_interface(&interface)
    })?;
    let kubernetes = kubernetes::words(testbed, host)?;
    let tried = || format!("write {}", console.display());
    if let Some(directory) = console.parent() {
        fs::create_dir_all(directory).tried(tried)?;
    }
    let console = OpenOptions::new().create(true).append(true).open(console).tried(tried)?;
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"])
        .args(["--pid", "--fork", "--kill-child=KILL", "--mount-proc"])
        .args(["systemd-nspawn", "--boot", "--register=no", "--keep-unit", "--resolv-conf=off", "--timezone=off"])
        .args(["--link-journal=no", "--console=read-only"])
        .arg(format!("--directory={}", root.path.display()))
        .arg(format!("--machine={}", testbed.machine(host)))
        .arg(format!("--hostname={}", host.name))
        .arg(format!("--network-bridge={}", testbed.bridge()))
        .args(root.devices.iter().map(|device| format!("--bind={}", device.display())))
        .args(binds.iter().map(|bind| format!("--bind={bind}")))
        .args(kubernetes)
        .env("SYSTEMD_NSPAWN_TMPFS_TMP", "0")
        .stdin(Stdio::null())
        .stdout(console.try_clone().tried(|| "share the console's log".to_owned())?)
        .stderr(console)
        .spawn()
        .tried(|| format!("start the container of {}", host.name))
}
