//! The binary `testbed`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line")]

mod args;
mod base;
mod bmcd;
mod board;
mod breakage;
mod commands;
mod container_images;
mod detached;
mod disks;
mod failure;
mod go_programs;
mod host;
mod images;
mod k3s;
mod k3s_release;
mod net;
mod owner;
mod places;
mod process;
mod records;
mod run;
mod say;
mod services;
mod site;
mod strays;
mod subnet;
mod template;
mod testbed;
mod tools;
mod wait;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Command};
use crate::commands::breaking::Verb;
use crate::commands::power::Action;
use crate::commands::{breaking, clean, down, git_commit, list, power, programs, state, up};
use crate::failure::Failure;
use crate::testbed::Testbed;

fn main() -> ExitCode {
    if let Some(name) = k3s::called() {
        return k3s::run(&name);
    }
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("testbed: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let name = arguments.name;
    let load = || Testbed::load(&name);
    match arguments.command {
        Command::Up(wanted) => {
            let nodes = wanted.nodes.unwrap_or(usize::from(wanted.boards == 0));
            let (boards, slots, cm4) = (wanted.boards, wanted.slots, wanted.cm4);
            let (disks, kubernetes, workstations) = (wanted.disks, wanted.kubernetes, wanted.workstation);
            up::run(&name, &up::Wanted { nodes, boards, slots, cm4, disks, kubernetes, workstations }, wanted.owner)
        }
        Command::Down => down::run(&name),
        Command::Clean => clean::run(),
        Command::State => state::run(&load()?),
        Command::Site => load().map(|testbed| say::line(&site::directory(&testbed).display().to_string())),
        Command::Programs => programs::run(),
        Command::List => list::run(&load()?),
        Command::Exec(which) => {
            let testbed = load()?;
            power::exec(&testbed, testbed.host(&which.host)?, &which.command)
        }
        Command::Cut(which) => power::run(&load()?, &which.host, Action::Cut),
        Command::Start(which) => power::run(&load()?, &which.host, Action::Start),
        Command::Stop(which) => power::run(&load()?, &which.host, Action::Stop),
        Command::Reset(which) => power::run(&load()?, &which.host, Action::Reset),
        Command::Break(which) => breaking::run(&load()?, Verb::Break, &which),
        Command::Fix(which) => breaking::run(&load()?, Verb::Fix, &which),
        Command::GitCommit(what) => git_commit::run(&load()?, what.fault),
        Command::Run(which) => {
            let testbed = load()?;
            host::supervise::run(&testbed, testbed.host(&which.host)?)
        }
        Command::Bmcd(which) => bmcd::run(which.board, which.listen, &which.password),
        Command::Serve => net::serve::run(&load()?),
    }
}
