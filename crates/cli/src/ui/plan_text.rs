//! A plan for a person: hazards first, then what differs, lane by lane, field by field.

use std::collections::{BTreeMap, BTreeSet};

use bringup_core::ids::Label;
use bringup_core::run::change::{Diff, Planned};
use bringup_core::run::event::{Event, Pass, Tally, What};
use bringup_core::run::hazard::Hazard;

use super::words::{change_lines, fault_lines, hazard_line, notice, why};
use crate::terminal::Lines;

/// Gathers a plan's events.
#[derive(Default)]
pub struct PlanText {
    lanes: Vec<Label>,
    steps: BTreeMap<Label, Vec<(Label, Planned)>>,
    hazards: BTreeMap<Label, Vec<Hazard>>,
    notes: Vec<String>,
    tally: Tally,
}

/// Beyond this many lanes the plan shows how many are alike instead of all of them.
const SHOWN: usize = 60;

impl PlanText {
    /// Takes an event in.
    pub fn event(&mut self, event: &Event) {
        match &event.what {
            What::RunStarted { pass: Pass::Plan, lanes, .. } => {
                self.lanes = lanes.iter().map(|lane| lane.lane.clone()).collect();
            }
            What::StepPlanned { lane, step, planned, hazards, .. } => {
                self.hazards.entry(lane.clone()).or_default().extend(hazards.iter().cloned());
                self.steps.entry(lane.clone()).or_default().push((step.clone(), planned.clone()));
            }
            What::Noticed { step, notice: noticed } => self.notes.push(format!("{step}: {}", notice(noticed))),
            What::RunEnded { tally, .. } => self.tally = *tally,
            _ => {}
        }
    }

    /// The plan. `verbose` shows what is in sync too, `whole` whole values.
    pub fn text(&self, notices: &[String], verbose: u8, whole: bool) -> Lines {
        let mut lanes = Lines::default();
        let mut shown = 0;
        for lane in &self.lanes {
            let lines = self.lane_lines(lane, verbose, whole);
            if lines.is_empty() {
                continue;
            }
            shown += 1;
            if shown <= SHOWN || verbose > 0 {
                lanes.push(lane);
                lanes.append(lines);
            }
        }
        if shown > SHOWN && verbose == 0 {
            lanes.push(format_args!("… and {} more lanes with differences; -v shows them all", shown - SHOWN));
        }
        let mut text = self.hazard_lines();
        // How something would be done is nothing to be told of where nothing is done.
        let notices = if shown > 0 { notices } else { &[] };
        for note in notices.iter().chain(&self.notes) {
            text.push(format_args!("note: {note}"));
        }
        text.append(lanes);
        let tally = self.tally;
        if shown == 0 && tally.in_sync > 0 {
            text.push(format_args!("Nothing to change: all {} steps are in sync.", tally.in_sync));
            return text;
        }
        if !text.is_empty() {
            text.push("");
        }
        text.push(format_args!(
            "Plan: {} to change, {} known later, {} in sync, {} blocked, {} unreachable, {} behind those.",
            tally.changed, tally.later, tally.in_sync, tally.blocked, tally.failed, tally.skipped
        ));
        text.push("");
        text
    }

    /// All of them, however many: what is approved is what was shown.
    fn hazard_lines(&self) -> Lines {
        let hazards = self.lanes.iter().filter_map(|lane| self.hazards.get(lane)).flatten();
        let mut listed = BTreeSet::new();
        let mut lines = Lines::default();
        // Told apart as what they are: two that are cut to the same line are two lines.
        for hazard in hazards.filter(|hazard| listed.insert(*hazard)) {
            if lines.is_empty() {
                lines.push("This may hurt:");
            }
            lines.push(format_args!("  ! {}", hazard_line(hazard)));
        }
        if !lines.is_empty() {
            lines.push("");
        }
        lines
    }

    fn lane_lines(&self, lane: &Label, verbose: u8, whole: bool) -> Lines {
        let mut lines = Lines::default();
        for (step, planned) in self.steps.get(lane).into_iter().flatten() {
            let name = step.as_str().rsplit('/').next().unwrap_or_default();
            let (diff, expected) = match planned {
                Planned::Known(diff) => (diff, ""),
                Planned::Expected(diff) => (diff, " (expected)"),
                Planned::Later { until } => {
                    lines.push(format_args!("  ? {name}: known after {until}"));
                    continue;
                }
                Planned::Unreachable(fault) => {
                    lines.push(format_args!("  x {name}: could not be looked at"));
                    for line in fault_lines(fault) {
                        lines.push(format_args!("      {line}"));
                    }
                    continue;
                }
            };
            match diff {
                Diff::InSync if verbose > 0 => {
                    lines.push(format_args!("  = {name}{expected}"));
                }
                Diff::InSync => {}
                Diff::Change(changes) => {
                    lines.push(format_args!("  ~ {name}{expected}"));
                    for change in changes {
                        for line in change_lines(change, whole) {
                            lines.push(format_args!("      {line}"));
                        }
                    }
                }
                Diff::Blocked(reason) => {
                    lines.push(format_args!("  ! {name}: blocked{expected}"));
                    for line in why(reason) {
                        lines.push(format_args!("      {line}"));
                    }
                }
            }
        }
        lines
    }
}
