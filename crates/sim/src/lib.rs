//! The simulated world: boards, nodes and a cluster that answer as real ones do, in virtual time.
//!
//! Time is tokio's and meant to be paused: a rehearsal of an hour takes milliseconds. State changes only when someone
//! asks or acts; what goes on meanwhile (a boot, a transfer, a job) is settled by the clock when it is looked at. So
//! the world outlives whoever dies in the middle, as real boards do.

mod answers;
mod board;
mod cluster;
mod controller;
mod durations;
mod effects;
mod faults;
mod machine;
mod referee;
mod state;
mod story;
mod virtual_time;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bringup_core::deed::{Deed, Reply};
use bringup_core::fault::{Cause, Fault};
use bringup_core::hazard::Liveness;
use bringup_core::ids::Target;
use bringup_core::probe::{Answer, Probe};
use bringup_core::site::{Kind, Site};
use bringup_core::world::{Going, Progress, World};
use tokio::time::{Instant, sleep};

pub use crate::answers::SECRET_MARK;
pub use crate::faults::{Faults, Lost};
use crate::machine::Boot;
pub use crate::referee::Leave;
use crate::state::State;
pub use crate::story::{Condition, Story};
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

    /// Tells the referee what the operator of the next run gives leave for.
    pub fn set_leave(&self, leave: Leave) {
        let mut state = self.lock();
        state.referee.leave = leave;
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

    /// How long one trip takes, in milliseconds.
    fn trip(target: &Target) -> u64 {
        match target {
            Target::Controller => durations::ASK_CONTROLLER,
            Target::Bmc(_) => durations::ASK_BMC,
            Target::Node(_) => durations::ASK_NODE,
            Target::Cluster => durations::ASK_CLUSTER,
        }
    }

    /// Whether and when this trip is lost; one that stays on the controller never is.
    fn loses(&self, target: &Target) -> Option<Lost> {
        match target {
            Target::Controller => None,
            _ => self.lock().faults.lose(),
        }
    }

    fn lost(target: &Target, doing: String) -> Fault {
        Fault::new(Cause::Lost, target.clone(), doing).said("connection reset by peer")
    }

    /// How long a deed takes, in milliseconds.
    fn takes(&self, target: &Target, deed: &Deed) -> u64 {
        let state = self.lock();
        let kind = match target {
            Target::Node(node) => state.machines.get(node).map_or(Kind::Other, |machine| machine.kind),
            _ => Kind::Other,
        };
        let images = &state.site.settings;
        let bytes = match deed {
            Deed::Fetch { url, .. } if *url == images.cm4_image.url => durations::image_sizes(Kind::Cm4).0,
            Deed::Fetch { url, .. } if *url == images.rk1_image.url => durations::image_sizes(Kind::Rk1).0,
            Deed::StageImage { sha256, .. } if *sha256 == images.cm4_image.sha256 => {
                durations::image_sizes(Kind::Cm4).0
            }
            Deed::StageImage { .. } => durations::image_sizes(Kind::Rk1).0,
            Deed::Fetch { .. } => 40_000_000,
            _ => 0,
        };
        durations::deed(deed, kind, bytes)
    }
}

impl World for SimWorld {
    fn ask<'a>(&'a self, target: &'a Target, probes: &'a [Probe]) -> Going<'a, Vec<Result<Answer, Fault>>> {
        Box::pin(async move {
            sleep(Duration::from_millis(Self::trip(target))).await;
            if self.loses(target).is_some() {
                return probes
                    .iter()
                    .map(|probe| Err(Self::lost(target, format!("ask for {}", probe.word()))))
                    .collect();
            }
            let mut answers = Vec::with_capacity(probes.len());
            let mut longest = 0;
            {
                let mut state = self.lock();
                for probe in probes {
                    let (answer, took) = answers::answer(&mut state, target, probe);
                    longest = longest.max(took);
                    answers.push(answer);
                }
            }
            if longest > 0 {
                sleep(Duration::from_millis(longest)).await;
            }
            answers
        })
    }

    fn act<'a>(
        &'a self,
        target: &'a Target,
        deed: &'a Deed,
        progress: Progress<'a>,
    ) -> Going<'a, Result<Reply, Fault>> {
        Box::pin(async move {
            let lost = match target {
                Target::Controller => None,
                _ => self.lock().faults.lose_deed(&deed.to_string()),
            };
            let takes = self.takes(target, deed);
            sleep(Duration::from_millis(Self::trip(target))).await;
            if lost == Some(Lost::Before) {
                return Err(Self::lost(target, deed.to_string()));
            }
            let before = {
                let mut state = self.lock();
                match target {
                    Target::Cluster if !state.api_is_up() => {
                        return Err(Fault::new(Cause::Unreachable, Target::Cluster, deed.to_string())
                            .said("connection refused"));
                    }
                    Target::Node(_) | Target::Bmc(_) => answers::reach(&mut state, target)?,
                    Target::Controller | Target::Cluster => {}
                }
                matches!(deed, Deed::EditKnownHosts { .. }).then(|| state.controller.known_hosts.clone())
            };
            let parts = (takes / 5_000).max(1);
            for part in 1..=parts {
                sleep(Duration::from_millis(takes / parts)).await;
                if parts > 1 {
                    progress(part, parts, "parts");
                }
            }
            let reply = {
                let mut state = self.lock();
                if let Deed::EditKnownHosts { .. } = deed {
                    story::foreign_line(&mut state);
                }
                effects::effect(&mut state, target, deed, before)
            };
            match lost {
                Some(Lost::After) => Err(Self::lost(target, deed.to_string())),
                _ => reply,
            }
        })
    }
}
