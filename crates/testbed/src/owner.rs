//! Whom a testbed belongs to: a process, whose end makes the testbed one that `clean` takes down; or nobody, if a person
//! made it.
//!
//! It is kept beside the testbed's directory and not in it: written before anything of the testbed is made and removed
//! after all of it is gone, so that an `up` or a `down` that is killed at any moment leaves nothing without its owner.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Tried};
use crate::places;
use crate::process::Process;
use crate::records::write_whole;
use crate::testbed::{check_name, directory_of};

const PREFIX: &str = ".owner-";
const SUFFIX: &str = ".json";

fn path(state: &Path, name: &str) -> PathBuf {
    state.join(format!("{PREFIX}{name}{SUFFIX}"))
}

/// The owner of the testbed of this name, alive or not.
pub fn of(name: &str) -> Result<Option<Process>, Failure> {
    read(&path(&places::state(), name))
}

fn read(path: &Path) -> Result<Option<Process>, Failure> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text.tried(|| format!("read {}", path.display()))?,
    };
    let owner = serde_json::from_str(&text).map_err(|error| {
        Failure::new(format!("understand {}", path.display()), error)
            .help("see whose testbed it is, take it down with `testbed down`, and remove the file")
    })?;
    Ok(Some(owner))
}

/// Gives a testbed that is about to be made its owner, or checks that one that exists may be worked on for this owner.
/// The caller is alone with the testbed.
pub fn claim(name: &str, wanted: Option<Process>) -> Result<(), Failure> {
    let before = of(name)?;
    if directory_of(name).exists() {
        return agree(name, before, wanted, Process::lives);
    }
    match wanted {
        Some(owner) => {
            let text = serde_json::to_string(&owner).tried(|| "write down the testbed's owner".to_owned())?;
            write_whole(&path(&places::state(), name), text.as_bytes())
        }
        // What a killed `down` has left.
        None => forget(name),
    }
}

/// A testbed keeps its owner: a person's must not become one that `clean` takes down, and nobody is to work on one that
/// it takes down at any moment.
fn agree(
    name: &str,
    before: Option<Process>,
    wanted: Option<Process>,
    lives: impl Fn(Process) -> bool,
) -> Result<(), Failure> {
    let why = match (before, wanted) {
        (Some(before), _) if !lives(before) => format!("its owner, process {}, is gone", before.pid),
        (Some(before), Some(wanted)) if before != wanted => format!("it belongs to process {}", before.pid),
        (None, Some(_)) => "it was made without an owner".to_owned(),
        _ => return Ok(()),
    };
    Err(Failure::new(format!("change the testbed `{name}`"), why)
        .help(format!("testbed down --name {name}, and up again")))
}

/// Forgets the owner, after the testbed is gone.
pub fn forget(name: &str) -> Result<(), Failure> {
    let path = path(&places::state(), name);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Failure::new(format!("remove {}", path.display()), error))
        }
        _ => Ok(()),
    }
}

/// The names of testbeds whose owner no longer lives. One whose owner cannot be read is a failure of its own.
pub fn stale() -> Result<Vec<Result<String, Failure>>, Failure> {
    stale_in(&places::state(), Process::lives)
}

fn stale_in(state: &Path, lives: impl Fn(Process) -> bool) -> Result<Vec<Result<String, Failure>>, Failure> {
    let entries = match fs::read_dir(state) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.tried(|| format!("read {}", state.display()))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.tried(|| format!("read {}", state.display()))?;
        let file = entry.file_name();
        let Some(name) = file.to_str().and_then(|file| file.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)) else {
            continue;
        };
        if check_name(name).is_err() {
            continue;
        }
        match read(&entry.path()) {
            Ok(Some(owner)) if !lives(owner) => found.push(Ok(name.to_owned())),
            // It lives, or the testbed was taken down a moment ago.
            Ok(_) => {}
            Err(failure) => found.push(Err(failure)),
        }
    }
    found.sort_by_key(|one| one.as_ref().ok().cloned());
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALIVE: Process = Process { pid: 7, start: 1 };
    const GONE: Process = Process { pid: 8, start: 1 };

    #[test]
    fn only_testbeds_whose_owner_is_gone_are_stale() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path();
        assert!(stale_in(&state.join("none"), |_| false).unwrap().is_empty());
        for name in ["a-persons", "lives", "dead", "dead-too"] {
            fs::create_dir(state.join(name)).unwrap();
        }
        for (name, owner) in [("lives", ALIVE), ("dead", GONE), ("dead-too", GONE), ("No Name", GONE)] {
            fs::write(path(state, name), serde_json::to_string(&owner).unwrap()).unwrap();
        }
        fs::write(path(state, "garbled"), "{").unwrap();
        let stale = stale_in(state, |owner| owner == ALIVE).unwrap();
        let (good, bad): (Vec<_>, Vec<_>) = stale.into_iter().partition(Result::is_ok);
        let good: Vec<String> = good.into_iter().flatten().collect();
        assert_eq!(good, ["dead", "dead-too"]);
        assert_eq!(bad.len(), 1);
        assert!(bad[0].as_ref().unwrap_err().to_string().contains("garbled"));
    }

    #[test]
    fn a_testbed_keeps_its_owner() {
        let agree = |before, wanted| agree("x", before, wanted, |owner| owner != GONE);
        let other = Process { pid: 7, start: 2 };
        for (before, wanted) in [(None, None), (Some(ALIVE), None), (Some(ALIVE), Some(ALIVE))] {
            assert!(agree(before, wanted).is_ok(), "{before:?} {wanted:?}");
        }
        for (before, wanted) in
            [(None, Some(ALIVE)), (Some(ALIVE), Some(other)), (Some(GONE), None), (Some(GONE), Some(ALIVE))]
        {
            let failure = agree(before, wanted).unwrap_err().to_string();
            assert!(failure.contains("testbed down --name x"), "{before:?} {wanted:?}: {failure}");
        }
    }
}
