//! Processes by number and start time, so that a number that was given away again is nobody of ours.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

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
    Some(Stat { state, parent: fields.get(1)?.parse().ok()?, start: fields.get(19)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = parse("7 (a) b) S 3 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0").unwrap();
        assert_eq!((stat.state, stat.parent, stat.start), ('S', 3, 4711));
    }

    #[test]
    fn only_the_one_that_is_meant_is_killed() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(i32::try_from(child.id()).unwrap()).unwrap();
        assert!(Process::me().unwrap().descendants().contains(&process));
        Process { start: process.start + 1, ..process }.kill();
        assert!(process.lives());
        process.kill();
        child.wait().unwrap();
        assert!(!process.lives());
    }
}
