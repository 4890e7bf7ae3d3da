//! `bringup power`: the power of single nodes.

use std::path::Path;

use bringup_core::contract::bmc::{Action, FlashJob, PowerOff, PowerOn, SlotPower};
use bringup_core::contract::world::{Speaks, World};
use bringup_core::contract::{Contract, JobPhase, Question, node};
use bringup_core::run::fault::{Cause, Fault};
use bringup_core::site::{Node, Place};
use bringup_world::RunLock;

use crate::args::{PowerArguments, PowerCommand};
use crate::commands::boards::{Boards, block_on, failed};
use crate::commands::real::Terminal;
use crate::consent::Ask;
use crate::exit_status::ExitStatus;
use crate::terminal::{self, Lines};
use crate::ui::say;

/// What is wanted of a slot's power.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    On,
    Off,
    Cycle,
    Status,
}

/// Runs it.
pub fn run(command: &PowerCommand) -> ExitStatus {
    let (wanted, arguments) = match command {
        PowerCommand::On(arguments) => (Wanted::On, arguments),
        PowerCommand::Off(arguments) => (Wanted::Off, arguments),
        PowerCommand::Cycle(arguments) => (Wanted::Cycle, arguments),
        PowerCommand::Status(arguments) => (Wanted::Status, arguments),
    };
    match power(wanted, arguments) {
        Ok(status) | Err(status) => status,
    }
}

fn power(wanted: Wanted, arguments: &PowerArguments) -> Result<ExitStatus, ExitStatus> {
    let boards = Boards::open(&arguments.site, &arguments.login)?;
    let nodes = arguments.nodes.iter().map(|name| boards.node(name)).collect::<Result<Vec<_>, _>>()?;
    let _lock = match wanted {
        Wanted::Status => None,
        _ => Some(RunLock::take(Path::new(&boards.directory), "power").map_err(|error| {
            terminal::error(format_args!("error: {error}"));
            ExitStatus::Failed
        })?),
    };
    Ok(block_on(async {
        let mut status = ExitStatus::Done;
        for (node, place) in nodes {
            match one(&boards.world, wanted, arguments.yes, node, place).await {
                Ok(line) => status = say(&Lines::one(line)).err().unwrap_or(status),
                Err(Refused::Fault(fault)) => status = failed(&fault),
                Err(Refused::Left(why)) => {
                    terminal::error(why);
                    status = ExitStatus::Failed;
                }
            }
        }
        status
    }))
}

/// Why a slot's power is as it was.
enum Refused {
    Fault(Fault),
    Left(String),
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

async fn one(world: &dyn World, wanted: Wanted, yes: bool, node: &Node, place: &Place) -> Result<String, Refused> {
    let (name, slot, bmc) = (&node.name, place.slot, &place.board);
    let line = |words: &str| format!("{name} (slot {slot} of {}): {words}", place.board);
    let powered = ask(world, bmc, SlotPower { slot }).await?;
    if wanted == Wanted::Status {
        return Ok(line(if powered { "on" } else { "off" }));
    }
    let job = ask(world, bmc, FlashJob {}).await?;
    if job.is_some_and(|job| job.phase == JobPhase::Running && job.slot == slot) {
        return Err(Refused::Left(line("is being flashed, and is left alone")));
    }
    let act = async |action: Action| Speaks::act(world, bmc, &action, &|_, _, _| {}).await;
    if powered && wanted != Wanted::On {
        let living = ask(world, name, node::SshBanner {}).await?;
        if !(yes || agreed(name.as_str(), living)) {
            return Err(Refused::Left(line("is left alone: nobody said yes")));
        }
        act(PowerOff { slot }.into()).await?;
    }
    if wanted == Wanted::Off {
        return Ok(line(if powered { "switched off" } else { "was off already" }));
    }
    if powered && wanted == Wanted::On {
        return Ok(line("was on already"));
    }
    act(PowerOn { slot }.into()).await?;
    Ok(line(if powered { "switched off and on" } else { "switched on" }))
}

/// A node with power is never taken for dead: it lives, or may live. Its name is the consent.
fn agreed(name: &str, living: bool) -> bool {
    let state = if living { "lives" } else { "is silent, but may live" };
    let question = format!("{name} {state}. To take its power, type its name, or nothing to leave it alone: ");
    matches!(Terminal.ask(&Lines::default(), &question), Ok(Some(answer)) if answer.trim() == name)
}

async fn ask<Q: Question>(world: &dyn World, of: &Q::Of, question: Q) -> Result<Q::Answer, Fault> {
    let doing = question.to_string();
    let mut answers = Q::Of::part(world).ask(of, &[question.into()]).await;
    let answer = answers.pop().transpose()?.and_then(Q::read);
    answer.ok_or_else(|| Fault::new(Cause::Failed, of.target(), doing).said("no answer came back"))
}
