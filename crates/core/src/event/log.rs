//! A log of events that is read back: what `--json` printed, or a journal.

use serde_json::{Map, Value};

use super::format0::Boards;
use super::{Event, FORMAT};

/// Reads a log line by line. The format of an event is that of the pass that it belongs to.
#[derive(Default, Debug)]
pub struct Log {
    format: u32,
    boards: Boards,
}

/// A line of a log: all that it says, and the event that this build reads in it.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    /// Its fields as they were written, those included that this build does not know.
    pub fields: Map<String, Value>,
    /// The event. `None`: it is of a kind that this build does not know.
    pub event: Option<Event>,
}

/// Why a line was not read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is not an event: the log was cut off here, or is none.
    #[error("not an event: {0}")]
    NotAnEvent(#[from] serde_json::Error),
    /// It was written in a later format.
    #[error("format {0} was written by a later version of bringup")]
    Newer(u32),
}

impl Log {
    /// Reads the next line.
    ///
    /// # Errors
    /// [`Unreadable::NotAnEvent`] for what is no JSON object; [`Unreadable::Newer`] for this and all further lines of a pass in
    /// a format that is later than [`FORMAT`].
    pub fn read(&mut self, line: &[u8]) -> Result<Record, Unreadable> {
        let fields: Map<String, Value> = serde_json::from_slice(line)?;
        if fields.get("event").is_some_and(|event| event == "run_started") {
            let format = fields.get("format").map_or(Some(0), Value::as_u64);
            self.format = format.and_then(|format| u32::try_from(format).ok()).unwrap_or(u32::MAX);
        }
        if self.format > FORMAT {
            return Err(Unreadable::Newer(self.format));
        }
        let mut upgraded = fields.clone();
        if self.format == 0 {
            self.boards.upgrade(&mut upgraded);
        }
        Ok(Record { fields, event: serde_json::from_value(Value::Object(upgraded)).ok() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Awaited, What};
    use crate::ids::{BoardName, Label, NodeName, Target};

    fn events(text: &str) -> Vec<Option<Event>> {
        let mut log = Log::default();
        text.lines().map(|line| log.read(line.as_bytes()).unwrap().event).collect()
    }

    #[test]
    fn what_a_later_build_adds_is_kept_and_harms_nothing() {
        let mut log = Log::default();
        let started =
            r#"{"at":0,"event":"run_started","format":1,"run":"r","site":"s","pass":"apply","lanes":[],"who":"me"}"#;
        let record = log.read(started.as_bytes()).unwrap();
        assert!(matches!(record.event, Some(Event { what: What::RunStarted { format: 1, .. }, .. })));
        assert_eq!(record.fields["who"], "me");
        let sung = log.read(br#"{"at":3,"event":"sung","song":{"of":"a later build"}}"#).unwrap();
        assert_eq!(sung.event, None);
        assert_eq!(sung.fields["song"]["of"], "a later build");
    }

    #[test]
    fn a_later_format_is_refused_by_its_number() {
        let mut log = Log::default();
        for line in [r#"{"event":"run_started","format":2}"#, r#"{"at":1,"event":"interrupted"}"#] {
            assert_eq!(
                log.read(line.as_bytes()).unwrap_err().to_string(),
                "format 2 was written by a later version of bringup"
            );
        }
        assert!(matches!(log.read(b"{\"at\":1,\"eve").unwrap_err(), Unreadable::NotAnEvent(_)));
        assert!(log.read(br#"{"event":"run_started","format":"x"}"#).is_err());
    }

    /// The lines are those that a build without formats wrote in a rehearsal and a run, with one of each kind.
    #[test]
    fn a_log_without_a_format_is_read_whole() {
        let text = include_str!("log/format0.jsonl");
        let events = events(text);
        for (line, event) in text.lines().zip(&events) {
            assert!(event.is_some(), "{line}");
        }
        let on_bmc = |event: &Event| match &event.what {
            What::StepEnded { target, step, .. } => {
                (*step == Label::new("node01/provisioned_slot")).then(|| target.clone())
            }
            _ => None,
        };
        assert_eq!(events.iter().flatten().find_map(on_bmc), Some(Target::Bmc(BoardName::new("turingpi"))));
        let waits: Vec<String> = events
            .iter()
            .flatten()
            .filter_map(|event| match &event.what {
                What::Waiting { awaited: awaited @ Awaited::Words(_), .. } => Some(awaited.to_string()),
                _ => None,
            })
            .collect();
        assert!(waits.contains(&"SSH with the key made for it".to_owned()), "{waits:?}");
        let actions = events.iter().flatten().filter_map(|event| match &event.what {
            What::ActionStarted { target, action, .. } => Some((target.clone(), action.to_string())),
            _ => None,
        });
        let reboot = (Target::Node(NodeName::new("node01")), "reboot".to_owned());
        assert!(actions.collect::<Vec<_>>().contains(&reboot));
    }
}
