//! Lanes: which steps stand in which order, and what they wait for.

use crate::engine::resource::{Resource, Step};
use crate::ids::{Label, StageName};

/// A step of these lanes. Only placing a step makes one, so an edge to nothing cannot be written; where the other end may be out
/// of scope, the edge is an `Option`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct StepId(usize);

/// A lane of these lanes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LaneId(usize);

/// What a step waits for before it looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// A step that must hold.
    Held(StepId),
    /// A lane that must have ended, whichever way.
    Ended(LaneId),
}

/// A step in its lane.
#[derive(Debug)]
pub struct Placed {
    id: StepId,
    pub(crate) lane: LaneId,
    pub(crate) stage: StageName,
    pub(crate) step: Box<dyn Step>,
    pub(crate) needs: Vec<Need>,
    pub(crate) after: Vec<StepId>,
    pub(crate) known_after: Vec<StepId>,
}

impl Placed {
    /// What others name it by.
    pub fn id(&self) -> StepId {
        self.id
    }

    /// Waits, before looking, until another step or lane is as it must be.
    pub fn needing(&mut self, needs: impl IntoIterator<Item = Need>) -> &mut Self {
        self.needs.extend(needs);
        self
    }

    /// Waits, before taking its span, until these steps have ended, whichever way.
    pub fn after(&mut self, steps: impl IntoIterator<Item = StepId>) -> &mut Self {
        self.after.extend(steps);
        self
    }

    /// In a plan, can only be known once these steps have run, if they are to change anything.
    pub fn known_after(&mut self, steps: impl IntoIterator<Item = StepId>) -> &mut Self {
        self.known_after.extend(steps);
        self
    }
}

/// Steps that run one after the other.
#[derive(Debug)]
struct Lane {
    name: Label,
    steps: Vec<StepId>,
}

/// All lanes of a run, with their steps.
#[derive(Default, Debug)]
pub struct Lanes {
    lanes: Vec<Lane>,
    steps: Vec<Placed>,
    /// As they are shown.
    order: Vec<LaneId>,
}

impl Lanes {
    /// Adds an empty lane, after all others.
    pub fn add(&mut self, name: Label) -> LaneId {
        let id = LaneId(self.lanes.len());
        self.lanes.push(Lane { name, steps: Vec::new() });
        self.order.push(id);
        id
    }

    /// Puts a step at the end of a lane.
    pub fn push(&mut self, lane: LaneId, stage: StageName, resource: impl Resource + 'static) -> &mut Placed {
        let id = StepId(self.steps.len());
        self.lanes[lane.0].steps.push(id);
        self.steps.push(Placed {
            id,
            lane,
            stage,
            step: Box::new(resource),
            needs: Vec::new(),
            after: Vec::new(),
            known_after: Vec::new(),
        });
        &mut self.steps[id.0]
    }

    /// A step that was placed before, to add to what it waits for.
    pub fn placed(&mut self, step: StepId) -> &mut Placed {
        &mut self.steps[step.0]
    }

    /// Sorts the lanes as they are to be shown; those of one rank keep their order.
    pub fn sort_by_rank<K: Ord>(&mut self, rank: impl Fn(LaneId) -> K) {
        self.order.sort_by_key(|lane| rank(*lane));
    }

    /// The lanes that hold a step, in the order in which they are shown.
    pub(crate) fn order(&self) -> impl Iterator<Item = LaneId> + '_ {
        self.order.iter().copied().filter(|lane| !self.steps_of(*lane).is_empty())
    }

    /// The lanes that no step stands in.
    pub(crate) fn empty(&self) -> impl Iterator<Item = LaneId> + '_ {
        self.order.iter().copied().filter(|lane| self.steps_of(*lane).is_empty())
    }

    /// Every step, in the order in which they were placed.
    pub(crate) fn all(&self) -> &[Placed] {
        &self.steps
    }

    pub(crate) fn get(&self, step: StepId) -> &Placed {
        &self.steps[step.0]
    }

    /// A lane's name.
    pub(crate) fn name(&self, lane: LaneId) -> &Label {
        &self.lanes[lane.0].name
    }

    /// A lane's steps, in their order.
    pub(crate) fn steps_of(&self, lane: LaneId) -> &[StepId] {
        &self.lanes[lane.0].steps
    }

    /// A step and those that follow it in its lane.
    pub(crate) fn from(&self, step: StepId) -> impl Iterator<Item = &Placed> + '_ {
        let steps = self.steps_of(self.get(step).lane).iter();
        steps.skip_while(move |other| **other != step).map(|id| self.get(*id))
    }

    /// The name of a step or lane that is waited for.
    pub(crate) fn name_of(&self, need: Need) -> Label {
        match need {
            Need::Held(step) => self.get(step).step.label(),
            Need::Ended(lane) => self.name(lane).clone(),
        }
    }
}

/// A value for each step.
#[derive(Clone, Debug)]
pub(crate) struct ByStep<T>(Vec<T>);

impl<T: Default> ByStep<T> {
    pub fn of(lanes: &Lanes) -> Self {
        Self(lanes.steps.iter().map(|_| T::default()).collect())
    }
}

impl<T> ByStep<T> {
    /// A step's value; `None`: these lanes have no such step.
    pub fn get(&self, step: StepId) -> Option<&T> {
        self.0.get(step.0)
    }

    /// All values, in the order of the lanes.
    pub fn in_order<'a>(&'a self, lanes: &'a Lanes) -> impl Iterator<Item = &'a T> {
        lanes.order().flat_map(|lane| lanes.steps_of(lane)).map(|step| &self[*step])
    }
}

impl<T> std::ops::Index<StepId> for ByStep<T> {
    type Output = T;

    fn index(&self, step: StepId) -> &T {
        &self.0[step.0]
    }
}

impl<T> std::ops::IndexMut<StepId> for ByStep<T> {
    fn index_mut(&mut self, step: StepId) -> &mut T {
        &mut self.0[step.0]
    }
}

/// A value for each lane.
#[derive(Clone, Debug)]
pub(crate) struct ByLane<T>(Vec<T>);

impl<T: Default> ByLane<T> {
    pub fn of(lanes: &Lanes) -> Self {
        Self(lanes.lanes.iter().map(|_| T::default()).collect())
    }
}

impl<T> std::ops::Index<LaneId> for ByLane<T> {
    type Output = T;

    fn index(&self, lane: LaneId) -> &T {
        &self.0[lane.0]
    }
}

impl<T> std::ops::IndexMut<LaneId> for ByLane<T> {
    fn index_mut(&mut self, lane: LaneId) -> &mut T {
        &mut self.0[lane.0]
    }
}
