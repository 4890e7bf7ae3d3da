//! The live view: a row for each lane that is at work, with its stage, its step, how far that is and for how long.

use std::collections::BTreeMap;
use std::io;

use bringup_core::ids::{Label, StageName};
use bringup_core::run::event::{Event, Pass, What};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Screen;
use super::plain::lines;
use super::words::clock;
use crate::terminal;

/// Rows left for what scrolls by above.
const ROOM_ABOVE: u16 = 6;

/// A row of words, cut off at the terminal's edge.
const TEXT_ROW: &str = "{prefix:14!} {wide_msg}";
/// A row with how far its step is.
const BAR_ROW: &str = "{prefix:14!} {msg} {wide_bar} {percent:>3}%";

/// A lane at work.
struct Row {
    bar: ProgressBar,
    stage: StageName,
    step: Label,
    since: u64,
    waits_for: Option<String>,
}

/// Draws rows over each other.
pub struct Live {
    rows: MultiProgress,
    summary: ProgressBar,
    shown: BTreeMap<Label, Row>,
    lane_of: BTreeMap<Label, Label>,
    most: usize,
    steps: usize,
    ended: usize,
    acts: bool,
    verbose: u8,
}

impl Live {
    /// On the terminal.
    pub fn new(verbose: u8) -> Self {
        let (target, height) = terminal::drawn();
        Self::on(target, height, verbose)
    }

    pub(super) fn on(target: ProgressDrawTarget, height: u16, verbose: u8) -> Self {
        let rows = MultiProgress::with_draw_target(target);
        let summary = rows.add(ProgressBar::no_length());
        summary.set_style(style("{msg}"));
        Self {
            rows,
            summary,
            shown: BTreeMap::new(),
            lane_of: BTreeMap::new(),
            most: usize::from(height.saturating_sub(ROOM_ABOVE)).max(3),
            steps: 0,
            ended: 0,
            acts: false,
            verbose,
        }
    }

    fn begin(&mut self, lane: &Label, stage: StageName, step: &Label, at: u64) {
        self.lane_of.insert(step.clone(), lane.clone());
        if let Some(row) = self.shown.get_mut(lane) {
            (row.stage, row.step, row.since, row.waits_for) = (stage, step.clone(), at, None);
            row.bar.set_style(style(TEXT_ROW));
        } else if self.shown.len() < self.most {
            let bar = self.rows.insert_before(&self.summary, ProgressBar::no_length());
            bar.set_style(style(TEXT_ROW));
            terminal::set_prefix(&bar, lane);
            let row = Row { bar, stage, step: step.clone(), since: at, waits_for: None };
            self.shown.insert(lane.clone(), row);
        }
    }

    fn row_of(&mut self, step: &Label) -> Option<&mut Row> {
        let lane = self.lane_of.get(step)?;
        self.shown.get_mut(lane)
    }

    fn progress(&mut self, step: &Label, done: u64, total: u64) {
        if let Some(row) = self.row_of(step) {
            row.bar.set_style(style(BAR_ROW));
            row.waits_for = None;
            row.bar.set_length(total);
            row.bar.set_position(done);
        }
    }

    fn draw(&mut self, at: u64) {
        for row in self.shown.values() {
            let step = row.step.as_str().rsplit('/').next().unwrap_or_default();
            let elapsed = clock(at.saturating_sub(row.since));
            let words = match &row.waits_for {
                Some(awaited) => format!("{:<15} {step:<20.20} {elapsed}  waits for {awaited}", row.stage.tag()),
                None => format!("{:<15} {step:<20.20} {elapsed}", row.stage.tag()),
            };
            terminal::set_message(&row.bar, words);
        }
        let words = format!("{}  {} of {} steps", clock(at), self.ended, self.steps);
        terminal::set_message(&self.summary, words);
    }
}

/// A template of our own is well-formed; if a change made it otherwise, rows are shown bare.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Screen for Live {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match &event.what {
            What::RunStarted { lanes, pass, .. } => {
                self.acts = *pass == Pass::Apply;
                self.steps = lanes.iter().map(|lane| lane.steps).sum();
                self.ended = 0;
            }
            What::StepStarted { lane, stage, step, .. } => self.begin(lane, *stage, step, event.at),
            What::Waiting { step, awaited, .. } => {
                let awaited = awaited.to_string();
                if let Some(row) = self.row_of(step) {
                    row.waits_for = Some(awaited);
                    row.bar.set_style(style(TEXT_ROW));
                }
            }
            What::Waited { step, .. } | What::ActionStarted { step, .. } => {
                if let Some(row) = self.row_of(step) {
                    row.waits_for = None;
                }
            }
            What::Progress { step, done, total, .. } => self.progress(step, *done, *total),
            What::StepEnded { .. } => self.ended += 1,
            What::LaneEnded { lane, .. } => {
                if let Some(row) = self.shown.remove(lane) {
                    row.bar.finish_and_clear();
                    self.rows.remove(&row.bar);
                }
            }
            _ => {}
        }
        if let Some((line, below)) = lines(&event.what, self.verbose).filter(|_| self.acts) {
            terminal::print_above(&self.rows, format_args!("{} {line}", clock(event.at)))?;
            for line in below {
                terminal::print_above(&self.rows, format_args!("        {line}"))?;
            }
        }
        self.draw(event.at);
        Ok(())
    }

    fn tick(&mut self, at: u64) -> io::Result<()> {
        self.draw(at);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.summary.disable_steady_tick();
        self.summary.finish_and_clear();
        self.rows.clear()
    }
}
