//! Processes of the testbed's own that outlive the command that starts them.

use std::env;
use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::failure::{Failure, Tried};
use crate::process::Process;
use crate::testbed::Testbed;
use crate::{strays, wait};

/// Starts this program again with other arguments, detached, and waits until it has written its record. With
/// `own_mounts` what it mounts is seen by nobody else, and gone when it and its children are.
pub fn start(
    testbed: &Testbed,
    role: &str,
    arguments: &[&str],
    log: &Path,
    own_mounts: bool,
) -> Result<Process, Failure> {
    let tried = || format!("start `testbed {}`", arguments.join(" "));
    if let Some(directory) = log.parent() {
        fs::create_dir_all(directory).tried(|| format!("make {}", directory.display()))?;
    }
    let file = OpenOptions::new().create(true).append(true).open(log).tried(|| format!("write {}", log.display()))?;
    let mut command = Command::new("setsid");
    if own_mounts {
        command.args(["unshare", "--mount", "--propagation", "private", "--"]);
    }
    let mut child = command
        .arg(env::current_exe().tried(tried)?)
        .args(arguments)
        .args(["--name", &testbed.name])
        .current_dir("/")
        // It belongs to the testbed, and goes with that: a testbed that is kept outlives the run that made it.
        .env_remove(strays::RUN)
        // A run may have a directory of its own for temporary files, which goes with it.
        .env_remove("TMPDIR")
        .stdin(Stdio::null())
        .stdout(file.try_clone().tried(tried)?)
        .stderr(file)
        .spawn()
        .tried(tried)?;
    let records = testbed.records();
    wait::until(Duration::from_secs(20), &format!("the record of `{role}`"), || {
        if let Some(status) = child.try_wait().tried(tried)? {
            let said = fs::read_to_string(log).unwrap_or_default();
            let last = said.lines().next_back().unwrap_or("it said nothing").to_owned();
            return Err(Failure::new(tried(), format!("{status}: {last}")).help(format!("see {}", log.display())));
        }
        records.process(role)
    })
}
