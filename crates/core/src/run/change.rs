//! What a look at a resource says, before and after acting.

use serde::{Deserialize, Serialize};

use crate::ids::Label;
use crate::run::fault::Fault;

/// One field that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// Which field.
    pub field: String,
    /// What it is; `None` if it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it should be.
    pub to: String,
}

impl Change {
    /// A field that has a value and should have another.
    pub fn new(field: impl Into<String>, from: impl Into<String>, to: impl Into<String>) -> Self {
        Self { field: field.into(), from: Some(from.into()), to: to.into() }
    }

    /// A field that is not there and should be.
    pub fn add(field: impl Into<String>, to: impl Into<String>) -> Self {
        Self { field: field.into(), from: None, to: to.into() }
    }
}

/// Why something is not done, and what would let it be done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reason {
    /// Why.
    pub why: String,
    /// What the operator can do; empty if nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub next: String,
}

impl Reason {
    /// A reason with the next step.
    pub fn new(why: impl Into<String>, next: impl Into<String>) -> Self {
        Self { why: why.into(), next: next.into() }
    }
}

/// What lies between what is and what should be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Diff {
    /// Nothing.
    InSync,
    /// These fields.
    Change(Vec<Change>),
    /// Something that we do not do, or not without an approval that is missing.
    Blocked(Reason),
}

impl Diff {
    /// In sync when there is no change left.
    pub fn of(changes: Vec<Change>) -> Self {
        if changes.is_empty() { Self::InSync } else { Self::Change(changes) }
    }

    /// Whether there is something to do.
    pub fn changes(&self) -> bool {
        matches!(self, Self::Change(_))
    }
}

/// What a plan says of a step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Planned {
    /// Looked at, and this is the difference.
    Known(Diff),
    /// Held against what the machine will be once an earlier step has made it anew.
    Expected(Diff),
    /// Can only be known after an earlier step has run.
    Later {
        /// That step.
        until: Label,
    },
    /// Could not be looked at.
    Unreachable(Fault),
}

/// How a step ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing was to be done.
    InSync,
    /// Acted, looked again, and it holds.
    Changed,
    /// An earlier run had started it; this one saw it through.
    TookOver,
    /// Not tried, because of what went before.
    Skipped(Reason),
    /// Not done, because an approval is missing or it is beyond what we do.
    Blocked(Reason),
    /// Acted, looked again, and it does not hold.
    NotConverged(Diff),
    /// Went wrong.
    Failed(Fault),
}

impl Outcome {
    /// Whether what comes after may rely on it.
    pub fn holds(&self) -> bool {
        matches!(self, Self::InSync | Self::Changed | Self::TookOver)
    }
}
