//! `bringup plan`: what differs from what should be.

use crate::args::Plan;
use crate::commands::real;
use crate::exit_status::ExitStatus;

/// Runs it.
pub fn run(arguments: &Plan) -> ExitStatus {
    match real::run(
        &arguments.run,
        &arguments.login,
        &real::Wanted::Plan { exit_code: arguments.exit_code, diff: arguments.diff },
    ) {
        Ok(status) | Err(status) => status,
    }
}
