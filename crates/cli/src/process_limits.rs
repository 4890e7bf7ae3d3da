//! What the operating system allows this process, and those that it starts.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many open files as a run can use: a connection, its channels and a few files for each of a thousand hosts.
const FILES: u64 = 16_384;

/// With fewer a run cannot begin: an event loop and its signals take a dozen, a connection a few.
const FEWEST: u64 = 64;

/// What a run has open beside its connections.
const OWN_FILES: u64 = 48;

/// What is open for a node that is spoken to: its connection, a lookup of its name, a file that is read or written for it.
const FILES_OF_A_FORK: u64 = 4;

/// Leaves no image of memory behind, where passwords and keys are; and has room for many connections at a time.
///
/// What the system refuses stays as it was.
///
/// # Errors
/// In words, when so few files may be open that no run could begin.
pub fn set() -> Result<(), String> {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    // A handler of core dumps that is a pipe is started whatever the limit says.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let files = getrlimit(Resource::Nofile);
    let wanted = files.maximum.map_or(FILES, |maximum| maximum.min(FILES));
    // `None` is no limit at all.
    if files.current.is_some_and(|current| current < wanted) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..files });
    }
    match getrlimit(Resource::Nofile).current {
        Some(current) if current < FEWEST => Err(format!(
            "this process may have only {current} files open and needs {FEWEST}; raise it with `ulimit -n`"
        )),
        _ => Ok(()),
    }
}

/// How many nodes may be spoken to at the same moment: as many as wanted, or as this process may have files open for.
pub fn forks(wanted: usize) -> usize {
    fitting(getrlimit(Resource::Nofile).current, wanted)
}

/// `None` is no limit at all.
fn fitting(files: Option<u64>, wanted: usize) -> usize {
    let Some(files) = files else { return wanted };
    let room = usize::try_from(files.saturating_sub(OWN_FILES) / FILES_OF_A_FORK).unwrap_or(usize::MAX);
    wanted.min(room.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_follow_the_limit_of_open_files() {
        for (files, wanted, expected) in [
            (None, 500, 500),
            (Some(FILES), 64, 64),
            (Some(1024), 64, 64),
            (Some(1024), 500, 244),
            (Some(FEWEST), 64, 4),
            (Some(0), 64, 1),
        ] {
            assert_eq!(fitting(files, wanted), expected, "{files:?}, {wanted}");
        }
    }
}
