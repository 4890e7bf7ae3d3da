//! The binary `bringup`.

mod args;
mod commands;
mod consent;
mod example;
mod exit_status;
mod problems;
mod ui;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Command};

/// How many nodes are spoken to at the same moment when nobody says.
const FORKS: usize = 64;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
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
