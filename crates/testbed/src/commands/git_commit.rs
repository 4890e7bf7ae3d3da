//! `testbed git-commit`.

use crate::failure::Failure;
use crate::say;
use crate::services::repository::{self, Fault};
use crate::testbed::Testbed;

/// Commits to the repository that the cluster syncs; prints the commit's id.
pub fn run(testbed: &Testbed, fault: Option<Fault>) -> Result<(), Failure> {
    if !testbed.kubernetes {
        return Err(Failure::new("commit to the cluster's repository", "this testbed has none")
            .help("make one with testbed up --kubernetes"));
    }
    say::line(&repository::commit(testbed, fault)?);
    Ok(())
}
