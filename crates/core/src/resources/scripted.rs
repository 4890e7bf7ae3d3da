//! A world for tables of resources: a script says what targets answer, and what was done is kept.
//!
//! A question that the script does not answer ends the test: nothing is taken for granted that a row does not say.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::contract::world::{BoxFuture, Progress, Speaks};
use crate::contract::{Answered, Asked, Contract, FileState, K3sRole, K3sState, KubeNodeState, Question};
use crate::engine::resource::Resource;
use crate::engine::{Expected, Lanes, Run, Stop, walk};
use crate::ids::{Label, NodeName, Sha256, StageName};
use crate::run::change::{Diff, Outcome, Planned};
use crate::run::event::{Awaited, Event, Notice, Pass, What};
use crate::run::fault::{Cause, Fault};
use crate::run::hazard::Hazard;
use crate::sabotage::Guards;
use crate::version::Version;

/// The name of the run that acts.
pub(super) const RUN: &str = "run2";

/// How long a trip takes, in virtual time: what was answered before something happened is older than it.
const TRIP: Duration = Duration::from_millis(1);

/// A question and what is answered: the answers one after the other, the last one from then on.
pub(super) type Fact = (Asked, VecDeque<Result<Answered, Cause>>);

/// `says!(target, Question { … } => answer, later answer, …)` is a [`Fact`].
macro_rules! says {
    ($of:expr, $question:expr => $($answer:expr),+ $(,)?) => {{
        let (of, question) = (&$of, $question);
        let answers = [$(Ok($crate::resources::scripted::answered(of, question.answer($answer)))),+];
        ($crate::contract::Contract::asks(of, question), std::collections::VecDeque::from(answers))
    }};
}

/// An answer among all answers.
pub(super) fn answered<T: Contract>(_: &T, answer: T::Answer) -> Answered {
    T::answered(answer)
}

/// A question that gets a fault of this cause.
pub(super) fn fails<Q: Question>(of: &Q::Of, question: Q, cause: Cause) -> Fact {
    (of.asks(question), [Err(cause)].into())
}

/// What targets answer, and what becomes of that by actions.
#[derive(Clone, Default)]
pub(super) struct Script {
    facts: BTreeMap<Asked, VecDeque<Result<Answered, Cause>>>,
    /// By the words of the action.
    effects: BTreeMap<String, Vec<Fact>>,
    refusals: BTreeMap<String, Cause>,
}

impl Script {
    /// Targets that answer so.
    pub(super) fn new(facts: impl IntoIterator<Item = Fact>) -> Self {
        Self::default().with(facts)
    }

    /// The same, but for these answers.
    #[must_use]
    pub(super) fn with(mut self, facts: impl IntoIterator<Item = Fact>) -> Self {
        self.facts.extend(facts);
        self
    }

    /// What is answered once an action of these words was done.
    #[must_use]
    pub(super) fn once(mut self, words: &str, facts: impl IntoIterator<Item = Fact>) -> Self {
        self.effects.insert(words.to_owned(), facts.into_iter().collect());
        self
    }

    /// An action of these words ends with a fault. It has no effect, unless the connection was lost over it.
    #[must_use]
    pub(super) fn refuse(mut self, words: &str, cause: Cause) -> Self {
        self.refusals.insert(words.to_owned(), cause);
        self
    }
}

/// What a plan and a run of one resource came to.
pub(super) struct Told {
    /// The plan: `in sync`, the changes, why it is blocked; then hazards and notices.
    pub(super) plan: Vec<String>,
    /// The run: spans, waits, actions, and how it ended. It is cut where something is tried again.
    pub(super) run: Vec<String>,
    done: Vec<Box<dyn Any + Send>>,
}

impl Told {
    /// What was done on targets of this kind, with what events do not tell.
    pub(super) fn done<T: Contract>(&self) -> Vec<&T::Action>
    where
        T::Action: 'static,
    {
        self.done.iter().filter_map(|action| action.downcast_ref()).collect()
    }
}

/// A row of a table: what the resource decides, and what it does if all hazards of its plan are approved.
#[track_caller]
pub(super) fn check(
    what: &str,
    resource: impl Resource + 'static,
    script: Script,
    plan: &[&str],
    run: &[&str],
) -> Told {
    let told = converge(what, resource, script);
    assert_eq!((told.plan.as_slice(), told.run.as_slice()), (owned(plan).as_slice(), owned(run).as_slice()), "{what}");
    told
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|&line| line.to_owned()).collect()
}

/// Plans a resource and brings it about, each from the beginning of the script.
pub(super) fn converge(what: &str, resource: impl Resource + 'static, script: Script) -> Told {
    let mut lanes = Lanes::default();
    let lane = lanes.add(Label::new("lane"));
    lanes.push(lane, StageName::Tools, resource);
    let (planned, hazards, _) = pass(what, &lanes, Pass::Plan, script.clone(), Vec::new());
    let (ran, _, world) = pass(what, &lanes, Pass::Apply, script, hazards);
    let mut run: Vec<String> = ran.iter().filter_map(|event| in_run(&event.what)).collect();
    if let Some(again) = run.iter().position(|line| line.starts_with("again")) {
        run.truncate(again + 1);
    }
    let done = world.scene.into_inner().unwrap_or_else(PoisonError::into_inner).done;
    Told { plan: planned.iter().flat_map(|event| in_plan(&event.what)).collect(), run, done }
}

/// What a plan says alone, where what is done is for another table.
pub(super) fn planned(what: &str, resource: impl Resource + 'static, script: Script) -> Vec<String> {
    let mut lanes = Lanes::default();
    let lane = lanes.add(Label::new("lane"));
    lanes.push(lane, StageName::Tools, resource);
    let (events, ..) = pass(what, &lanes, Pass::Plan, script, Vec::new());
    events.iter().flat_map(|event| in_plan(&event.what)).collect()
}

fn pass(
    what: &str,
    lanes: &Lanes,
    pass: Pass,
    script: Script,
    approved: Vec<Hazard>,
) -> (Vec<Event>, Vec<Hazard>, Scripted) {
    let world = Scripted { what: what.to_owned(), scene: Mutex::new(Scene { script, done: Vec::new() }) };
    let events = Mutex::new(Vec::new());
    let run = Run {
        world: &world,
        name: RUN.to_owned(),
        site: "site".to_owned(),
        pass,
        approved,
        expected: Expected::default(),
        stop: Stop::default(),
        forks: 1,
        events: &|event| events.lock().unwrap().push(event),
        guards: Guards::default(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let hazards = runtime.block_on(walk(lanes, &run)).hazards;
    (events.into_inner().unwrap(), hazards, world)
}

/// A line for each thing that a plan says.
fn in_plan(what: &What) -> Vec<String> {
    match what {
        What::Noticed { notice, .. } => vec![note(notice)],
        What::StepPlanned { planned, hazards, .. } => {
            let mut lines = match planned {
                Planned::Known(diff) | Planned::Expected(diff) => differences(diff),
                Planned::Later { until } => vec![format!("known after {until}")],
                Planned::Unreachable(fault) => vec![format!("unreachable: {fault}")],
            };
            lines.extend(hazards.iter().map(|hazard| format!("! {hazard}")));
            lines
        }
        _ => Vec::new(),
    }
}

fn differences(diff: &Diff) -> Vec<String> {
    match diff {
        Diff::InSync => vec!["in sync".to_owned()],
        Diff::Blocked(reason) => vec![format!("blocked: {}", reason.why)],
        Diff::Change(changes) => changes
            .iter()
            .map(|change| match &change.from {
                Some(from) => format!("{}: {from} → {}", change.field, change.to),
                None => format!("{}: + {}", change.field, change.to),
            })
            .collect(),
    }
}

/// A notice by its kind: its words are the screens'.
fn note(notice: &Notice) -> String {
    let kind = format!("{notice:?}");
    format!("note: {}", kind.split(' ').next().unwrap_or_default())
}

/// A line for what a run does.
fn in_run(what: &What) -> Option<String> {
    Some(match what {
        What::SpanTaken { span, .. } => format!("take {span}"),
        What::SpanReleased { span, .. } => format!("release {span}"),
        // Nobody else is there to wait for.
        What::Waiting { awaited: Awaited::Span { .. }, .. } => return None,
        What::Waiting { awaited, .. } => format!("wait for {awaited}"),
        What::ActionStarted { target, action, .. } => format!("{target}: {action}"),
        What::Retrying { fault, .. } => format!("again after: {fault}"),
        What::StepEnded { outcome, .. } => match outcome {
            Outcome::InSync => "in sync".to_owned(),
            Outcome::Changed => "changed".to_owned(),
            Outcome::TookOver => "took over".to_owned(),
            Outcome::Skipped(reason) => format!("skipped: {}", reason.why),
            Outcome::Blocked(reason) => format!("blocked: {}", reason.why),
            Outcome::NotConverged(diff) => format!("did not converge: {}", differences(diff).join("; ")),
            Outcome::Failed(fault) => format!("failed: {fault}"),
        },
        _ => return None,
    })
}

/// Answers by a script.
struct Scripted {
    what: String,
    scene: Mutex<Scene>,
}

struct Scene {
    script: Script,
    done: Vec<Box<dyn Any + Send>>,
}

impl Scripted {
    fn scene(&self) -> MutexGuard<'_, Scene> {
        self.scene.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to the question that a trip is made for, or to one that comes along with it. Nobody has to answer the latter
    /// until somebody wants to know it.
    fn answer<T: Contract>(&self, of: &T, question: &T::Question, comes_along: bool) -> Result<T::Answer, Fault> {
        let mut scene = self.scene();
        let fault = |cause| Fault::new(cause, of.target(), question.to_string());
        let Some(answers) = scene.script.facts.get_mut(&of.asks(question.clone())) else {
            drop(scene);
            assert!(comes_along, "{}: {} is asked {question:?}, which no fact answers", self.what, of.target());
            return Err(fault(Cause::Failed));
        };
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        let answer = answer.expect("a fact has an answer").map_err(fault)?;
        Ok(T::answer(answer).expect("a fact is of one target"))
    }
}

impl<T: Contract> Speaks<T> for Scripted
where
    T::Action: 'static,
{
    fn ask<'a>(&'a self, of: &'a T, questions: &'a [T::Question]) -> BoxFuture<'a, Vec<Result<T::Answer, Fault>>> {
        Box::pin(async move {
            tokio::time::sleep(TRIP).await;
            questions.iter().enumerate().map(|(place, question)| self.answer(of, question, place > 0)).collect()
        })
    }

    fn act<'a>(&'a self, on: &'a T, action: &'a T::Action, _: Progress<'a>) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            tokio::time::sleep(TRIP).await;
            let (mut scene, words) = (self.scene(), action.to_string());
            scene.done.push(Box::new(action.clone()));
            let cause = scene.script.refusals.get(&words).copied();
            if cause.is_none_or(|cause| cause == Cause::Lost) {
                let effects = scene.script.effects.get(&words).cloned().unwrap_or_default();
                scene.script.facts.extend(effects);
            }
            cause.map_or(Ok(()), |cause| Err(Fault::new(cause, on.target(), words)))
        })
    }
}

/// The node of most tables.
pub(super) fn node01() -> NodeName {
    NodeName::new("node01")
}

/// A file of this text.
pub(super) fn file(text: &str, mode: u32) -> FileState {
    FileState { sha256: Sha256::of(text), size: text.len() as u64, mode, modified: 100 }
}

/// A Node that is Ready, with nothing odd about it.
pub(super) fn kube_node() -> KubeNodeState {
    KubeNodeState {
        ready: true,
        renews: true,
        renewed: Some("once".to_owned()),
        boot_id: "now".to_owned(),
        unschedulable: false,
        in_maintenance: false,
        labels: BTreeMap::new(),
        taints: BTreeSet::new(),
    }
}

/// A k3s that an earlier run installed and that runs.
pub(super) fn k3s_state(role: K3sRole) -> K3sState {
    K3sState {
        role,
        version: Version::of_k3s(1, 34, 1, 1),
        active: true,
        started: true,
        stale: false,
        run: Some("run1".to_owned()),
        ours: true,
        has_password: true,
    }
}

#[test]
#[should_panic(expected = "which no fact answers")]
fn a_question_that_no_fact_answers_ends_the_test() {
    let resource = super::MadeDirectory { node: node01(), purpose: "data", path: "/data".to_owned() };
    converge("a directory", resource, Script::default());
}
