//! The inside of a running host, reached without its network.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::failure::Failure;
use crate::process::Process;
use crate::run::Run;
use crate::testbed::{Host, Testbed};

/// The first process inside, if the host is on.
pub fn leader(testbed: &Testbed, host: &Host) -> Result<Option<Process>, Failure> {
    let Some(supervisor) = testbed.records().process(&host.name)? else { return Ok(None) };
    // One namespace of processes for nspawn, and in it one for the guest.
    let depth = supervisor.numbers().len() + 2;
    let inside = supervisor.descendants().into_iter();
    Ok(inside
        .map(|process| (process, process.numbers()))
        .find_map(|(process, numbers)| (numbers.len() == depth && numbers.last() == Some(&1)).then_some(process)))
}

/// The first process inside, or why there is none.
fn running(testbed: &Testbed, host: &Host) -> Result<Process, Failure> {
    leader(testbed, host)?.ok_or_else(|| {
        Failure::new(format!("reach into {}", host.name), "it is off")
            .help(format!("testbed start --name {} {}", testbed.name, host.name))
    })
}

/// The host's root directory, as seen from here.
pub fn root(leader: Process) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root", leader.pid))
}

fn words(leader: Process) -> Vec<String> {
    let target = leader.pid.to_string();
    let words = [
        "--target",
        &target,
        "--mount",
        "--uts",
        "--ipc",
        "--net",
        "--pid",
        "--root",
        "--wd",
        "env",
        "-i",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME=/root",
        "LC_ALL=C.UTF-8",
    ];
    words.map(str::to_owned).to_vec()
}

/// A command inside, as root, that takes over this program's input and output.
pub fn command(testbed: &Testbed, host: &Host, command: &[impl AsRef<OsStr>]) -> Result<Command, Failure> {
    let mut nsenter = Command::new("nsenter");
    nsenter.args(words(running(testbed, host)?));
    if let Some(term) = std::env::var_os("TERM") {
        let mut word = std::ffi::OsString::from("TERM=");
        word.push(term);
        nsenter.arg(word);
    }
    nsenter.args(command);
    Ok(nsenter)
}

/// Runs a piece of shell inside, as root, for at most so many seconds; what it said until then, however it ended.
///
/// It is ended from outside: not every host has a program for that. The group of processes is what is killed, as nsenter
/// alone would leave behind what it started.
pub fn look(testbed: &Testbed, host: &Host, script: &str, seconds: u64) -> Result<String, Failure> {
    let leader = running(testbed, host)?;
    let said = Run::new("timeout")
        .args(["--kill-after=1", &seconds.to_string(), "nsenter"])
        .args(words(leader))
        .args(["sh", "-s"])
        .input(script)
        .bound(Duration::from_secs(seconds + 5))
        .said()?;
    let ended = match said.status.code() {
        Some(124 | 137) => format!("(ended after {seconds} s)\n"),
        _ => String::new(),
    };
    Ok(format!("{}{}{ended}", said.out, said.err))
}

/// Runs a piece of shell inside, as root, with arguments; what it said.
pub fn shell(testbed: &Testbed, host: &Host, script: &str, arguments: &[&str]) -> Result<String, Failure> {
    let leader = running(testbed, host)?;
    Run::new("nsenter").args(words(leader)).args(["sh", "-e", "-s", "--"]).args(arguments).input(script).output()
}
