//! The binary `bringup`.

mod args;
mod commands;
mod consent;
mod example;
mod exit_status;
mod problems;
mod process_limits;
mod terminal;
mod ui;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Command};
use crate::exit_status::ExitStatus;
use crate::terminal::Lines;

/// How many nodes are spoken to at the same moment when nobody says.
const FORKS: usize = 64;

fn main() -> ExitCode {
    if let Err(why) = process_limits::set() {
        terminal::error(format_args!("error: {why}"));
        return ExitStatus::Failed.into();
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(answer) => return refuse(&answer),
    };
    let status = match &arguments.command {
        Command::Plan(arguments) => commands::plan::run(arguments),
        Command::Apply(arguments) => commands::apply::run(arguments),
        Command::Rehearse(arguments) => commands::rehearse::run(arguments),
        Command::Inventory(arguments) => commands::inventory::run(arguments),
        Command::Console(arguments) => commands::console::run(arguments),
        Command::Power(command) => commands::power::run(command),
        Command::Cache(command) => commands::cache::run(command),
        Command::Tools(_) => commands::tools::remove(),
    };
    status.into()
}

/// Wrong usage, or a question for help or the version. clap repeats what was typed, or pasted.
fn refuse(answer: &clap::Error) -> ExitCode {
    let lines: Lines = answer.render().to_string().lines().collect();
    if answer.use_stderr() {
        terminal::errors(&lines);
        return ExitStatus::Usage.into();
    }
    ui::say(&lines).map_or_else(Into::into, |()| ExitStatus::Done.into())
}
