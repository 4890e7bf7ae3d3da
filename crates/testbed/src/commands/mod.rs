//! The commands, a file each.

pub mod breaking;
pub mod clean;
pub mod down;
pub mod git_commit;
pub mod list;
pub mod power;
pub mod programs;
pub mod state;
pub mod up;

use std::fs::File;
use std::time::Duration;

use crate::failure::Failure;
use crate::places::{self, Lock};
use crate::testbed::{Host, Testbed};

/// How long a command waits for another one at the same testbed.
const BOUND: Duration = Duration::from_secs(600);

/// A command that makes or removes a testbed is alone with it.
fn alone(name: &str) -> Result<File, Failure> {
    places::lock(&places::state(), name, Lock::Alone, BOUND)
}

/// One that changes a host is alone with the host; others may be at work on other hosts.
fn at_host(testbed: &Testbed, host: &Host) -> Result<(File, File), Failure> {
    let shared = places::lock(&places::state(), &testbed.name, Lock::Shared, BOUND)?;
    Ok((shared, places::lock(&testbed.host_directory(host), "host", Lock::Alone, BOUND)?))
}
