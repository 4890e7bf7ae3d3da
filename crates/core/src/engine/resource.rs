//! The `Resource` trait and the one converge loop.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::contract::world::BoxFuture;
use crate::contract::{Answered, Asked};
use crate::engine::{Act, Look, StepContext};
use crate::ids::{Label, Span, Target};
use crate::run::change::{Diff, Outcome, Planned, Reason};
use crate::run::event::{Notice, Pass, What};
use crate::run::fault::{Cause, Fault};
use crate::run::hazard::Hazard;
use crate::sabotage::Guard;

/// How a difference was removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applied {
    /// By what this run did.
    Changed,
    /// By seeing through what an earlier run had begun.
    TookOver,
}

/// What a target that nobody has seen yet is expected to answer; `None` for what nobody can know yet.
pub type Expectation = fn(&Asked) -> Option<Answered>;

/// A target that will be another one after a step: in a plan, what comes after is held against these answers.
#[derive(Clone, Debug)]
pub struct Renewal {
    /// Which target.
    pub target: Target,
    /// What the new one answers.
    pub answers: Expectation,
    /// Whether the target as it is now can be asked at all; one whose identity nobody knows yet cannot.
    pub present_answers: bool,
}

/// One idempotent thing on one target.
pub trait Resource: Debug + Send + Sync {
    /// What a look finds.
    type State: Debug + Send + Sync;

    /// Its stable name, as plans, journals and tests know it.
    fn label(&self) -> Label;

    /// What it acts on.
    fn target(&self) -> Target;

    /// Questions that its look will ask, so that a lane's questions travel in one trip.
    fn questions(&self) -> Vec<Asked> {
        Vec::new()
    }

    /// Looks. Cannot act.
    fn observe(&self, look: &Look<'_>) -> impl Future<Output = Result<Self::State, Fault>> + Send;

    /// What lies between what was seen and what should be.
    fn diff(&self, seen: &Self::State) -> Diff;

    /// What acting may hurt; with `None`, what it may hurt at most, when nothing can be seen yet.
    fn hazards(&self, seen: Option<&Self::State>) -> Vec<Hazard> {
        let _ = seen;
        Vec::new()
    }

    /// What acting needs to itself. Looked at again once it is held.
    fn span(&self, seen: &Self::State) -> Option<Span> {
        let _ = seen;
        None
    }

    /// What will be another machine, or another cluster, after acting; with `None`, what may be, when nothing can be
    /// seen yet.
    fn renews(&self, seen: Option<&Self::State>) -> Vec<Renewal> {
        let _ = seen;
        Vec::new()
    }

    /// What the operator should know although nothing is to be done.
    fn notices(&self, seen: &Self::State) -> Vec<Notice> {
        let _ = seen;
        Vec::new()
    }

    /// Removes the difference. Does nothing that `hazards` did not declare for what was seen, whatever came since: it
    /// ends with a passing fault instead, and the next turn of the loop looks and asks again.
    fn apply(&self, seen: &Self::State, act: &Act<'_>) -> impl Future<Output = Result<Applied, Fault>> + Send;

    /// How long acting usually takes. Decides order only, never a bound.
    fn estimate(&self) -> Duration {
        Duration::from_secs(2)
    }

    /// How much of the estimate falls into a span that others usually wait for.
    fn estimate_in_span(&self) -> Duration {
        Duration::ZERO
    }

    /// How long an approval that is missing may be waited for, because what asks for it may pass by itself: a node that is
    /// silent may be booting. Within `patience`.
    fn settles_within(&self, seen: &Self::State) -> Duration {
        let _ = seen;
        Duration::ZERO
    }

    /// How long someone else's being busy with it is waited out.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }
}

/// What a pass concludes of a step.
pub(crate) enum Concluded {
    /// A plan's word on it.
    Planned { planned: Planned, hazards: Vec<Hazard>, renews: Vec<Renewal> },
    /// How it ended.
    Ended(Outcome),
}

/// A resource with its state forgotten: what lanes hold.
pub(crate) trait Step: Debug + Send + Sync {
    fn label(&self) -> Label;
    fn target(&self) -> Target;
    fn questions(&self) -> Vec<Asked>;
    fn estimate(&self) -> Duration;
    fn estimate_in_span(&self) -> Duration;
    fn possible_hazards(&self) -> Vec<Hazard>;
    fn possible_renewals(&self) -> Vec<Renewal>;
    fn converge<'a>(&'a self, context: &'a StepContext<'a>) -> BoxFuture<'a, Concluded>;
}

impl<R: Resource> Step for R {
    fn label(&self) -> Label {
        Resource::label(self)
    }

    fn target(&self) -> Target {
        Resource::target(self)
    }

    fn questions(&self) -> Vec<Asked> {
        Resource::questions(self)
    }

    fn estimate(&self) -> Duration {
        Resource::estimate(self)
    }

    fn estimate_in_span(&self) -> Duration {
        Resource::estimate_in_span(self)
    }

    fn possible_hazards(&self) -> Vec<Hazard> {
        self.hazards(None)
    }

    fn possible_renewals(&self) -> Vec<Renewal> {
        self.renews(None)
    }

    fn converge<'a>(&'a self, context: &'a StepContext<'a>) -> BoxFuture<'a, Concluded> {
        Box::pin(async move {
            match context.pass() {
                Pass::Plan => foresee(self, context).await,
                Pass::Apply => Concluded::Ended(converge(self, context).await),
            }
        })
    }
}

/// The first half of the loop, which is all that a plan does.
async fn foresee<R: Resource>(resource: &R, context: &StepContext<'_>) -> Concluded {
    let seen = match resource.observe(&context.look()).await {
        Ok(seen) => seen,
        Err(fault) if fault.cause == Cause::NotYet => {
            let until = context.renewed_by(&fault.at).unwrap_or_else(|| Resource::label(resource));
            return Concluded::Planned {
                planned: Planned::Later { until },
                hazards: resource.hazards(None),
                renews: resource.renews(None),
            };
        }
        Err(fault) => {
            return Concluded::Planned {
                planned: Planned::Unreachable(fault),
                hazards: Vec::new(),
                renews: Vec::new(),
            };
        }
    };
    for notice in resource.notices(&seen) {
        context.tell(What::Noticed { step: context.label(), notice });
    }
    let diff = resource.diff(&seen);
    let changes = diff.changes();
    let planned = if context.met_renewal() { Planned::Expected(diff) } else { Planned::Known(diff) };
    Concluded::Planned {
        planned,
        hazards: if changes { resource.hazards(Some(&seen)) } else { Vec::new() },
        renews: if changes { resource.renews(Some(&seen)) } else { Vec::new() },
    }
}

/// How often something passing is tried before it is a failure.
const TRIES: u32 = 4;
/// How long to let something passing pass.
const PAUSE: Duration = Duration::from_secs(5);
/// How long to let someone else be busy before looking again.
const BUSY_PAUSE: Duration = Duration::from_secs(15);

/// Observe, compare, ask for approval, act, look again.
async fn converge<R: Resource>(resource: &R, context: &StepContext<'_>) -> Outcome {
    let began = Instant::now();
    let mut attempt = 0;
    let mut changed = None;
    loop {
        let turn = once(resource, context, began, &mut changed).await;
        context.release_span();
        match turn {
            Ok(outcome) => return outcome,
            Err(fault) => {
                let patient = fault.cause == Cause::Busy && began.elapsed() < resource.patience();
                attempt += u32::from(!patient);
                if !fault.cause.is_passing() || attempt >= TRIES {
                    return Outcome::Failed(fault);
                }
                context.tell(What::Retrying { step: context.label(), attempt, of: TRIES, fault });
                if let Err(fault) = context.pause(if patient { BUSY_PAUSE } else { PAUSE }).await {
                    return Outcome::Failed(fault);
                }
            }
        }
    }
}

/// One turn of the loop. `changed` remembers over the turns how a difference was removed.
async fn once<R: Resource>(
    resource: &R,
    context: &StepContext<'_>,
    began: Instant,
    changed: &mut Option<Applied>,
) -> Result<Outcome, Fault> {
    let mut seen = resource.observe(&context.look()).await?;
    let mut diff = resource.diff(&seen);
    if diff.changes()
        && let Some(reason) = missing_leave(resource, &seen, context)
    {
        if began.elapsed() >= resource.settles_within(&seen) {
            return Ok(Outcome::Blocked(reason));
        }
        return Err(Fault::new(Cause::Busy, Resource::target(resource), "wait for it to settle").said(reason.why));
    }
    if let (true, Some(span)) = (diff.changes(), resource.span(&seen)) {
        context.take_span(span).await?;
        seen = resource.observe(&context.fresh_look()).await?;
        diff = resource.diff(&seen);
    }
    match diff {
        Diff::Blocked(reason) => Ok(Outcome::Blocked(reason)),
        Diff::InSync => {
            for notice in resource.notices(&seen) {
                context.tell(What::Noticed { step: context.label(), notice });
            }
            Ok(match changed {
                None => Outcome::InSync,
                Some(Applied::Changed) => Outcome::Changed,
                Some(Applied::TookOver) => Outcome::TookOver,
            })
        }
        Diff::Change(_) => act_and_look_again(resource, &seen, context, changed).await,
    }
}

async fn act_and_look_again<R: Resource>(
    resource: &R,
    seen: &R::State,
    context: &StepContext<'_>,
    changed: &mut Option<Applied>,
) -> Result<Outcome, Fault> {
    if let Some(reason) = missing_leave(resource, seen, context) {
        return Ok(Outcome::Blocked(reason));
    }
    let applied = match resource.apply(seen, &context.act()).await {
        Ok(applied) => applied,
        Err(fault) if fault.cause == Cause::NotAllowed => {
            return Ok(Outcome::Blocked(Reason::new(fault.to_string(), fault.next.unwrap_or_default())));
        }
        Err(fault) => {
            // What was tried and lost may well have happened: if the next look finds it, this run did it.
            if fault.cause == Cause::Lost {
                changed.get_or_insert(Applied::Changed);
            }
            return Err(fault);
        }
    };
    // What an earlier turn of this run had begun was not begun by an earlier run.
    let applied = *changed.get_or_insert(applied);
    let after = resource.observe(&context.fresh_look()).await?;
    Ok(match (resource.diff(&after), applied) {
        (Diff::InSync, Applied::Changed) => Outcome::Changed,
        (Diff::InSync, Applied::TookOver) => Outcome::TookOver,
        (left, _) => Outcome::NotConverged(left),
    })
}

/// The first hazard that was not approved, as the reason why nothing is done.
fn missing_leave<R: Resource>(resource: &R, seen: &R::State, context: &StepContext<'_>) -> Option<Reason> {
    if !context.guards().hold(Guard::Consent) {
        return None;
    }
    let hazard = resource.hazards(Some(seen)).into_iter().find(|hazard| !context.approved(hazard))?;
    let next = match hazard.needs_name() {
        Some(node) => format!("if it may be lost, run again and name it: --limit {node}"),
        None => "run again and approve it, or leave it out with --limit or --skip-tags".to_owned(),
    };
    Some(Reason::new(format!("to {hazard} was not approved"), next))
}
