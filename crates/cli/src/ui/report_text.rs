//! What a rehearsal says of the real thing.

use bringup_core::run::report::Report;

use super::words::span;
use crate::terminal::Lines;

/// Links shorter than this are told together.
const SHORT: u64 = 10_000;

/// The report for a person.
pub fn report_text(report: &Report) -> Lines {
    let mut text = Lines::default();
    let saved = report.stage_by_stage_ms.saturating_sub(report.predicted_ms);
    let percent = (saved * 100).checked_div(report.stage_by_stage_ms).unwrap_or(0);
    text.push(format_args!("The real thing would take about {}.", span(report.predicted_ms)));
    text.push(format_args!(
        "Stage by stage, as the playbook runs, it would take {} ({percent} % are saved):",
        span(report.stage_by_stage_ms)
    ));
    for (stage, ms) in report.stages.iter().filter(|(_, ms)| **ms > 0) {
        text.push(format_args!("  {stage:<16} {:>14}", span(*ms)));
    }
    text.push(format_args!("What decides the time is this chain of steps:"));
    let mut short = 0;
    for link in &report.chain {
        if link.ms < SHORT {
            short += link.ms;
        } else {
            text.push(format_args!("  {:<44} {:>14}", link.step.as_str(), span(link.ms)));
        }
    }
    if short > 0 {
        text.push(format_args!("  {:<44} {:>14}", "short steps in between", span(short)));
    }
    text
}
