//! The simulated world: boards, nodes and a cluster that answer as real ones do, in virtual time.
//!
//! Time is tokio's and meant to be paused: a rehearsal of an hour takes milliseconds. State changes only when someone
//! asks or acts; what goes on meanwhile (a boot, a transfer, a job) is settled by the clock when it is looked at. So
//! the world outlives whoever dies in the middle, as real boards do.

mod board;
mod cluster;
mod controller;
mod durations;
mod faults;
mod machine;
mod referee;
mod state;
mod story;
mod target;
mod virtual_time;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bringup_core::contract::world::{BoxFuture, Progress, Speaks, Unit};
use bringup_core::contract::{Action, Cluster, Contract, Controller};
use bringup_core::ids::{BoardName, NodeName, Target};
use bringup_core::run::fault::{Cause, Fault};
use bringup_core::run::hazard::Liveness;
use bringup_core::site::Site;
use tokio::time::{Instant, sleep};

pub use crate::faults::{Faults, Lost};
use crate::machine::Boot;
pub use crate::referee::Approval;
use crate::state::State;
pub use crate::story::{Condition, Story};
pub use crate::target::SECRET_MARK;
use crate::target::Simulated;
pub use crate::virtual_time::in_virtual_time;

/// A simulated world.
pub struct SimWorld {
    state: Mutex<State>,
    /// When this world's clock was last started, and what it showed then.
    began: Instant,
    offset: u64,
}

/// A world stopped in time: to be gone on with, any number of times.
#[derive(Clone, Debug)]
pub struct Snapshot(State);

impl Snapshot {
    /// The same world under a site that differs in its settings alone.
    #[must_use]
    pub fn of(mut self, site: &Arc<Site>) -> Self {
        self.0.site = Arc::clone(site);
        self
    }
}

impl SimWorld {
    /// Goes on with a world from where it was stopped.
    pub fn resume(snapshot: &Snapshot) -> Self {
        let state = snapshot.0.clone();
        Self { offset: state.now, began: Instant::now(), state: Mutex::new(state) }
    }

    /// Stops it.
    pub fn stop(&self) -> Snapshot {
        Snapshot(self.lock().clone())
    }

    /// Gives other faults from here on.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Tells the referee what the operator of the next run approves.
    pub fn set_approval(&self, approval: Approval) {
        let mut state = self.lock();
        state.referee.approval = approval;
        // What an earlier run switched off is not alive now: it is one that may be.
        for machine in state.machines.values_mut().filter(|machine| machine.boot == Boot::Off) {
            machine.when_cut = machine.when_cut.min(Liveness::Doubtful);
        }
    }

    /// What happened that must never happen.
    pub fn violations(&self) -> Vec<String> {
        self.lock().referee.violations.clone()
    }

    /// The controller's known_hosts as it is now.
    pub fn known_hosts(&self) -> String {
        self.lock().controller.known_hosts.render()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.now = self.offset + u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        state
    }

    fn lost(target: Target, doing: String) -> Fault {
        Fault::new(Cause::Lost, target, doing).said("connection reset by peer")
    }

    async fn asked<T: Simulated>(&self, of: &T, questions: &[T::Question]) -> Vec<Result<T::Answer, Fault>> {
        sleep(Duration::from_millis(T::TRIP)).await;
        if T::TRAVELS && self.lock().faults.lose().is_some() {
            return questions.iter().map(|question| Err(Self::lost(of.target(), question.to_string()))).collect();
        }
        let mut answers = Vec::with_capacity(questions.len());
        let mut longest = 0;
        {
            let mut state = self.lock();
            for question in questions {
                let (answer, took) = of.answer(&mut state, question);
                longest = longest.max(took);
                answers.push(answer);
            }
        }
        if longest > 0 {
            sleep(Duration::from_millis(longest)).await;
        }
        answers
    }

    async fn acted<T: Simulated>(&self, on: &T, action: &T::Action, progress: Progress<'_>) -> Result<(), Fault> {
        let lost = if T::TRAVELS { self.lock().faults.lose_action(&action.outline().into()) } else { None };
        let takes = on.takes(&self.lock(), action);
        sleep(Duration::from_millis(T::TRIP)).await;
        if lost == Some(Lost::Before) {
            return Err(Self::lost(on.target(), action.to_string()));
        }
        let begun = on.begin(&mut self.lock(), action)?;
        let parts = (takes / 5_000).max(1);
        for part in 1..=parts {
            sleep(Duration::from_millis(takes / parts)).await;
            if parts > 1 {
                progress(part, parts, Unit::Parts);
            }
        }
        let done = on.effect(&mut self.lock(), action, begun);
        match lost {
            Some(Lost::After) => Err(Self::lost(on.target(), action.to_string())),
            Some(Lost::Before) | None => done,
        }
    }
}

macro_rules! speaks {
    ($($of:ty),+) => {
        $(
            impl Speaks<$of> for SimWorld {
                fn ask<'a>(
                    &'a self,
                    of: &'a $of,
                    questions: &'a [<$of as Contract>::Question],
                ) -> BoxFuture<'a, Vec<Result<<$of as Contract>::Answer, Fault>>> {
                    Box::pin(self.asked(of, questions))
                }

                fn act<'a>(
                    &'a self,
                    on: &'a $of,
                    action: &'a <$of as Contract>::Action,
                    progress: Progress<'a>,
                ) -> BoxFuture<'a, Result<(), Fault>> {
                    Box::pin(self.acted(on, action, progress))
                }
            }
        )+
    };
}

speaks!(Controller, BoardName, NodeName, Cluster);
