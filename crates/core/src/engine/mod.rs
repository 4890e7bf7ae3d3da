//! Walks the lanes: all at once, each at its own pace, held together by gates alone.
//!
//! A plan and an apply are the same walk; the one concludes before the act, the other goes on.

mod context;
mod gates;
mod lanes;
mod look;
mod remaining;
pub(crate) mod resource;
mod stop;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::time::Instant;

pub(crate) use self::context::StepContext;
use self::gates::{End, Ends, Spans};
use self::lanes::ByStep;
pub use self::lanes::{LaneId, Lanes, Need, Placed, StepId};
use self::look::Answers;
pub use self::look::{Act, Look, Wait};
pub use self::stop::Stop;
use crate::contract::world::World;
use crate::engine::resource::{Concluded, Renewal};
use crate::ids::{Label, Target};
use crate::run::change::{Diff, Outcome, Planned, Reason};
use crate::run::event::{self, Event, LaneOutline, Pass, Tally, What};
use crate::run::hazard::Hazard;
use crate::sabotage::Guards;

/// One pass over the lanes: with what, for whom, how far.
pub struct Run<'a> {
    /// Where questions and actions go.
    pub world: &'a dyn World,
    /// Names the run, on the targets too: what is forced is forced once a run.
    pub name: String,
    /// The site's name.
    pub site: String,
    /// Looking or acting.
    pub pass: Pass,
    /// What the operator approved.
    pub approved: Vec<Hazard>,
    /// What a plan of the same lanes expects to do; decides order only.
    pub expected: Expected,
    /// The operator's wish to stop.
    pub stop: Stop,
    /// How many nodes are asked or acted on at the same moment.
    pub forks: usize,
    /// Where events go.
    pub events: &'a (dyn Fn(Event) + Send + Sync),
    /// Which guards hold: all, but in the swarm.
    pub guards: Guards,
}

/// Which steps of the same lanes a plan expects to do something. By default, all.
#[derive(Clone, Debug, Default)]
pub struct Expected(Option<Arc<ByStep<Option<bool>>>>);

impl Expected {
    fn acts(&self, step: StepId) -> bool {
        self.0.as_ref().and_then(|acts| acts.get(step).copied().flatten()).unwrap_or(true)
    }
}

/// What a pass found.
#[derive(Debug, Default)]
pub struct Walked {
    /// How many steps ended in which way.
    pub tally: Tally,
    /// In a plan: what may be hurt, in the order of the lanes, each once.
    pub hazards: Vec<Hazard>,
    /// Whether the operator stopped it.
    pub interrupted: bool,
    /// In a plan: which steps would do something.
    pub expected: Expected,
}

impl Walked {
    /// Whether a plan has seen every step and found nothing to do.
    pub fn in_sync(&self) -> bool {
        let all = self.tally;
        !self.interrupted && all == Tally { in_sync: all.in_sync, ..Tally::default() }
    }

    /// Whether a plan found anything to do.
    pub fn changes(&self) -> bool {
        self.tally.changed + self.tally.later > 0
    }
}

/// Walks the lanes once.
pub async fn walk(lanes: &Lanes, run: &Run<'_>) -> Walked {
    let started = Instant::now();
    let walk = Walk::new(lanes, run, started);
    walk.tell(What::RunStarted {
        format: event::FORMAT,
        run: run.name.clone(),
        site: run.site.clone(),
        pass: run.pass,
        lanes: lanes
            .order()
            .map(|lane| LaneOutline { lane: lanes.name(lane).clone(), steps: lanes.steps_of(lane).len() })
            .collect(),
    });
    if run.pass == Pass::Apply {
        walk.tell(What::Approved { hazards: run.approved.clone() });
    }
    let mut going: FuturesUnordered<_> = lanes.order().map(|lane| walk.lane(lane)).collect();
    let mut interrupted = false;
    loop {
        tokio::select! {
            biased;
            () = run.stop.wait(), if !interrupted => {
                interrupted = true;
                walk.tell(What::Interrupted);
            }
            next = going.next() => if next.is_none() { break },
        }
    }
    drop(going);
    let Found { tally, hazards, acts, .. } = walk.found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut walked = Walked { tally, hazards: Vec::new(), interrupted, expected: Expected(Some(Arc::new(acts))) };
    let mut seen = std::collections::BTreeSet::new();
    for hazard in hazards.in_order(lanes).flatten() {
        if seen.insert(hazard.clone()) {
            walked.hazards.push(hazard.clone());
        }
    }
    (run.events)(Event { at: ms(started.elapsed()), what: What::RunEnded { tally, ms: ms(started.elapsed()) } });
    walked
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What a walk has found so far.
struct Found {
    tally: Tally,
    hazards: ByStep<Vec<Hazard>>,
    /// Whether a planned step would do something.
    acts: ByStep<Option<bool>>,
    renewals: BTreeMap<Target, (Label, Renewal)>,
}

/// A walk under way.
struct Walk<'a> {
    lanes: &'a Lanes,
    run: &'a Run<'a>,
    started: Instant,
    ends: Ends,
    spans: Spans,
    forks: Semaphore,
    remaining: ByStep<Duration>,
    answers: Mutex<Answers>,
    found: Mutex<Found>,
}

impl<'a> Walk<'a> {
    fn new(lanes: &'a Lanes, run: &'a Run<'a>, started: Instant) -> Self {
        Self {
            lanes,
            run,
            started,
            ends: Ends::new(lanes),
            spans: Spans::default(),
            forks: Semaphore::new(run.forks.max(1)),
            remaining: match run.pass {
                Pass::Plan => ByStep::of(lanes),
                Pass::Apply => remaining::remaining(lanes, |step| run.expected.acts(step)),
            },
            answers: Mutex::default(),
            found: Mutex::new(Found {
                tally: Tally::default(),
                hazards: ByStep::of(lanes),
                acts: ByStep::of(lanes),
                renewals: BTreeMap::new(),
            }),
        }
    }

    fn tell(&self, what: What) {
        (self.run.events)(Event { at: ms(self.started.elapsed()), what });
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Walks one lane to its end or to the first step that does not hold.
    async fn lane(&self, lane: LaneId) {
        let mut broken: Option<Label> = None;
        let mut last = self.lanes.name(lane).clone();
        for &step in self.lanes.steps_of(lane) {
            let placed = self.lanes.get(step);
            last = placed.step.label();
            if let Some(by) = &broken {
                self.skip(placed, by);
                continue;
            }
            let began = Instant::now();
            let (holds, by) = self.step(placed, began).await;
            if !holds {
                broken = Some(last.clone());
            }
            self.ends.close(Need::Held(step), End { holds, by });
        }
        let holds = broken.is_none();
        self.tell(What::LaneEnded { lane: self.lanes.name(lane).clone(), holds });
        self.ends.close(Need::Ended(lane), End { holds, by: broken.unwrap_or(last) });
    }

    fn skip(&self, placed: &Placed, by: &Label) {
        if self.run.pass == Pass::Apply {
            let outcome = Outcome::Skipped(Reason::new(format!("{by} does not hold"), ""));
            self.ended(placed, outcome, Duration::ZERO);
        } else {
            self.found().tally.skipped += 1;
        }
        self.ends.close(Need::Held(placed.id()), End { holds: false, by: by.clone() });
    }

    /// One step; whether it holds, and by which step that was decided.
    async fn step(&self, placed: &Placed, began: Instant) -> (bool, Label) {
        let context = StepContext::new(self, placed.id());
        let label = placed.step.label();
        if self.run.pass == Pass::Apply {
            self.tell(What::StepStarted {
                lane: self.lanes.name(placed.lane).clone(),
                stage: placed.stage,
                step: label.clone(),
                target: placed.step.target(),
                needs: placed.needs.iter().map(|need| self.lanes.name_of(*need)).collect(),
            });
        }
        if let Err(ended) = context.wait_for_needs(&placed.needs).await {
            let by = ended.1;
            match self.run.pass {
                Pass::Plan => self.found().tally.skipped += 1,
                Pass::Apply => self.ended(placed, ended.0, began.elapsed()),
            }
            return (false, by);
        }
        let unsettled = (self.run.pass == Pass::Plan)
            .then(|| placed.known_after.iter().find(|by| self.found().acts[**by] == Some(true)))
            .flatten()
            .map(|by| self.lanes.get(*by).step.label());
        let concluded = match unsettled {
            Some(until) => Concluded::Planned {
                planned: Planned::Later { until },
                hazards: placed.step.possible_hazards(),
                renews: placed.step.possible_renewals(),
            },
            None if self.run.stop.asked() => Concluded::Ended(Outcome::Skipped(Reason::new(
                "the run was interrupted before it",
                "run again: it goes on from here",
            ))),
            None => placed.step.converge(&context).await,
        };
        context.release_span();
        let holds = match concluded {
            Concluded::Planned { planned, hazards, renews } => self.planned(placed, planned, hazards, renews),
            Concluded::Ended(outcome) => {
                let holds = outcome.holds();
                self.ended(placed, outcome, began.elapsed());
                holds
            }
        };
        (holds, label)
    }

    fn planned(&self, placed: &Placed, planned: Planned, hazards: Vec<Hazard>, renews: Vec<Renewal>) -> bool {
        let label = placed.step.label();
        let (mut acts, mut holds) = (false, true);
        {
            let mut found = self.found();
            match &planned {
                Planned::Known(Diff::InSync) | Planned::Expected(Diff::InSync) => found.tally.in_sync += 1,
                Planned::Known(Diff::Change(_)) | Planned::Expected(Diff::Change(_)) => {
                    found.tally.changed += 1;
                    acts = true;
                }
                Planned::Known(Diff::Blocked(_)) | Planned::Expected(Diff::Blocked(_)) => {
                    found.tally.blocked += 1;
                    holds = false;
                }
                Planned::Later { .. } => {
                    found.tally.later += 1;
                    acts = true;
                }
                Planned::Unreachable(_) => {
                    found.tally.failed += 1;
                    holds = false;
                }
            }
            found.acts[placed.id()] = Some(acts);
            found.hazards[placed.id()].clone_from(&hazards);
            for renewal in renews {
                found.renewals.insert(renewal.target.clone(), (label.clone(), renewal));
            }
        }
        self.tell(What::StepPlanned {
            lane: self.lanes.name(placed.lane).clone(),
            stage: placed.stage,
            step: label,
            target: placed.step.target(),
            planned,
            hazards,
        });
        holds
    }

    fn ended(&self, placed: &Placed, outcome: Outcome, took: Duration) {
        {
            let tally = &mut self.found().tally;
            match &outcome {
                Outcome::InSync => tally.in_sync += 1,
                Outcome::Changed => tally.changed += 1,
                Outcome::TookOver => {
                    tally.changed += 1;
                    tally.took_over += 1;
                }
                Outcome::Skipped(_) => tally.skipped += 1,
                Outcome::Blocked(_) => tally.blocked += 1,
                Outcome::NotConverged(_) => tally.not_converged += 1,
                Outcome::Failed(_) => tally.failed += 1,
            }
        }
        self.tell(What::StepEnded {
            lane: self.lanes.name(placed.lane).clone(),
            stage: placed.stage,
            step: placed.step.label(),
            target: placed.step.target(),
            outcome,
            ms: ms(took),
        });
    }
}
