//! `testbed clean`.

use super::down;
use crate::failure::Failure;
use crate::{owner, say, strays, tools};

/// Takes away what test runs have left that were killed, and only that: their processes, and the testbeds whose owner is
/// gone. What fails is
/// reported, and the rest is done all the same.
pub fn run() -> Result<(), Failure> {
    tools::root()?;
    let mut failures = Vec::new();
    // First: a process may be the owner of a testbed, or at work on one.
    let killed =
        strays::kill(|process| say::line(&format!("killed process {} (left by a test run that ended)", process.pid)));
    failures.extend(killed.err());
    for name in owner::stale()? {
        match name.and_then(|name| down::run_if_stale(&name).map(|owner| (name, owner))) {
            Ok((name, Some(owner))) => {
                say::line(&format!("removed testbed {name} (its owner, process {}, is gone)", owner.pid));
            }
            Ok((_, None)) => {}
            Err(failure) => failures.push(failure),
        }
    }
    for failure in &failures {
        eprintln!("testbed: {failure}");
    }
    match failures.len() {
        0 => Ok(()),
        failed => {
            Err(Failure::new("remove all that dead test runs have left", format!("{failed} failed, as said above")))
        }
    }
}
