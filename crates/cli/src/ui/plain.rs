//! Lines for where nothing can be drawn over: one for each thing that a person would want to find again.

use std::io::{self, Write};

use bringup_core::run::change::Outcome;
use bringup_core::run::event::{Event, Pass, What};

use super::Screen;
use super::words::{clock, details, notice, outcome, span};
use crate::terminal::People;

/// Waits shorter than this are not worth a line.
const WORTH_TELLING: u64 = 60_000;

/// Writes lines.
pub struct Plain<W> {
    out: People<W>,
    verbose: u8,
}

impl<W: Write> Plain<W> {
    /// To here.
    pub fn new(out: People<W>, verbose: u8) -> Self {
        Self { out, verbose }
    }
}

/// The line for an event, if it deserves one, and what else there is to say below it.
pub(super) fn lines(what: &What, verbose: u8) -> Option<(String, Vec<String>)> {
    let plain = |text: String| Some((text, Vec::new()));
    match what {
        What::RunStarted { site, pass: Pass::Apply, lanes, .. } => plain(format!(
            "{site}: {} lanes, {} steps",
            lanes.len(),
            lanes.iter().map(|lane| lane.steps).sum::<usize>()
        )),
        What::StepEnded { step, stage, outcome: ended, ms, .. } => {
            let quiet = match ended {
                Outcome::InSync => verbose == 0,
                Outcome::Skipped(_) => verbose == 0,
                _ => false,
            };
            let time = if *ms >= 1000 { format!(" ({})", span(*ms)) } else { String::new() };
            (!quiet).then(|| (format!("{step} [{stage}] {}{time}", outcome(ended)), details(ended)))
        }
        What::ActionStarted { step, target, action } if verbose > 0 => plain(format!("{step}: {action} on {target}")),
        What::Retrying { step, attempt, of, fault } => plain(format!("{step}: {fault}; again ({attempt} of {of})")),
        What::Waited { step, awaited, ms, freed_by: Some(_), .. } if *ms >= WORTH_TELLING || verbose > 1 => {
            plain(format!("{step} waited {} for {awaited}", span(*ms)))
        }
        What::Waiting { step, awaited, bound: Some(bound) } if verbose > 0 => {
            plain(format!("{step} waits for {awaited}, at most {}", span(*bound)))
        }
        What::Noticed { step, notice: noticed } => plain(format!("{step}: note: {}", notice(noticed))),
        What::Interrupted => {
            plain("stopping: what has begun is brought to a safe point; again to leave at once".to_owned())
        }
        What::RunEnded { tally, ms } => plain(format!(
            "{} in sync, {} changed, {} skipped, {} blocked, {} failed{} in {}",
            tally.in_sync,
            tally.changed,
            tally.skipped,
            tally.blocked,
            tally.failed + tally.not_converged,
            if tally.took_over > 0 { format!(" ({} taken over)", tally.took_over) } else { String::new() },
            span(*ms)
        )),
        _ => None,
    }
}

impl<W: Write + Send> Screen for Plain<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        let Some((line, below)) = lines(&event.what, self.verbose) else { return Ok(()) };
        self.out.line(format_args!("{} {line}", clock(event.at)))?;
        for line in below {
            self.out.line(format_args!("        {line}"))?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
