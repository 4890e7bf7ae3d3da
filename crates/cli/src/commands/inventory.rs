//! `bringup inventory`: what was understood.

use crate::args::InventoryArguments;
use crate::commands::site;
use crate::exit_status::ExitStatus;
use crate::problems;
use crate::terminal;
use crate::ui::{say, say_exactly};

/// Runs it.
pub fn run(arguments: &InventoryArguments) -> ExitStatus {
    let (inventory, warnings) = match site::inventory(&arguments.site) {
        Ok(read) => read,
        Err(problems) => return site::refuse(&problems),
    };
    if !warnings.0.is_empty() {
        terminal::errors(&problems::report(&warnings));
    }
    if arguments.graph {
        return say(&inventory.graph().into_iter().collect()).err().unwrap_or(ExitStatus::Done);
    }
    let shown = match &arguments.host {
        Some(name) if !inventory.has_host(name) => {
            return site::refuse(&site::problem(format!("there is no host `{name}`"), None));
        }
        Some(name) => inventory.host(name, arguments.raw),
        None => inventory.list(arguments.raw),
    };
    say_exactly(&format!("{shown:#}")).err().unwrap_or(ExitStatus::Done)
}
