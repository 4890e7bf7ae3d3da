//! `bringup apply`: removes the differences, after asking once.

use crate::args::Apply;
use crate::commands::real;
use crate::exit_status::ExitStatus;

/// Runs it.
pub fn run(arguments: &Apply) -> ExitStatus {
    let wanted = if arguments.check {
        real::Wanted::Plan { exit_code: false, diff: arguments.diff }
    } else {
        real::Wanted::Apply { yes: arguments.yes, diff: arguments.diff }
    };
    match real::run(&arguments.run, &arguments.login, &wanted) {
        Ok(status) | Err(status) => status,
    }
}
