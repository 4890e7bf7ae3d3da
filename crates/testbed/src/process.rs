//! Processes by number and start time, so that a number that was given away again is nobody of ours.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::wait;

/// One process, for as long as it lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// When it was started, in clock ticks since the machine's boot.
    pub start: u64,
}

struct Stat {
    state: char,
    parent: i32,
    start: u64,
    /// Bytes of its address space; the kernel's own threads have none.
    size: u64,
    /// The address behind its environment; 0 while it begins another program, between the old memory and the new.
    environment_end: u64,
}

/// How long a process may take to begin another program. It is a matter of microseconds, but the machine may be busy.
const EXEC_BOUND: Duration = Duration::from_secs(2);

impl Stat {
    fn is_in_exec(&self) -> bool {
        self.size > 0 && self.environment_end == 0
    }
}

impl Process {
    /// The process that has this number now.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = stat(pid)?;
        (stat.state != 'Z').then_some(Self { pid, start: stat.start })
    }

    /// This one.
    pub fn me() -> Option<Self> {
        Self::of(i32::try_from(std::process::id()).ok()?)
    }

    /// All that run now.
    pub fn every() -> Vec<Self> {
        all().into_iter().filter_map(Self::of).collect()
    }

    /// Whether it still runs.
    pub fn lives(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Kills it, if it still is the one that is meant.
    pub fn kill(self) {
        let Some(pid) = Pid::from_raw(self.pid) else { return };
        // The handle is taken first: once it is held, the number cannot come to mean another process.
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return };
        if self.lives() {
            // It may have ended by itself meanwhile, which is what was wanted.
            let _ = pidfd_send_signal(handle, Signal::KILL);
        }
    }

    /// Its children, their children and so on.
    pub fn descendants(self) -> Vec<Self> {
        let mut children: BTreeMap<i32, Vec<Self>> = BTreeMap::new();
        for pid in all() {
            if let Some(stat) = stat(pid).filter(|stat| stat.state != 'Z') {
                children.entry(stat.parent).or_default().push(Self { pid, start: stat.start });
            }
        }
        let mut found = vec![self];
        let mut next = 0;
        while let Some(process) = found.get(next).copied() {
            found.extend(children.remove(&process.pid).unwrap_or_default());
            next += 1;
        }
        found.split_off(1)
    }

    /// Its parent, that one's parent and so on.
    pub fn ancestors(self) -> Vec<Self> {
        let mut found = Vec::new();
        let mut pid = self.pid;
        while let Some(parent) = stat(pid).and_then(|stat| Self::of(stat.parent)) {
            found.push(parent);
            pid = parent.pid;
        }
        found
    }

    /// The environment that it was started with, variables as `NAME=VALUE` with a zero byte behind each; nothing if it is
    /// gone.
    ///
    /// In the middle of execve(2) the kernel shows none. That is waited out: a process of a test run that is just being
    /// started would otherwise be overlooked.
    pub fn environment(self) -> Vec<u8> {
        let in_exec = || stat(self.pid).is_some_and(|stat| stat.is_in_exec());
        // Past the bound, what the kernel shows is what there is.
        let _ = wait::until_true(EXEC_BOUND, "the start of a program", || !in_exec());
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        // The number may have come to mean another process meanwhile.
        if self.lives() { environment } else { Vec::new() }
    }

    /// Its numbers, from the outermost process namespace to its own.
    pub fn numbers(self) -> Vec<i32> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        line.split_whitespace().filter_map(|number| number.parse().ok()).collect()
    }
}

fn all() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn stat(pid: i32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name in the second field may hold anything, so fields are counted from its closing bracket.
fn parse(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let state = fields.first()?.chars().next()?;
    // The fields of proc_pid_stat(5), the third is the first here.
    let number = |field: usize| fields.get(field - 3)?.parse().ok();
    Some(Stat {
        state,
        parent: fields.get(1)?.parse().ok()?,
        start: number(22)?,
        size: number(23)?,
        environment_end: number(51)?,
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = parse(&format!("7 (a) b) S 3 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4711 {REST} 90 95 0")).unwrap();
        assert_eq!((stat.state, stat.parent, stat.start), ('S', 3, 4711));
        assert!(!stat.is_in_exec());
    }

    /// From the size on to what stands before the bounds of the environment.
    const REST: &str = "4096 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26";

    #[test]
    fn between_two_programs_there_is_no_environment() {
        let in_exec = |rest: &str| {
            let line = format!("7 (a) R 3 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4711 {rest} 0 0 0");
            parse(&line).unwrap().is_in_exec()
        };
        assert!(in_exec(REST));
        let of_the_kernel = REST.replacen("4096", "0", 1);
        assert!(!in_exec(&of_the_kernel));
    }

    /// `Command::spawn` comes back when the old memory is let go of, which is before the new environment is in place.
    #[test]
    fn a_process_shows_its_environment_from_its_first_moment() {
        for _ in 0..300 {
            let mut child = Command::new("sleep").arg("60").spawn().unwrap();
            let process = Process::of(i32::try_from(child.id()).unwrap()).unwrap();
            let environment = process.environment();
            process.kill();
            child.wait().unwrap();
            assert!(!environment.is_empty());
        }
    }

    #[test]
    fn only_the_one_that_is_meant_is_killed() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(i32::try_from(child.id()).unwrap()).unwrap();
        assert!(Process::me().unwrap().descendants().contains(&process));
        assert!(process.ancestors().contains(&Process::me().unwrap()));
        assert!(Process::every().contains(&process));
        assert!(!process.environment().is_empty());
        Process { start: process.start + 1, ..process }.kill();
        assert!(process.lives());
        process.kill();
        child.wait().unwrap();
        assert!(!process.lives());
    }
}
