//! A step under way: what it may look at, what it waits for, what it holds.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Walk;
use super::gates::End;
use super::lanes::{Need, Placed, StepId};
use super::look::{Act, Look};
use super::ms;
use crate::contract::Asked;
use crate::engine::resource::Expectation;
use crate::ids::{Label, Span, Target};
use crate::run::change::{Outcome, Reason};
use crate::run::event::{Awaited, Pass, What};
use crate::run::fault::{Cause, Fault};
use crate::run::hazard::Hazard;
use crate::sabotage::{Guard, Guards};

/// A step under way: what it may look at, do and wait for.
pub(crate) struct StepContext<'a> {
    pub(super) walk: &'a Walk<'a>,
    id: StepId,
    /// The step that renews what this one looked at, if it met such a target.
    met: Mutex<Option<Label>>,
    spans_held: Mutex<Vec<Span>>,
}

impl<'a> StepContext<'a> {
    pub(super) fn new(walk: &'a Walk<'a>, id: StepId) -> Self {
        Self { walk, id, met: Mutex::default(), spans_held: Mutex::default() }
    }

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
        self.placed().step.label()
    }

    fn placed(&self) -> &'a Placed {
        self.walk.lanes.get(self.id)
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
    pub(super) fn renewal_of(&self, target: &Target, at_present: bool) -> Option<Expectation> {
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
    pub(super) fn questions_ahead(&self, steps: usize) -> impl Iterator<Item = Asked> + '_ {
        self.walk.lanes.from(self.id).take(steps).flat_map(|placed| placed.step.questions())
    }

    /// Waits for gates; how the step ends if one does not open, and by which step that was decided.
    pub(super) async fn wait_for_needs(&self, needs: &[Need]) -> Result<(), (Outcome, Label)> {
        for &need in needs {
            let must_hold = matches!(need, Need::Held(_));
            let end = match self.walk.ends.now(need) {
                Some(end) => Some(end),
                None => match self.wait_for_end(need).await {
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
    async fn wait_for_end(&self, need: Need) -> Result<Option<End>, Fault> {
        let awaited = Awaited::End { of: self.walk.lanes.name_of(need) };
        let (end, waited) = self.announced(&awaited, self.walk.ends.wait(need)).await?;
        if let Some(ms) = waited {
            let freed_by = end.as_ref().map(|end| end.by.clone());
            self.tell(What::Waited { step: self.label(), awaited, freed_by, ms });
        }
        Ok(end)
    }

    /// Waits for other lanes: announced only if it is not over at once and somebody acts. How long it took, if
    /// announced.
    async fn announced<T>(
        &self,
        awaited: &Awaited,
        waiting: impl Future<Output = T>,
    ) -> Result<(T, Option<u64>), Fault> {
        let began = Instant::now();
        let target = self.placed().step.target();
        let mut waiting = std::pin::pin!(waiting);
        let telling = async {
            tokio::select! {
                biased;
                done = waiting.as_mut() => (done, None),
                () = std::future::ready(()) => {
                    if self.pass() == Pass::Plan {
                        return (waiting.await, None);
                    }
                    self.tell(What::Waiting { step: self.label(), awaited: awaited.clone(), bound: None });
                    (waiting.await, Some(ms(began.elapsed())))
                }
            }
        };
        self.or_interrupted(&target, &format!("wait for {awaited}"), telling).await
    }

    /// Waits for the steps that come first, then takes a span.
    pub(crate) async fn take_span(&self, span: Span) -> Result<(), Fault> {
        if !guard_of(&span).is_none_or(|guard| self.guards().hold(guard)) {
            return Ok(());
        }
        let placed = self.placed();
        for first in &placed.after {
            self.wait_for_end(Need::Held(*first)).await?;
        }
        let (label, awaited) = (self.label(), Awaited::Span { span: span.clone() });
        let remaining = self.walk.remaining[self.id];
        let long = !placed.step.estimate_in_span().is_zero();
        let taking = self.walk.spans.take(&span, &label, remaining, long);
        let (grant, waited) = self.announced(&awaited, taking).await?;
        if let Some(ms) = waited {
            self.tell(What::Waited { step: label.clone(), awaited, freed_by: grant.after, ms });
        }
        self.spans_held().push(span.clone());
        self.tell(What::SpanTaken { step: label, span });
        Ok(())
    }

    fn spans_held(&self) -> MutexGuard<'_, Vec<Span>> {
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
    pub(crate) fn release(&self, span: &Span) {
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
        let target = self.placed().step.target();
        self.or_interrupted(&target, "wait", tokio::time::sleep(time)).await
    }

    /// A trip to a target: within its bound, and within the number of nodes that are spoken to at once.
    pub(super) async fn bounded<T>(
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
            Fault::new(Cause::Silent, target.clone(), doing).said(format!("no answer after {} s", bound.as_secs()))
        })
    }
}

/// The guard that a span is, for the swarm.
fn guard_of(span: &Span) -> Option<Guard> {
    match span {
        Span::Usb(_) => Some(Guard::UsbSpan),
        Span::KnownHosts => Some(Guard::KnownHostsWriter),
        Span::Maintenance => Some(Guard::MaintenanceGate),
        Span::Uplink(_) | Span::Image(_) | Span::K3sArtifacts(_) => None,
    }
}
