//! The door: all questions and effects go through it, to the real world or to the simulated one.

use std::future::Future;
use std::pin::Pin;

use crate::deed::{Deed, Reply};
use crate::fault::Fault;
use crate::ids::Target;
use crate::probe::{Answer, Probe};

/// A future that a world hands out.
pub type Going<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How far a deed has come: done, of how much, of what.
pub type Progress<'a> = &'a (dyn Fn(u64, u64, &'static str) + Send + Sync);

/// Answers questions and brings effects about.
///
/// Both futures may be dropped at any point; what had begun on a target then goes on or stays undone there, and the
/// next look tells which.
pub trait World: Send + Sync {
    /// Asks a target some questions in one round trip. As many answers come back as there were questions, in their
    /// order.
    fn ask<'a>(&'a self, target: &'a Target, probes: &'a [Probe]) -> Going<'a, Vec<Result<Answer, Fault>>>;

    /// Tries an effect on a target.
    ///
    /// # Errors
    /// A fault of cause `Lost` or `TimedOut` leaves it open whether the effect happened.
    fn act<'a>(&'a self, target: &'a Target, deed: &'a Deed, progress: Progress<'a>)
    -> Going<'a, Result<Reply, Fault>>;
}
