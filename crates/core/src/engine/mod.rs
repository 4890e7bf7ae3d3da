//! Walks the lanes: all at once, each at its own pace, held together by gates alone.
//!
//! A plan and an apply are the same walk; the one concludes before the act, the other goes on.

mod gates;
mod lane;
mod look;
mod stop;
mod way_to_go;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use self::gates::{End, Ends, Spans};
pub use self::lane::{Lane, Need, Placed};
use self::look::Answers;
pub use self::look::{Act, Look, Wait};
pub use self::stop::Stop;
use crate::change::{Diff, Outcome, Planned, Reason};
use crate::event::{Event, LaneOutline, Pass, Tally, What};
use crate::fault::{Cause, Fault};
use crate::hazard::Hazard;
use crate::names::{Label, Target};
use crate::probe::Probe;
use crate::resource::{Concluded, Expectation, Renewal};
use crate::sabotage::{Guard, Guards};
use crate::world::World;

/// One pass over the lanes: with what, for whom, how far.
pub struct Run<'a> {
    /// Where questions and deeds go.
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

/// Which steps a plan expects to do something. By default, all.
#[derive(Clone, Debug, Default)]
pub struct Expected(Option<Arc<BTreeMap<Label, bool>>>);

impl Expected {
    fn acts(&self, step: &Label) -> bool {
        self.0.as_ref().and_then(|acts| acts.get(step)).copied().unwrap_or(true)
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
    /// Whether a plan found anything to do.
    pub fn changes(&self) -> bool {
        self.tally.changed + self.tally.later > 0
    }
}

/// Walks the lanes once.
pub async fn walk(lanes: &[Lane], run: &Run<'_>) -> Walked {
    let started = Instant::now();
    let walk = Walk::new(lanes, run, started);
    walk.tell(What::RunStarted {
        run: run.name.clone(),
        site: run.site.clone(),
        pass: run.pass,
        lanes: lanes.iter().map(|lane| LaneOutline { lane: lane.label.clone(), steps: lane.len() }).collect(),
    });
    if run.pass == Pass::Apply {
        walk.tell(What::Approved { hazards: run.approved.clone() });
    }
    let mut going: FuturesUnordered<_> = (0..lanes.len()).map(|lane| walk.lane(lane)).collect();
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
    for hazard in hazards.into_iter().flatten().flatten() {
        if seen.insert(hazard.clone()) {
            walked.hazards.push(hazard);
        }
    }
    (run.events)(Event { at: ms(started.elapsed()), what: What::RunEnded { tally, ms: ms(started.elapsed()) } });
    walked
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What a walk has found so far.
#[derive(Default)]
struct Found {
    tally: Tally,
    /// By lane and place, so that their order is that of the lanes and not of time.
    hazards: Vec<Vec<Vec<Hazard>>>,
    acts: BTreeMap<Label, bool>,
    renewals: BTreeMap<Target, (Label, Renewal)>,
}

/// A walk under way.
struct Walk<'a> {
    lanes: &'a [Lane],
    run: &'a Run<'a>,
    started: Instant,
    ends: Ends,
    spans: Spans,
    forks: Semaphore,
    ways_to_go: Vec<Vec<Duration>>,
    answers: Mutex<Answers>,
    found: Mutex<Found>,
}

impl<'a> Walk<'a> {
    fn new(lanes: &'a [Lane], run: &'a Run<'a>, started: Instant) -> Self {
        let mut awaited: Vec<Label> = Vec::new();
        for placed in lanes.iter().flat_map(|lane| &lane.steps) {
            awaited.extend(placed.needs.iter().map(Need::label).cloned());
            awaited.extend(placed.yields_to.iter().cloned());
        }
        awaited.sort_unstable();
        awaited.dedup();
        // Only what is part of the run can end; the rest is not waited for.
        let mut present = std::collections::BTreeSet::new();
        for lane in lanes {
            present.insert(lane.label.clone());
            present.extend(lane.steps.iter().map(|placed| placed.step.label()));
        }
        awaited.retain(|label| present.contains(label));
        let ways_to_go = match run.pass {
            Pass::Plan => Vec::new(),
            Pass::Apply => way_to_go::ways_to_go(lanes, |label| run.expected.acts(label)),
        };
        Self {
            lanes,
            run,
            started,
            ends: Ends::new(awaited),
            spans: Spans::default(),
            forks: Semaphore::new(run.forks.max(1)),
            ways_to_go,
            answers: Mutex::default(),
            found: Mutex::new(Found {
                hazards: lanes.iter().map(|lane| vec![Vec::new(); lane.len()]).collect(),
                ..Found::default()
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
    async fn lane(&self, lane: usize) {
        let mut broken: Option<Label> = None;
        for index in 0..self.lanes[lane].len() {
            let label = self.lanes[lane].steps[index].step.label();
            if let Some(by) = &broken {
                self.skip(lane, index, &label, by);
                continue;
            }
            let began = Instant::now();
            let (holds, by) = self.step(lane, index, &label, began).await;
            if !holds {
                broken = Some(label.clone());
            }
            self.ends.close(&label, End { holds, by });
        }
        let last =
            self.lanes[lane].steps.last().map_or_else(|| self.lanes[lane].label.clone(), |placed| placed.step.label());
        let holds = broken.is_none();
        self.tell(What::LaneEnded { lane: self.lanes[lane].label.clone(), holds });
        self.ends.close(&self.lanes[lane].label, End { holds, by: broken.unwrap_or(last) });
    }

    fn skip(&self, lane: usize, index: usize, label: &Label, by: &Label) {
        if self.run.pass == Pass::Apply {
            let outcome = Outcome::Skipped(Reason::new(format!("{by} does not hold"), ""));
            self.ended(lane, index, label, outcome, Duration::ZERO);
        } else {
            self.found().tally.skipped += 1;
        }
        self.ends.close(label, End { holds: false, by: by.clone() });
    }

    /// One step; whether it holds, and by which step that was decided.
    async fn step(&self, lane: usize, index: usize, label: &Label, began: Instant) -> (bool, Label) {
        let context = StepContext { walk: self, lane, index, met: Mutex::default(), spans_held: Mutex::default() };
        let placed = &self.lanes[lane].steps[index];
        if self.run.pass == Pass::Apply {
            self.tell(What::StepStarted {
                lane: self.lanes[lane].label.clone(),
                stage: placed.stage,
                step: label.clone(),
                target: placed.step.target(),
                needs: placed.needs.iter().map(Need::label).filter(|label| self.ends.knows(label)).cloned().collect(),
            });
        }
        if let Err(ended) = context.wait_for_needs(&placed.needs).await {
            let by = ended.1;
            match self.run.pass {
                Pass::Plan => self.found().tally.skipped += 1,
                Pass::Apply => self.ended(lane, index, label, ended.0, began.elapsed()),
            }
            return (false, by);
        }
        let unsettled = (self.run.pass == Pass::Plan)
            .then(|| placed.unsettled_by.iter().find(|by| self.found().acts.get(*by) == Some(&true)).cloned())
            .flatten();
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
            Concluded::Planned { planned, hazards, renews } => {
                self.planned(lane, index, label, planned, hazards, renews)
            }
            Concluded::Ended(outcome) => {
                let holds = outcome.holds();
                self.ended(lane, index, label, outcome, began.elapsed());
                holds
            }
        };
        (holds, label.clone())
    }

    fn planned(
        &self,
        lane: usize,
        index: usize,
        label: &Label,
        planned: Planned,
        hazards: Vec<Hazard>,
        renews: Vec<Renewal>,
    ) -> bool {
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
            found.acts.insert(label.clone(), acts);
            found.hazards[lane][index].clone_from(&hazards);
            for renewal in renews {
                found.renewals.insert(renewal.target.clone(), (label.clone(), renewal));
            }
        }
        let placed = &self.lanes[lane].steps[index];
        self.tell(What::StepPlanned {
            lane: self.lanes[lane].label.clone(),
            stage: placed.stage,
            step: label.clone(),
            target: placed.step.target(),
            planned,
            hazards,
        });
        holds
    }

    fn ended(&self, lane: usize, index: usize, label: &Label, outcome: Outcome, took: Duration) {
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
        let placed = &self.lanes[lane].steps[index];
        self.tell(What::StepEnded {
            lane: self.lanes[lane].label.clone(),
            stage: placed.stage,
            step: label.clone(),
            target: placed.step.target(),
            outcome,
            ms: ms(took),
        });
    }
}

/// A step under way: what it may look at, do and wait for.
pub(crate) struct StepContext<'a> {
    walk: &'a Walk<'a>,
    lane: usize,
    index: usize,
    /// The step that renews what this one looked at, if it met such a target.
    met: Mutex<Option<Label>>,
    spans_held: Mutex<Vec<Label>>,
}

impl<'a> StepContext<'a> {
    pub(crate) fn pass(&self) -> Pass {
        self.walk.run.pass
    }

    pub(crate) fn look(&'a self) -> Look<'a> {
        Look::keeping(self)
    }

    pub(crate) fn fresh_look(&'a self) -> Look<'a> {
        Look::fresh(self)
    }

    pub(crate) fn act(&'a self) -> Act<'a> {
        Act::new(self)
    }

    pub(crate) fn guards(&self) -> Guards {
        self.walk.run.guards
    }

    pub(crate) fn label(&self) -> Label {
        self.walk.lanes[self.lane].steps[self.index].step.label()
    }

    pub(crate) fn tell(&self, what: What) {
        self.walk.tell(what);
    }

    pub(crate) fn approved(&self, hazard: &Hazard) -> bool {
        self.walk.run.approved.iter().any(|approved| approved.covers(hazard))
    }

    pub(crate) fn met_renewal(&self) -> bool {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The step that will make a target anew.
    pub(crate) fn renewed_by(&self, target: &Target) -> Option<Label> {
        self.walk.found().renewals.get(target).map(|(label, _)| label.clone())
    }

    /// What a target will answer once it was made anew, if this plan has it made anew.
    fn renewal_of(&self, target: &Target, at_present: bool) -> Option<Expectation> {
        if self.pass() == Pass::Apply {
            return None;
        }
        let (label, renewal) = self.walk.found().renewals.get(target).cloned()?;
        if at_present && renewal.present_answers {
            return None;
        }
        *self.met.lock().unwrap_or_else(PoisonError::into_inner) = Some(label);
        Some(renewal.answers)
    }

    /// What this lane will ask in its next steps, this one included.
    fn questions_ahead(&self, steps: usize) -> impl Iterator<Item = (Target, Probe)> + '_ {
        let ahead = &self.walk.lanes[self.lane].steps[self.index..];
        ahead.iter().take(steps).flat_map(|placed| placed.step.questions())
    }

    /// Waits for gates; how the step ends if one does not open, and by which step that was decided.
    async fn wait_for_needs(&self, needs: &[Need]) -> Result<(), (Outcome, Label)> {
        for need in needs {
            let (label, must_hold) = (need.label(), matches!(need, Need::Held(_)));
            let end = match self.walk.ends.now(label) {
                Some(end) => Some(end),
                None => match self.wait_for_end(label).await {
                    Ok(end) => end,
                    Err(fault) => return Err((Outcome::Failed(fault), self.label())),
                },
            };
            if let Some(end) = end.filter(|end| must_hold && !end.holds) {
                let reason = Reason::new(format!("{} does not hold", end.by), "");
                return Err((Outcome::Skipped(reason), end.by));
            }
        }
        Ok(())
    }

    /// Waits for a step or a lane to end; it is bounded by what it waits for.
    async fn wait_for_end(&self, label: &Label) -> Result<Option<End>, Fault> {
        let began = Instant::now();
        let target = self.walk.lanes[self.lane].steps[self.index].step.target();
        let wanted = label.to_string();
        let waiting = async {
            // Announced only if it is not over at once.
            tokio::select! {
                biased;
                end = self.walk.ends.wait(label) => end,
                () = std::future::ready(()) => {
                    if self.pass() == Pass::Apply {
                        self.tell(What::Waiting { step: self.label(), wanted: wanted.clone(), bound: None });
                    }
                    self.walk.ends.wait(label).await
                }
            }
        };
        let end = self.or_interrupted(&target, &format!("wait for {label}"), waiting).await?;
        if self.pass() == Pass::Apply && !began.elapsed().is_zero() {
            let freed_by = end.as_ref().map(|end| end.by.clone());
            self.tell(What::Waited { step: self.label(), wanted, freed_by, ms: ms(began.elapsed()) });
        }
        Ok(end)
    }

    /// Waits for the steps that come first, then takes a span.
    pub(crate) async fn take_span(&self, span: Label) -> Result<(), Fault> {
        if !self.guard_of(&span).is_none_or(|guard| self.guards().hold(guard)) {
            return Ok(());
        }
        let placed = &self.walk.lanes[self.lane].steps[self.index];
        for first in &placed.yields_to {
            self.wait_for_end(first).await?;
        }
        let (label, began) = (self.label(), Instant::now());
        let way_to_go = self.walk.ways_to_go[self.lane][self.index];
        let long = !placed.step.estimate_in_span().is_zero();
        let taking = self.walk.spans.take(&span, &label, way_to_go, long);
        let grant = self.or_interrupted(&placed.step.target(), &format!("wait for {span}"), taking).await?;
        if !began.elapsed().is_zero() {
            let wanted = span.to_string();
            self.tell(What::Waited { step: label.clone(), wanted, freed_by: grant.after, ms: ms(began.elapsed()) });
        }
        self.spans_held().push(span.clone());
        self.tell(What::SpanTaken { step: label, span });
        Ok(())
    }

    /// The guard that a span is, for the swarm.
    fn guard_of(&self, span: &Label) -> Option<Guard> {
        match span.as_str().rsplit('/').next() {
            Some("usb") => Some(Guard::UsbSpan),
            Some("known_hosts") => Some(Guard::KnownHostsWriter),
            Some("maintenance") => Some(Guard::MaintenanceGate),
            _ => None,
        }
    }

    fn spans_held(&self) -> MutexGuard<'_, Vec<Label>> {
        self.spans_held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back all that is held.
    pub(crate) fn release_span(&self) {
        let held = self.spans_held().clone();
        for span in held {
            self.release(&span);
        }
    }

    /// Gives one span back, if it is held.
    pub(crate) fn release(&self, span: &Label) {
        let held = {
            let mut held = self.spans_held();
            let before = held.len();
            held.retain(|other| other != span);
            held.len() < before
        };
        if held {
            let step = self.label();
            self.tell(What::SpanReleased { step: step.clone(), span: span.clone() });
            self.walk.spans.release(span, &step);
        }
    }

    fn interrupted(&self, target: &Target, doing: &str) -> Fault {
        Fault::new(Cause::Interrupted, target.clone(), doing)
            .likely("you asked to stop")
            .next("run again: what is under way on a target is taken over, the rest goes on from here")
    }

    pub(crate) fn not_interrupted(&self, target: &Target, doing: &str) -> Result<(), Fault> {
        if self.walk.run.stop.asked() { Err(self.interrupted(target, doing)) } else { Ok(()) }
    }

    async fn or_interrupted<T>(
        &self,
        target: &Target,
        doing: &str,
        going: impl Future<Output = T>,
    ) -> Result<T, Fault> {
        tokio::select! {
            biased;
            () = self.walk.run.stop.wait() => Err(self.interrupted(target, doing)),
            done = going => Ok(done),
        }
    }

    /// Lets time pass, unless the operator asks to stop.
    pub(crate) async fn pause(&self, time: Duration) -> Result<(), Fault> {
        let target = self.walk.lanes[self.lane].steps[self.index].step.target();
        self.or_interrupted(&target, "wait", tokio::time::sleep(time)).await
    }

    /// A trip to a target: within its bound, and within the number of nodes that are spoken to at once.
    async fn bounded<T>(
        &self,
        target: &Target,
        doing: &str,
        bound: Duration,
        going: impl Future<Output = T>,
    ) -> Result<T, Fault> {
        let trip = async {
            let _fork = match target {
                Target::Node(_) => self.walk.forks.acquire().await.ok(),
                _ => None,
            };
            tokio::time::timeout(bound, going).await
        };
        self.or_interrupted(target, doing, trip).await?.map_err(|_| {
            Fault::new(Cause::TimedOut, target.clone(), doing).said(format!("no answer after {} s", bound.as_secs()))
        })
    }
}
