//! What a run's events say about its time: how long it took, which chain of steps decided that, and how long the same
//! work would take stage by stage.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::ids::{Label, StageName, Target};
use crate::run::event::{Event, Pass, What};

/// A step of the chain that decided how long the run took.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Link {
    /// Which step.
    pub step: Label,
    /// Of which stage.
    pub stage: StageName,
    /// How long the chain stood in it, in milliseconds.
    pub ms: u64,
}

/// The report.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    /// How long the run took, in milliseconds.
    pub predicted_ms: u64,
    /// How long the same work takes stage by stage, as the playbook runs it, in milliseconds.
    pub stage_by_stage_ms: u64,
    /// The same, for each stage.
    pub stages: BTreeMap<StageName, u64>,
    /// The chain of steps that decided `predicted_ms`, from the first to the last.
    pub chain: Vec<Link>,
}

#[derive(Debug)]
struct Wait {
    ended: u64,
    ms: u64,
    freed_by: Option<Label>,
}

#[derive(Debug)]
struct Step {
    lane: Label,
    stage: StageName,
    target: Target,
    started: u64,
    ended: u64,
    before: Option<Label>,
    waits: Vec<Wait>,
}

impl Step {
    /// How long it worked: its waits for other steps are not its work.
    fn work(&self) -> u64 {
        let waited: u64 = self.waits.iter().map(|wait| wait.ms).sum();
        (self.ended - self.started).saturating_sub(waited)
    }
}

impl Report {
    /// Reads the last pass that acted out of a run's events; `None` where none did.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Option<Self> {
        let (steps, took) = read(events)?;
        let stages = stage_by_stage(&steps);
        Some(Self { predicted_ms: took, stage_by_stage_ms: stages.values().sum(), stages, chain: chain(&steps) })
    }
}

/// The steps of the last pass that acted, and how long it took.
fn read<'a>(events: impl IntoIterator<Item = &'a Event>) -> Option<(BTreeMap<Label, Step>, u64)> {
    let mut steps: BTreeMap<Label, Step> = BTreeMap::new();
    let mut last_of_lane: BTreeMap<Label, Label> = BTreeMap::new();
    let (mut acts, mut took) = (false, None);
    for event in events {
        match &event.what {
            What::RunStarted { pass, .. } => {
                acts = *pass == Pass::Apply;
                if acts {
                    steps.clear();
                    last_of_lane.clear();
                    took = None;
                }
            }
            _ if !acts => {}
            What::StepStarted { lane, stage, step, target, .. } => {
                let before = last_of_lane.insert(lane.clone(), step.clone());
                let (lane, target, at) = (lane.clone(), target.clone(), event.at);
                let entry = Step { lane, stage: *stage, target, started: at, ended: at, before, waits: Vec::new() };
                steps.insert(step.clone(), entry);
            }
            // Only what others held up counts; what a step waits for of its own making is its work.
            What::Waited { step, freed_by: Some(freed_by), ms, .. } => {
                if let Some(step) = steps.get_mut(step) {
                    step.waits.push(Wait { ended: event.at, ms: *ms, freed_by: Some(freed_by.clone()) });
                }
            }
            What::StepEnded { step, .. } => {
                if let Some(step) = steps.get_mut(step) {
                    step.ended = event.at;
                }
            }
            What::RunEnded { ms, .. } => took = Some(*ms),
            _ => {}
        }
    }
    Some((steps, took?))
}

/// From the step that ended last back to the beginning: through the wait that held a step up last, or the step before
/// it in its lane.
fn chain(steps: &BTreeMap<Label, Step>) -> Vec<Link> {
    let last = steps.iter().max_by(|(label, step), (other_label, other)| {
        step.ended.cmp(&other.ended).then_with(|| label.cmp(other_label))
    });
    let mut links: Vec<Link> = Vec::new();
    let mut at = last.map(|(label, step)| (label.clone(), step.ended));
    // Time only goes backwards, and every turn goes to another step: as many turns as there are steps are enough.
    for _ in 0..=steps.len() {
        let Some((label, until)) = at.take() else { break };
        let Some(step) = steps.get(&label) else { break };
        let held_up = step.waits.iter().rev().find(|wait| wait.ended <= until && wait.ms > 0);
        let (from, next) = match held_up {
            Some(wait) => (wait.ended, wait.freed_by.clone()),
            None => (step.started, step.before.clone()),
        };
        let ms = until.saturating_sub(from);
        if ms > 0 {
            links.push(Link { step: label, stage: step.stage, ms });
        }
        at = next.map(|label| (label, from));
    }
    links.reverse();
    links
}

/// The same work as the playbook runs it: one stage after the other, each as long as its slowest host, after what its
/// hosts wait for; a board flashes and boots one slot after the other; known_hosts goes host by host,
/// and the tools one after the other.
fn stage_by_stage(steps: &BTreeMap<Label, Step>) -> BTreeMap<StageName, u64> {
    let awaited = |stage: StageName| {
        let waits = steps.values().filter(move |step| step.stage == stage).flat_map(|step| &step.waits);
        waits.filter_map(|wait| wait.freed_by.as_ref()).collect::<BTreeSet<_>>()
    };
    let mut first: BTreeMap<StageName, u64> = BTreeMap::new();
    let mut by_host: BTreeMap<StageName, BTreeMap<String, u64>> = BTreeMap::new();
    let awaited: BTreeMap<StageName, BTreeSet<&Label>> =
        StageName::ALL.into_iter().map(|stage| (stage, awaited(stage))).collect();
    for (label, step) in steps {
        let work = step.work();
        if step.stage == StageName::Flash {
            *by_host.entry(step.stage).or_default().entry(step.target.to_string()).or_default() += work;
        } else if awaited.get(&step.stage).is_some_and(|awaited| awaited.contains(label)) {
            *first.entry(step.stage).or_default() += work;
        } else {
            *by_host.entry(step.stage).or_default().entry(step.lane.to_string()).or_default() += work;
        }
    }
    let mut stages = first;
    for (stage, hosts) in by_host {
        *stages.entry(stage).or_default() += match stage {
            // One host after the other, and one tool after the other.
            StageName::KnownHosts | StageName::Tools => hosts.values().sum(),
            _ => hosts.values().copied().max().unwrap_or(0),
        };
    }
    stages
}
