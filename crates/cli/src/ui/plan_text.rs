//! A plan for a person: hazards first, then what differs, lane by lane, field by field.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use bringup_core::change::{Diff, Planned};
use bringup_core::event::{Event, Pass, Tally, What};
use bringup_core::hazard::Hazard;
use bringup_core::names::Label;

use super::words::{change_line, fault_lines, why};

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
            What::Noticed { step, text } => self.notes.push(format!("{step}: {text}")),
            What::RunEnded { tally, .. } => self.tally = *tally,
            _ => {}
        }
    }

    /// The plan. `verbose` shows what is in sync too, `whole` whole values.
    pub fn text(&self, notices: &[String], verbose: u8, whole: bool) -> String {
        let mut lanes = String::new();
        let mut shown = 0;
        for lane in &self.lanes {
            let lines = self.lane_lines(lane, verbose, whole);
            if lines.is_empty() {
                continue;
            }
            shown += 1;
            if shown <= SHOWN || verbose > 0 {
                let _ = write!(lanes, "{lane}\n{lines}");
            }
        }
        if shown > SHOWN && verbose == 0 {
            let _ = writeln!(lanes, "… and {} more lanes with differences; -v shows them all", shown - SHOWN);
        }
        let mut text = String::new();
        self.write_hazards(&mut text);
        // How something would be done is nothing to be told of where nothing is done.
        let notices = if shown > 0 { notices } else { &[] };
        for note in notices.iter().chain(&self.notes) {
            let _ = writeln!(text, "note: {note}");
        }
        text.push_str(&lanes);
        let tally = self.tally;
        if shown == 0 && tally.in_sync > 0 {
            let _ = write!(text, "Nothing to change: all {} steps are in sync.", tally.in_sync);
            return text;
        }
        let _ = writeln!(
            text,
            "{}Plan: {} to change, {} known later, {} in sync, {} blocked, {} unreachable, {} behind those.",
            if text.is_empty() { "" } else { "\n" },
            tally.changed,
            tally.later,
            tally.in_sync,
            tally.blocked,
            tally.failed,
            tally.skipped
        );
        text
    }

    fn write_hazards(&self, text: &mut String) {
        let mut said = BTreeSet::new();
        for hazard in self.lanes.iter().filter_map(|lane| self.hazards.get(lane)).flatten() {
            let line = hazard.to_string();
            if said.is_empty() {
                let _ = writeln!(text, "This may hurt:");
            }
            // All of them, however many: what is approved is what was shown.
            if !said.contains(&line) {
                let _ = writeln!(text, "  ! {line}");
                said.insert(line);
            }
        }
        if !said.is_empty() {
            text.push('\n');
        }
    }

    fn lane_lines(&self, lane: &Label, verbose: u8, whole: bool) -> String {
        let mut lines = String::new();
        for (step, planned) in self.steps.get(lane).into_iter().flatten() {
            let name = step.as_str().rsplit('/').next().unwrap_or_default();
            let (diff, expected) = match planned {
                Planned::Known(diff) => (diff, ""),
                Planned::Expected(diff) => (diff, " (expected)"),
                Planned::Later { until } => {
                    let _ = writeln!(lines, "  ? {name}: known after {until}");
                    continue;
                }
                Planned::Unreachable(fault) => {
                    let _ = writeln!(lines, "  x {name}: could not be looked at");
                    for line in fault_lines(fault) {
                        let _ = writeln!(lines, "      {line}");
                    }
                    continue;
                }
            };
            match diff {
                Diff::InSync if verbose > 0 => {
                    let _ = writeln!(lines, "  = {name}{expected}");
                }
                Diff::InSync => {}
                Diff::Change(changes) => {
                    let _ = writeln!(lines, "  ~ {name}{expected}");
                    for change in changes {
                        let _ = writeln!(lines, "      {}", change_line(change, whole));
                    }
                }
                Diff::Blocked(reason) => {
                    let _ = writeln!(lines, "  ! {name}: blocked{expected}");
                    for line in why(reason) {
                        let _ = writeln!(lines, "      {line}");
                    }
                }
            }
        }
        lines
    }
}
