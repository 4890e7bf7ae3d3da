//! Something that happened, as data: the only thing that a screen or a journal ever sees.

mod awaited;
mod format0;
mod hiding;
mod log;
mod notice;

use serde::{Deserialize, Deserializer, Serialize};

pub use self::awaited::Awaited;
pub use self::log::{Log, Record, Unreadable};
pub use self::notice::Notice;
use crate::contract::ActionOutline;
use crate::contract::world::Unit;
use crate::ids::{Label, Span, StageName, Target};
use crate::run::change::{Outcome, Planned};
use crate::run::fault::Fault;
use crate::run::hazard::Hazard;

/// The format that events are written in. It is raised where an earlier build would misread them; what is new alone, a field or
/// a kind, does not raise it. Format 0 is that of the logs that name none.
pub const FORMAT: u32 = 1;

/// Something that happened, and when.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since the run began, in the world's own time.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// Whether a pass looks only, or acts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pass {
    /// Looks and changes nothing.
    Plan,
    /// Acts on differences.
    Apply,
}

/// A lane as a screen needs to know it beforehand.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LaneOutline {
    /// The lane's name: a node's, a board's, `tools/helm`, `cluster`.
    pub lane: Label,
    /// How many steps stand in it.
    pub steps: usize,
}

/// How many steps ended in which way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Nothing was to be done.
    pub in_sync: usize,
    /// Acted and hold; in a plan: would change.
    pub changed: usize,
    /// Of the changed ones, those that an earlier run had started.
    pub took_over: usize,
    /// In a plan: known only later.
    pub later: usize,
    /// Not tried.
    pub skipped: usize,
    /// Not done for want of approval.
    pub blocked: usize,
    /// Acted and do not hold.
    pub not_converged: usize,
    /// Went wrong; in a plan: could not be looked at.
    pub failed: usize,
}

/// What happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// A pass over the site begins.
    RunStarted {
        /// The format of the events that follow: [`FORMAT`].
        #[serde(default)]
        format: u32,
        /// Names the run; in the journal's file name too.
        run: String,
        /// The site's name.
        site: String,
        /// Looking or acting.
        pass: Pass,
        /// The lanes, in the order in which they are shown.
        lanes: Vec<LaneOutline>,
    },
    /// A step of a lane begins.
    StepStarted {
        /// In which lane.
        lane: Label,
        /// Of which stage.
        stage: StageName,
        /// Which step.
        step: Label,
        /// On what it acts.
        target: Target,
        /// The steps and lanes of this run that it needs to have ended before it looks.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        needs: Vec<Label>,
    },
    /// What a plan says of a step.
    StepPlanned {
        /// In which lane.
        lane: Label,
        /// Of which stage.
        stage: StageName,
        /// Which step.
        step: Label,
        /// On what it would act.
        target: Target,
        /// What it says.
        planned: Planned,
        /// What it may hurt.
        #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "known_hazards")]
        hazards: Vec<Hazard>,
    },
    /// The hazards that the operator approved for this run.
    Approved {
        /// All of them.
        #[serde(deserialize_with = "known_hazards")]
        hazards: Vec<Hazard>,
    },
    /// An action is about to be tried.
    ActionStarted {
        /// By which step.
        step: Label,
        /// On what.
        target: Target,
        /// Which.
        action: ActionOutline,
    },
    /// An action was tried.
    ActionEnded {
        /// By which step.
        step: Label,
        /// On what.
        target: Target,
        /// Which.
        action: ActionOutline,
        /// What went wrong, if anything.
        #[serde(skip_serializing_if = "Option::is_none")]
        fault: Option<Fault>,
    },
    /// How far long work has come.
    Progress {
        /// Of which step.
        step: Label,
        /// How much is done.
        done: u64,
        /// Of how much.
        total: u64,
        /// Of what.
        unit: Unit,
    },
    /// A step begins to wait.
    Waiting {
        /// Which.
        step: Label,
        /// For what.
        awaited: Awaited,
        /// For how long at most, in milliseconds; none where what is waited for is bounded itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        bound: Option<u64>,
    },
    /// A step has waited.
    Waited {
        /// Which.
        step: Label,
        /// For what.
        awaited: Awaited,
        /// The step whose end let this one go on, if it was one.
        #[serde(skip_serializing_if = "Option::is_none")]
        freed_by: Option<Label>,
        /// For how long, in milliseconds.
        ms: u64,
    },
    /// Something passing went wrong and is tried again.
    Retrying {
        /// By which step.
        step: Label,
        /// How many tries there were.
        attempt: u32,
        /// How many there are at most.
        of: u32,
        /// What went wrong.
        fault: Fault,
    },
    /// A step has something to itself.
    SpanTaken {
        /// Which step.
        step: Label,
        /// What it has.
        span: Span,
    },
    /// A step gives it back.
    SpanReleased {
        /// Which step.
        step: Label,
        /// What it had.
        span: Span,
    },
    /// A step of a lane ended.
    StepEnded {
        /// In which lane.
        lane: Label,
        /// Of which stage.
        stage: StageName,
        /// Which step.
        step: Label,
        /// On what it acted.
        target: Target,
        /// How.
        outcome: Outcome,
        /// From its start, waits included, in milliseconds.
        ms: u64,
    },
    /// A lane has no step left that could run.
    LaneEnded {
        /// Which.
        lane: Label,
        /// Whether all its steps hold.
        holds: bool,
    },
    /// Something that the operator should know.
    Noticed {
        /// By which step.
        step: Label,
        /// What.
        notice: Notice,
    },
    /// The operator asked to stop: nothing new is begun.
    Interrupted,
    /// The pass is over.
    RunEnded {
        /// How many steps ended in which way.
        tally: Tally,
        /// How long it took, in milliseconds.
        ms: u64,
    },
}

/// A log of a later build may name hazards that this one does not know. What a step is about is told without them.
fn known_hazards<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Hazard>, D::Error> {
    let all = Vec::<serde_json::Value>::deserialize(deserializer)?;
    Ok(all.into_iter().filter_map(|hazard| serde_json::from_value(hazard).ok()).collect())
}
