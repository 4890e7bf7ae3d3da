//! Processes that a test run has left. `scripts/test` names itself in their environment, which what they start inherits.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::failure::Failure;
use crate::process::Process;
use crate::wait;

/// The variable that names the run that a process belongs to: `PID:START`, as in [`Process`].
pub const RUN: &str = "BRINGUP_TEST_RUN";

/// How long the kernel may take to end what was killed, and what that has started meanwhile.
const BOUND: Duration = Duration::from_secs(20);

/// Kills the processes of runs that no longer live, and waits until they are gone. `killed` hears of each.
///
/// Never this process and those that it descends from: the caller is at work, whatever its environment says.
pub fn kill(mut killed: impl FnMut(Process)) -> Result<(), Failure> {
    let spared = spared()?;
    let mut known = BTreeSet::new();
    let mut left = Vec::new();
    let gone = wait::until_true(BOUND, "the end of what dead test runs have left", || {
        // Looked for again each time: one that was being started a moment ago was not seen before.
        left = strays(Process::every(), &spared, |process| process.environment(), Process::lives);
        for process in &left {
            process.kill();
            if known.insert(*process) {
                killed(*process);
            }
        }
        left.is_empty()
    });
    let numbers = || left.iter().map(|process| process.pid.to_string()).collect::<Vec<_>>().join(", ");
    gone.map_err(|failure| failure.help(format!("still there: {}", numbers())))
}

fn spared() -> Result<BTreeSet<Process>, Failure> {
    let me = Process::me().ok_or_else(|| Failure::new("find myself in /proc", "it is not mounted"))?;
    Ok(me.ancestors().into_iter().chain([me]).collect())
}

/// Those of all processes that name a run that no longer lives.
fn strays(
    all: Vec<Process>,
    spared: &BTreeSet<Process>,
    environment: impl Fn(Process) -> Vec<u8>,
    lives: impl Fn(Process) -> bool,
) -> Vec<Process> {
    let dead = |process: &Process| run_of(&environment(*process)).is_some_and(|run| !lives(run));
    all.into_iter().filter(|process| !spared.contains(process)).filter(dead).collect()
}

/// The run that an environment names; the first one counts, as it does for the process itself.
fn run_of(environment: &[u8]) -> Option<Process> {
    let mut variables = environment.split(|byte| *byte == 0).filter_map(|one| std::str::from_utf8(one).ok());
    parse(variables.find_map(|one| one.strip_prefix(RUN)?.strip_prefix('='))?)
}

/// `PID:START`. Anything else names nobody, and nobody's processes are left alone.
fn parse(text: &str) -> Option<Process> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (pid, start) = text.split_once(':').filter(|(pid, start)| digits(pid) && digits(start))?;
    Some(Process { pid: pid.parse().ok().filter(|pid| *pid > 0)?, start: start.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_by_two_numbers() {
        assert_eq!(parse("12:345"), Some(Process { pid: 12, start: 345 }));
        for text in ["", "12", "12:", ":345", "12:345:6", " 12:345", "12:345\n", "-1:3", "+1:3", "0:3", "99999999999:3"]
        {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_environment_names_a_run_by_that_very_variable() {
        let run = Some(Process { pid: 1, start: 2 });
        assert_eq!(run_of(b"PATH=/bin\0BRINGUP_TEST_RUN=1:2\0HOME=/\0"), run);
        assert_eq!(run_of(b"\xff=x\0BRINGUP_TEST_RUN=1:2"), run);
        assert_eq!(run_of(b"BRINGUP_TEST_RUN=1:2\0BRINGUP_TEST_RUN=3:4\0"), run);
        for environment in
            [&b""[..], b"XBRINGUP_TEST_RUN=1:2\0", b"BRINGUP_TEST_RUNS=1:2\0", b"A=BRINGUP_TEST_RUN=1:2\0"]
        {
            assert_eq!(run_of(environment), None, "{}", String::from_utf8_lossy(environment));
        }
    }

    #[test]
    fn only_what_names_a_dead_run_is_a_stray_and_who_is_spared_is_not() {
        let process = |pid| Process { pid, start: 1 };
        let environment = |process: Process| match process.pid {
            1 => b"BRINGUP_TEST_RUN=100:1\0".to_vec(),
            2 => b"BRINGUP_TEST_RUN=200:1\0".to_vec(),
            3 => b"BRINGUP_TEST_RUN=nonsense\0".to_vec(),
            4 => b"BRINGUP_TEST_RUN=100:1\0".to_vec(),
            _ => Vec::new(),
        };
        let all = (1..=5).map(process).collect();
        let found = strays(all, &BTreeSet::from([process(4)]), environment, |run| run == process(200));
        assert_eq!(found, [process(1)]);
    }
}
