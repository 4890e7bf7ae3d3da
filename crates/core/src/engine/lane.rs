//! Lanes: which steps stand in which order, and what they wait for.

use crate::ids::{Label, StageName};
use crate::resource::{Resource, Step};

/// What a step waits for before it looks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Need {
    /// A step that must hold.
    Held(Label),
    /// A lane that must have ended, whichever way.
    Ended(Label),
}

impl Need {
    /// The step or lane that is waited for.
    pub fn label(&self) -> &Label {
        match self {
            Self::Held(label) | Self::Ended(label) => label,
        }
    }
}

/// A step in its lane.
#[derive(Debug)]
pub struct Placed {
    pub(crate) stage: StageName,
    pub(crate) step: Box<dyn Step>,
    pub(crate) needs: Vec<Need>,
    pub(crate) yields_to: Vec<Label>,
    pub(crate) unsettled_by: Vec<Label>,
}

impl Placed {
    /// Waits, before looking, until another step or lane is as it must be. What is not part of the run is not waited
    /// for: the look itself then tells.
    pub fn needing(&mut self, needs: impl IntoIterator<Item = Need>) -> &mut Self {
        self.needs.extend(needs);
        self
    }

    /// Waits, before taking its span, until these steps have ended, whichever way.
    pub fn yielding_to(&mut self, steps: impl IntoIterator<Item = Label>) -> &mut Self {
        self.yields_to.extend(steps);
        self
    }

    /// In a plan, can only be known once these steps have run, if they are to change anything.
    pub fn unsettled_by(&mut self, steps: impl IntoIterator<Item = Label>) -> &mut Self {
        self.unsettled_by.extend(steps);
        self
    }
}

/// Steps that run one after the other.
#[derive(Debug)]
pub struct Lane {
    pub(crate) label: Label,
    pub(crate) steps: Vec<Placed>,
}

impl Lane {
    /// An empty lane.
    pub fn new(label: Label) -> Self {
        Self { label, steps: Vec::new() }
    }

    /// Its name.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// How many steps stand in it.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether no step stands in it.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Puts a step at the end.
    pub fn push(&mut self, stage: StageName, resource: impl Resource + 'static) -> &mut Placed {
        let at = self.steps.len();
        self.steps.push(Placed {
            stage,
            step: Box::new(resource),
            needs: Vec::new(),
            yields_to: Vec::new(),
            unsettled_by: Vec::new(),
        });
        &mut self.steps[at]
    }
}
