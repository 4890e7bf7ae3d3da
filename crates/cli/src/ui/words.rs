//! Words that all screens share.

use bringup_core::contract::FieldConflict;
use bringup_core::ids::NodeName;
use bringup_core::run::change::{Change, Diff, Outcome, Reason};
use bringup_core::run::event::Notice;
use bringup_core::run::fault::Fault;
use bringup_core::run::hazard::{Disk, DiskFound, Hazard};
use bringup_core::text::k3s_config;

use crate::terminal::value;

/// Milliseconds as `h:mm:ss`.
pub fn clock(ms: u64) -> String {
    let seconds = (ms + 500) / 1000;
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Milliseconds as a person says them: `58 s`, `12 min 5 s`, `1 h 2 min`.
pub fn span(ms: u64) -> String {
    let seconds = (ms + 500) / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// How a step ended, in a word or two.
pub fn outcome(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::InSync => "in sync",
        Outcome::Changed => "changed",
        Outcome::TookOver => "took over",
        Outcome::Skipped(_) => "skipped",
        Outcome::Blocked(_) => "BLOCKED",
        Outcome::NotConverged(_) => "DID NOT CONVERGE",
        Outcome::Failed(_) => "FAILED",
    }
}

/// What a notice says.
pub fn notice(notice: &Notice) -> String {
    let kept = |path: &str| format!("{path} was not written by bringup and is kept");
    match notice {
        Notice::ScriptKept { path, purpose } => format!("{}; move it away to get bringup's {purpose}", kept(path)),
        Notice::CompletionKept { path, tool, shell } => {
            format!("{}; move it away to get the {shell} completion of {tool}", kept(path))
        }
        Notice::ContainerdTemplateKept { path, node } => format!(
            "{path} on {node} was not written by bringup and is kept; make nvidia the default runtime in it, but do not define \
             that runtime, because k3s does"
        ),
        Notice::WorkstationReboot { node } => {
            format!("{node} requires a reboot; as it is a workstation, its user decides when")
        }
        Notice::K3sConfigurationMissing { node } => {
            format!("{} on {node} is missing; restore it before k3s is restarted there", k3s_config::PATH)
        }
        Notice::K3sConfigurationKept { node, keys } => {
            format!("{} on {node} sets {} already; what it sets is kept", k3s_config::PATH, keys.join(", "))
        }
        Notice::FieldsKept { id, fields } => {
            format!("{id}: {}; left as is", fields.iter().map(FieldConflict::to_string).collect::<Vec<_>>().join(", "))
        }
        Notice::WithoutWorkers { nodes } => {
            let nodes: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
            format!("not Ready: {}; the cluster is set up without them", nodes.join(", "))
        }
        Notice::Words(words) => words.to_string(),
    }
}

/// What else there is to say of how a step ended, a line each.
pub fn details(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::InSync | Outcome::Changed | Outcome::TookOver => Vec::new(),
        Outcome::Skipped(reason) | Outcome::Blocked(reason) => why(reason),
        Outcome::NotConverged(diff) => match diff {
            Diff::Change(changes) => changes
                .iter()
                .flat_map(|change| {
                    let mut lines = change_lines(change, true);
                    if let Some(first) = lines.first_mut() {
                        first.insert_str(0, "still ");
                    }
                    lines
                })
                .collect(),
            Diff::Blocked(reason) => why(reason),
            Diff::InSync => Vec::new(),
        },
        Outcome::Failed(fault) => fault_lines(fault),
    }
}

/// A reason and what to do, a line each.
pub fn why(reason: &Reason) -> Vec<String> {
    let mut lines = vec![reason.why.clone()];
    if !reason.next.is_empty() {
        lines.push(format!("next: {}", reason.next));
    }
    lines
}

/// A fault for a person: what was tried, where, what came back, what it may be, what to do.
pub fn fault_lines(fault: &Fault) -> Vec<String> {
    let mut lines = vec![format!("tried to {} on {}: {}", fault.doing, fault.at, fault.cause)];
    lines.extend(fault.said.iter().map(|line| format!("  | {}", printable(line))));
    lines.extend(fault.likely.iter().map(|likely| format!("likely: {likely}")));
    lines.extend(fault.next.iter().map(|next| format!("next: {next}")));
    lines
}

/// What a target said, without its colours: a console's last lines are full of them.
fn printable(line: &str) -> String {
    console::strip_ansi_codes(line).into_owned()
}

/// How long a value in a hazard may be.
const VALUE: usize = 160;
/// How long a disk's model, its serial number and the name of what is on it may be.
const NAME: usize = 40;
/// How many of the file systems on a disk are named.
const HELD: usize = 8;
/// How long a list in a hazard may be.
const LIST: usize = 2000;

/// A hazard as it is listed and asked about: what somebody else chose in it can neither push the rest out of sight nor look
/// like another hazard.
pub fn hazard_line(hazard: &Hazard) -> String {
    let mut shown = hazard.clone();
    match &mut shown {
        Hazard::Erase { disk: Disk::At { found: Some(DiskFound { model, serial, holds }), .. }, .. } => {
            (*model, *serial) = (value(model, NAME), value(serial, NAME));
            let more = holds.len().saturating_sub(HELD);
            *holds = holds.iter().take(HELD).map(|held| value(held, NAME)).collect();
            if more > 0 {
                holds.push(format!("and {more} more"));
            }
        }
        Hazard::TrustKey { fingerprint: chosen, .. } | Hazard::Delete { object: chosen } => {
            *chosen = value(chosen, VALUE)
        }
        Hazard::LoseSealedKeys { keys: Some(keys) } => *keys = value(keys, LIST),
        Hazard::LoseSealedKeys { keys: None }
        | Hazard::Erase { .. }
        | Hazard::ClearUsbBoot { .. }
        | Hazard::CutPower { .. }
        | Hazard::Reboot { .. }
        | Hazard::UninstallK3s { .. } => {}
    }
    shown.to_string()
}

/// A field and its values. Long values are cut unless the whole is wanted; then each further line of one is marked.
pub fn change_lines(change: &Change, whole: bool) -> Vec<String> {
    let cut = |text: &str| {
        let first = text.lines().next().unwrap_or_default();
        if whole || (first.chars().count() <= 60 && text.lines().count() <= 1) {
            text.trim_end().to_owned()
        } else {
            format!("{}…", first.chars().take(60).collect::<String>())
        }
    };
    let text = match &change.from {
        Some(from) => format!("{}: {} → {}", change.field, cut(from), cut(&change.to)),
        None => format!("{}: + {}", change.field, cut(&change.to)),
    };
    let mut lines = text.split('\n');
    let first = lines.next().unwrap_or_default().to_owned();
    std::iter::once(first).chain(lines.map(|line| format!("  | {line}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_target_says_has_no_colours() {
        assert_eq!(printable("\u{1b}[31mred\u{1b}[0m\tbell"), "red\tbell");
    }

    #[test]
    fn times_are_read_easily() {
        for (ms, clocked, spoken) in [
            (0, "0:00:00", "0 s"),
            (59_600, "0:01:00", "60 s"),
            (725_000, "0:12:05", "12 min 5 s"),
            (3_720_000, "1:02:00", "1 h 2 min"),
        ] {
            assert_eq!((clock(ms).as_str(), span(ms).as_str()), (clocked, spoken));
        }
    }
}
