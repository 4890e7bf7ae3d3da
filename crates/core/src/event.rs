//! Something that happened, as data: the only thing that a screen or a journal ever sees.

mod hiding;

use serde::Serialize;

use crate::change::{Outcome, Planned};
use crate::fault::Fault;
use crate::hazard::Hazard;
use crate::ids::{Label, StageName, Target};

/// Something that happened, and when.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Event {
    /// Milliseconds since the run began, in the world's own time.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// Whether a pass looks only, or acts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pass {
    /// Looks and changes nothing.
    Plan,
    /// Acts on differences.
    Apply,
}

/// A lane as a screen needs to know it beforehand.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct LaneOutline {
    /// The lane's name: a node's, a board's, `controller`, `cluster`.
    pub lane: Label,
    /// How many steps stand in it.
    pub steps: usize,
}

/// How many steps ended in which way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
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
    /// Not done for want of leave.
    pub blocked: usize,
    /// Acted and do not hold.
    pub not_converged: usize,
    /// Went wrong; in a plan: could not be looked at.
    pub failed: usize,
}

/// What happened.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// A pass over the site begins.
    RunStarted {
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
        #[serde(skip_serializing_if = "Vec::is_empty")]
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
        #[serde(skip_serializing_if = "Vec::is_empty")]
        hazards: Vec<Hazard>,
    },
    /// The hazards that the operator approved for this run.
    Approved {
        /// All of them.
        hazards: Vec<Hazard>,
    },
    /// An effect is about to be tried.
    DeedStarted {
        /// By which step.
        step: Label,
        /// On what.
        target: Target,
        /// In words; never a secret.
        deed: String,
    },
    /// An effect was tried.
    DeedEnded {
        /// By which step.
        step: Label,
        /// On what.
        target: Target,
        /// In words; as at its start.
        deed: String,
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
        /// Of what: `bytes`, `packages`.
        unit: &'static str,
    },
    /// A step begins to wait.
    Waiting {
        /// Which.
        step: Label,
        /// For what, in words.
        wanted: String,
        /// For how long at most, in milliseconds; none where what is waited for is bounded itself.
        #[serde(skip_serializing_if = "Option::is_none")]
        bound: Option<u64>,
    },
    /// A step has waited.
    Waited {
        /// Which.
        step: Label,
        /// For what, in words.
        wanted: String,
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
        span: Label,
    },
    /// A step gives it back.
    SpanReleased {
        /// Which step.
        step: Label,
        /// What it had.
        span: Label,
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
        text: String,
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
