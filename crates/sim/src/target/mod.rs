//! What the simulation makes of each question and action: one file for each kind of target.

mod bmc;
mod cluster;
mod controller;
mod node;

use bringup_core::contract::controller::Content;
use std::fmt;

use bringup_core::contract::{Contract, FileState};
use bringup_core::ids::{Sha256, Target};
use bringup_core::run::fault::{Cause, Fault};

pub(crate) use self::node::installed_by_hand;
use crate::state::State;

/// What every secret of the simulation holds, so that a test can see whether one got out.
pub const SECRET_MARK: &str = "s3cr3t-of-the-simulation";

/// A kind of target that is simulated.
pub(crate) trait Simulated: Contract {
    /// What an action finds when it begins, and is told when it ends.
    type Begun: Send;

    /// How long one trip takes, in milliseconds.
    const TRIP: u64;

    /// Whether a trip can be lost: one that stays on the controller never is.
    const TRAVELS: bool;

    /// One answer; how long the question took besides its trip is in the second place, in milliseconds.
    fn answer(&self, state: &mut State, question: &Self::Question) -> (Result<Self::Answer, Fault>, u64);

    /// How long an action takes besides its trip, in milliseconds.
    fn takes(&self, state: &State, action: &Self::Action) -> u64;

    /// Begins an action: nothing has changed yet.
    fn begin(&self, state: &mut State, action: &Self::Action) -> Result<Self::Begun, Fault>;

    /// Ends an action: now it has its effect, all at once.
    fn effect(&self, state: &mut State, action: &Self::Action, begun: Self::Begun) -> Result<(), Fault>;
}

/// Whether SSH lets us in.
fn reach(state: &mut State, target: &Target) -> Result<(), Fault> {
    let now = state.now;
    if let Target::Node(node) = target {
        let up = state.machines.get_mut(node).is_some_and(|machine| machine.is_up(now));
        if !up {
            return Err(Fault::new(Cause::Unreachable, target.clone(), "log in").said("no route to host"));
        }
    }
    if state.is_trusted(target) {
        let booting = |node| state.machines.get(node).is_some_and(|machine| machine.is_coming_up(now));
        return match target {
            Target::Node(node) if booting(node) => {
                Err(Fault::new(Cause::Denied, target.clone(), "log in").said("the system is booting up"))
            }
            _ => Ok(()),
        };
    }
    Err(Fault::new(Cause::Refused, target.clone(), "log in")
        .said("host key verification failed")
        .likely("its host key is not in known_hosts")
        .next("let the stage known_hosts record it"))
}

/// There is nobody who could answer or act.
fn absent(target: Target, doing: &impl fmt::Display) -> Fault {
    Fault::new(Cause::Failed, target, doing.to_string()).said("there is no such machine, or nothing is installed on it")
}

fn file(bytes: &[u8], mode: u32, now: u64) -> FileState {
    FileState { sha256: Sha256::of(bytes), size: bytes.len() as u64, mode, modified: State::seconds(now) }
}

fn written(content: &Content, mode: u32, now: u64) -> FileState {
    match content {
        Content::Plain(text) => file(text.as_bytes(), mode, now),
        Content::Hidden(secret) => file(secret.expose().as_bytes(), mode, now),
    }
}
