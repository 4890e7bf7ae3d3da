//! `testbed state`: what state everything is in, for somebody who has to find out why a test gave up.
//!
//! Bounded in time and size. Each part is headed by what it is; one that cannot be had says why, and the rest follows.

mod cluster;
mod host;
mod text;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::say;
use crate::testbed::Testbed;
use crate::tools;

/// How long all of it may take.
const WHOLE: Duration = Duration::from_secs(55);

/// How long one host may take.
const HOST: Duration = Duration::from_secs(9);

/// How many hosts are looked at at once: with more, each would take longer than it may.
const AT_ONCE: usize = 8;

/// How many lines of one of the testbed's own logs are printed.
const LOG: usize = 15;

/// Until when something may take.
#[derive(Clone, Copy, Debug)]
struct Deadline(Instant);

impl Deadline {
    fn within(self, bound: Duration) -> Self {
        Self(self.0.min(Instant::now() + bound))
    }

    /// The seconds that something may take which would like to have so many; none if its time is over.
    fn seconds(self, wanted: u64) -> Option<u64> {
        let left = self.0.saturating_duration_since(Instant::now()).as_secs();
        (left > 0).then_some(left.min(wanted))
    }
}

/// A part of what is printed.
struct Part {
    heading: String,
    text: String,
}

impl Part {
    fn new(heading: impl Into<String>, said: Result<String, Failure>) -> Self {
        let text = match said {
            Ok(text) if text.trim().is_empty() => "(nothing)".to_owned(),
            Ok(text) => text,
            Err(failure) => format!("testbed: {failure}"),
        };
        Self { heading: heading.into(), text }
    }

    fn say(&self, lines: usize) {
        say::line(&format!("=== {}\n{}", self.heading, text::last(&self.text, lines)));
    }
}

/// Prints it.
pub fn run(testbed: &Testbed) -> Result<(), Failure> {
    tools::root()?;
    let whole = Deadline(Instant::now() + WHOLE);
    // The cluster comes first, and leaves the hosts some of the time in any case.
    if testbed.kubernetes {
        for part in cluster::look(testbed, whole.within(WHOLE / 2)) {
            part.say(cluster::LINES);
        }
    }
    for hosts in testbed.hosts.chunks(AT_ONCE) {
        thread::scope(|scope| {
            let looks: Vec<_> = hosts
                .iter()
                .map(|one| (one, scope.spawn(move || host::look(testbed, one, whole.within(HOST)))))
                .collect();
            for (one, look) in looks {
                match look.join() {
                    Ok(parts) => parts.iter().for_each(|part| part.say(host::LINES)),
                    Err(_) => Part::new(&one.name, Err(Failure::new("look at it", "the look panicked"))).say(1),
                }
            }
        });
    }
    for path in logs(&testbed.directory()) {
        let heading = path.strip_prefix(testbed.directory()).unwrap_or(&path).display().to_string();
        Part::new(heading, text::end_of(&path)).say(LOG);
    }
    Ok(())
}

/// The testbed's own logs, and those of its hosts from outside.
fn logs(directory: &Path) -> Vec<PathBuf> {
    let entries = |directory: PathBuf| fs::read_dir(directory).into_iter().flatten().flatten().map(|one| one.path());
    let hosts = entries(directory.join("hosts")).flat_map(entries);
    let mut logs: Vec<PathBuf> = entries(directory.join("logs"))
        .chain(hosts)
        .filter(|path| path.extension().is_some_and(|it| it == "log"))
        .collect();
    logs.sort();
    logs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_time_left_gets_none_and_the_whole_bounds_its_parts() {
        let whole = Deadline(Instant::now() + Duration::from_secs(5));
        assert_eq!(whole.within(Duration::from_secs(90)).seconds(60), Some(4));
        assert_eq!(whole.seconds(2), Some(2));
        assert_eq!(whole.within(Duration::ZERO).seconds(2), None);
    }

    #[test]
    fn logs_of_the_testbed_and_of_its_hosts_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        for path in ["logs/serve.log", "logs/other", "hosts/node01/console.log", "hosts/node01/upper/deep.log"] {
            crate::records::write_whole(&at(path), b"x").unwrap();
        }
        assert_eq!(logs(directory.path()), [at("hosts/node01/console.log"), at("logs/serve.log")]);
    }
}
