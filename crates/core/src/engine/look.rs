//! What a resource is given: `Look`, which cannot act, and `Act`, which can.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::StepContext;
use crate::contract::world::Unit;
use crate::contract::{Action, ActionOutline, Answered, Asked, Contract, Question};
use crate::ids::{Span, Target};
use crate::run::event::{Awaited, What};
use crate::run::fault::{Cause, Fault};
use crate::sabotage::Guards;

/// How long an answer may stand for the target it came from. Others act on boards, cluster and controller too.
const KEPT_FOR: Duration = Duration::from_secs(30);
/// How often a question that got lost is asked again, and after how long.
const ASKED: u32 = 3;
const ASK_PAUSE: Duration = Duration::from_secs(2);
/// The first pause of a wait; the later ones are a quarter of what it has taken so far.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Answers already had, by target.
#[derive(Default)]
pub(super) struct Answers {
    by_target: BTreeMap<Target, BTreeMap<Asked, (Instant, Answered)>>,
}

impl Answers {
    fn get(&self, asked: &Asked, trust: Trust) -> Option<Answered> {
        let (at, answer) = self.by_target.get(&asked.target())?.get(asked)?;
        let trusted = match trust {
            Trust::Kept => at.elapsed() < KEPT_FOR,
            Trust::Since(began) => *at >= began,
        };
        trusted.then(|| answer.clone())
    }

    fn put(&mut self, asked: Asked, answer: Answered) {
        self.by_target.entry(asked.target()).or_default().insert(asked, (Instant::now(), answer));
    }

    /// Forgets what an action on this target may have changed.
    fn forget(&mut self, target: &Target) {
        self.by_target.remove(target);
        match target {
            // A node's k3s shows in the cluster, and what is flashed over a BMC is a node.
            Target::Node(_) => {
                self.by_target.remove(&Target::Cluster);
            }
            Target::Bmc(_) => self.by_target.retain(|target, _| !matches!(target, Target::Node(_) | Target::Cluster)),
            Target::Controller | Target::Cluster => {}
        }
    }
}

/// How much of what is known a look may rely on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Answers already had.
    Kept,
    /// Only what was asked since.
    Since(Instant),
}

/// Asks; cannot act.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    context: &'a StepContext<'a>,
    trust: Trust,
    /// How many steps of the lane, from this one on, have their questions to the same target come along.
    ahead: usize,
    /// How often a trip is tried that gets lost.
    tries: u32,
    /// Whether a target that will be made anew answers as it is now.
    at_present: bool,
}

impl<'a> Look<'a> {
    pub(super) fn keeping(context: &'a StepContext<'a>) -> Self {
        Self { context, trust: Trust::Kept, ahead: usize::MAX, tries: ASKED, at_present: false }
    }

    pub(super) fn fresh(context: &'a StepContext<'a>) -> Self {
        Self { context, trust: Trust::Since(Instant::now()), ahead: 1, tries: ASKED, at_present: false }
    }

    /// Asks just what it is asked to: while something is under way the step's other questions are dear and say nothing.
    fn alone(context: &'a StepContext<'a>) -> Self {
        Self { ahead: 0, ..Self::fresh(context) }
    }

    /// Looks at what is there now, even where the plan says that it will be made anew: for whoever decides whether
    /// that may be.
    #[must_use]
    pub fn at_present(self) -> Self {
        Self { at_present: true, ..self }
    }

    /// Whether the plan has a target made anew before this step.
    pub fn will_be_renewed(&self, target: &Target) -> bool {
        self.context.renewal_of(target, self.at_present).is_some()
    }

    /// Asks one question.
    ///
    /// # Errors
    /// What the world says; cause `NotYet` where a plan cannot know it.
    pub async fn ask<Q: Question>(&self, of: &Q::Of, question: Q) -> Result<Q::Answer, Fault> {
        let doing = question.to_string();
        let asked = of.asks(question);
        let answer = self.answer(of, asked, &doing).await?;
        Q::Of::answer(answer).and_then(Q::read).ok_or_else(|| no_answer(of.target(), doing))
    }

    async fn answer<T: Contract>(&self, of: &T, asked: Asked, doing: &str) -> Result<Answered, Fault> {
        if let Some(answers) = self.context.renewal_of(&of.target(), self.at_present) {
            return answers(&asked).ok_or_else(|| Fault::new(Cause::NotYet, of.target(), doing));
        }
        if let Some(answer) = self.context.walk.answers().get(&asked, self.trust) {
            return Ok(answer);
        }
        let mut questions: Vec<T::Question> = of.asked(asked).into_iter().collect();
        for other in self.context.questions_ahead(self.ahead) {
            if other.target() == of.target()
                && self.context.walk.answers().get(&other, self.trust).is_none()
                && let Some(question) = of.asked(other).filter(|question| !questions.contains(question))
            {
                questions.push(question);
            }
        }
        self.trip(of, &questions, doing).await
    }

    /// One round trip, repeated if it got lost. Keeps all answers and gives the first.
    async fn trip<T: Contract>(&self, of: &T, questions: &[T::Question], doing: &str) -> Result<Answered, Fault> {
        let bound = questions.iter().map(Question::bound).max().unwrap_or_default();
        for attempt in 1.. {
            let asking = T::part(self.context.walk.run.world).ask(of, questions);
            let answers = self.context.bounded(&of.target(), doing, bound, asking).await?;
            let mut first = None;
            for (question, answer) in questions.iter().zip(answers) {
                match answer.map(T::answered) {
                    Ok(answer) => {
                        first.get_or_insert_with(|| Ok(answer.clone()));
                        if question.is_kept() {
                            self.context.walk.answers().put(of.asks(question.clone()), answer);
                        }
                    }
                    Err(fault) => {
                        first.get_or_insert(Err(fault));
                    }
                }
            }
            match first {
                Some(Err(fault)) if fault.cause == Cause::Lost && attempt < self.tries => {
                    let step = self.context.label();
                    self.context.tell(What::Retrying { step, attempt, of: self.tries, fault });
                    self.context.pause(ASK_PAUSE).await?;
                }
                Some(result) => return result,
                None => break,
            }
        }
        Err(no_answer(of.target(), doing))
    }

    /// Which guards hold.
    pub fn guards(&self) -> Guards {
        self.context.guards()
    }

    /// The name of this run.
    pub fn run(&self) -> &str {
        &self.context.walk.run.name
    }
}

fn no_answer(target: Target, doing: impl Into<String>) -> Fault {
    Fault::new(Cause::Failed, target, doing).said("no answer came back")
}

/// Acts, and waits.
#[derive(Clone, Copy)]
pub struct Act<'a> {
    context: &'a StepContext<'a>,
}

impl<'a> Act<'a> {
    pub(super) fn new(context: &'a StepContext<'a>) -> Self {
        Self { context }
    }

    /// Looks, relying on nothing known.
    pub fn look(&self) -> Look<'a> {
        Look::alone(self.context)
    }

    /// Tries an action, bounded as it says.
    ///
    /// # Errors
    /// What the world says, `Silent` at the bound, `Interrupted` before beginning when the operator asked to stop.
    pub async fn act<A: Action>(&self, on: &A::On, action: A) -> Result<(), Fault> {
        let context = self.context;
        let (target, words, bound) = (on.target(), action.to_string(), action.bound());
        let outline: ActionOutline = action.outline().into();
        context.not_interrupted(&target, &words)?;
        let step = context.label();
        context.tell(What::ActionStarted { step: step.clone(), target: target.clone(), action: outline.clone() });
        let told = |done, total, unit| context.tell(What::Progress { step: step.clone(), done, total, unit });
        let action: <A::On as Contract>::Action = action.into();
        let acting = <A::On as Contract>::part(context.walk.run.world).act(on, &action, &told);
        let result = tokio::time::timeout(bound, acting).await.unwrap_or_else(|_| {
            Err(Fault::new(Cause::Silent, target.clone(), words.clone())
                .said(format!("no end after {} s", bound.as_secs())))
        });
        context.walk.answers().forget(&target);
        let fault = result.as_ref().err().cloned();
        context.tell(What::ActionEnded { step, target, action: outline, fault });
        result
    }

    /// Asks again and again until the answer says enough.
    ///
    /// A fault that may pass counts as "not yet", and so does a host that lets nobody in: it may be on its way up or
    /// down. It is asked in quick succession at first, for what is over soon.
    ///
    /// # Errors
    /// `TimedOut` with the last fault's words at the bound; any fault that does not pass; `Interrupted`.
    pub async fn wait_until<Q: Question, T>(
        &self,
        wait: Wait<'_, Q::Of>,
        question: Q,
        enough: impl Fn(Q::Answer) -> Option<T>,
    ) -> Result<T, Fault> {
        let context = self.context;
        let began = Instant::now();
        let step = context.label();
        let bound = u64::try_from(wait.bound.as_millis()).ok();
        context.tell(What::Waiting { step: step.clone(), awaited: wait.awaited.clone(), bound });
        let result = loop {
            // A connection that is lost counts as "not yet", like a host that is down.
            let look = Look { tries: 1, ..self.look() };
            let last = match look.ask(wait.of, question.clone()).await {
                Ok(answer) => match enough(answer) {
                    Some(found) => break Ok(found),
                    None => None,
                },
                Err(fault) if fault.cause.is_passing() || fault.cause == Cause::Denied => Some(fault),
                Err(fault) => break Err(fault),
            };
            if began.elapsed() >= wait.bound {
                let mut fault = Fault::new(Cause::TimedOut, wait.of.target(), format!("wait for {}", wait.awaited))
                    .said(format!("not so after {} s", wait.bound.as_secs()));
                if let Some(last) = last {
                    fault = fault.said(last.to_string());
                }
                break Err(fault);
            }
            let pause = (began.elapsed() / 4).clamp(FIRST_PAUSE, wait.every.max(FIRST_PAUSE));
            if let Err(fault) = context.pause(pause).await {
                break Err(fault);
            }
        };
        // What was waited for changed the target, whoever did it: what was known of it before is history.
        context.walk.answers().forget(&wait.of.target());
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        context.tell(What::Waited { step, awaited: wait.awaited, freed_by: None, ms });
        result
    }

    /// Tells how far long work has come.
    pub fn progress(&self, done: u64, total: u64, unit: Unit) {
        self.context.tell(What::Progress { step: self.context.label(), done, total, unit });
    }

    /// Gives the step's span back before its end.
    pub fn release_span(&self) {
        self.context.release_span();
    }

    /// Does something while holding another span.
    ///
    /// # Errors
    /// `Interrupted`, and what is done there.
    pub async fn holding<T>(&self, span: Span, going: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        self.context.take_span(span.clone()).await?;
        let result = going.await;
        self.context.release(&span);
        result
    }

    /// Lets some time pass.
    ///
    /// # Errors
    /// `Interrupted`.
    pub async fn pause(&self, time: Duration) -> Result<(), Fault> {
        self.context.pause(time).await
    }

    /// Which guards hold.
    pub fn guards(&self) -> Guards {
        self.context.guards()
    }

    /// The name of this run.
    pub fn run(&self) -> &str {
        &self.context.walk.run.name
    }
}

/// A bounded wait.
#[derive(Clone)]
pub struct Wait<'a, T> {
    /// Who is asked.
    pub of: &'a T,
    /// For what.
    pub awaited: Awaited,
    /// For how long at most.
    pub bound: Duration,
    /// How often it is asked, once it has been waited for a while.
    pub every: Duration,
}
