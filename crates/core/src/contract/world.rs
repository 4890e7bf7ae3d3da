//! The door: all questions and actions go through it, to the real world or to the simulated one.

use std::future::Future;
use std::pin::Pin;

use serde::{Deserialize, Serialize};

use crate::contract::{Cluster, Contract, Controller};
use crate::ids::{BoardName, NodeName};
use crate::run::fault::Fault;

/// A future that a world hands out.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What progress is counted in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Pods.
    Pods,
    /// Equal parts of the whole.
    Parts,
}

/// How far an action has come: done, of how much, of what.
pub type Progress<'a> = &'a (dyn Fn(u64, u64, Unit) + Send + Sync);

/// Asks targets of one kind, and has them act.
///
/// Both futures may be dropped at any point; what had begun on a target then goes on or stays undone there, and the
/// next look tells which.
pub trait Speaks<T: Contract>: Send + Sync {
    /// Asks a target some questions in one round trip. As many answers come back as there were questions, in their
    /// order.
    fn ask<'a>(&'a self, of: &'a T, questions: &'a [T::Question]) -> BoxFuture<'a, Vec<Result<T::Answer, Fault>>>;

    /// Tries an action on a target.
    ///
    /// # Errors
    /// A fault of cause `Lost` or `TimedOut` leaves it open whether the effect happened.
    fn act<'a>(&'a self, on: &'a T, action: &'a T::Action, progress: Progress<'a>) -> BoxFuture<'a, Result<(), Fault>>;
}

/// Speaks to targets of all kinds.
pub trait World: Speaks<Controller> + Speaks<BoardName> + Speaks<NodeName> + Speaks<Cluster> {}

impl<W: Speaks<Controller> + Speaks<BoardName> + Speaks<NodeName> + Speaks<Cluster>> World for W {}
