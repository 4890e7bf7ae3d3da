//! A log of events that is read back: what `--json` printed, or a journal.

use serde::Deserialize;
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
    /// The event. `None`: its kind, or something in it that is no hazard, is not known to this build.
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
            self.format = fields.get("format").map_or(Ok(0), u32::deserialize)?;
        }
        if self.format > FORMAT {
            return Err(Unreadable::Newer(self.format));
        }
        let mut today = fields.clone();
        if self.format == 0 {
            self.boards.upgrade(&mut today);
        }
        Ok(Record { fields, event: Event::deserialize(Value::Object(today)).ok() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{BoardName, DiskPath, Label, NodeName, Sha256, Span, Target};
    use crate::run::event::{Awaited, What};
    use crate::run::fault::{Cause, Fault};
    use crate::run::hazard::{Disk, Hazard, Liveness};

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
        let odd =
            r#"{"at":4,"event":"approved","hazards":[{"hazard":"reboot","node":"n1"},{"hazard":"sing","song":1}]}"#;
        let approved = What::Approved { hazards: vec![Hazard::Reboot { node: NodeName::new("n1") }] };
        assert_eq!(log.read(odd.as_bytes()).unwrap().event, Some(Event { at: 4, what: approved }));
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

    /// Lines of a rehearsal by 9d531c8, one of each shape.
    #[test]
    fn a_log_without_a_format_is_read_whole() {
        let text = include_str!("log/format0.jsonl");
        let events = events(text);
        for (line, event) in text.lines().zip(&events) {
            assert!(event.is_some(), "{line}");
        }
        let targets = events.iter().flatten().filter_map(|event| match &event.what {
            What::StepPlanned { target, step, .. } | What::StepEnded { target, step, .. } => {
                Some((step.as_str().rsplit('/').next()?.to_owned(), target.clone()))
            }
            _ => None,
        });
        let slots: Vec<Target> =
            targets.filter(|(step, _)| step == "provisioned_slot").map(|(_, target)| target).collect();
        assert!(
            !slots.is_empty() && slots.iter().all(|slot| *slot == Target::Bmc(BoardName::new("turingpi"))),
            "{slots:?}"
        );
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
        let reboot = (Target::Node(NodeName::new("nuc01")), "reboot".to_owned());
        assert!(actions.collect::<Vec<_>>().contains(&reboot));
    }

    #[test]
    fn what_format_0_wrote_as_it_is_shown_is_read_into_types() {
        let mut log = Log::default();
        let mut read = |line: String| log.read(line.as_bytes()).unwrap().event.unwrap_or_else(|| panic!("{line}")).what;
        let lanes = r#"[{"lane":"board1/rk1_images","steps":1},{"lane":"node01","steps":1}]"#;
        read(format!(r#"{{"at":0,"event":"run_started","run":"r","site":"s","pass":"plan","lanes":{lanes}}}"#));
        let sum = Sha256::of("image");
        for (shown, span) in [
            ("board1/usb", Span::Usb(BoardName::new("board1"))),
            ("board1/uplink", Span::Uplink(BoardName::new("board1"))),
            ("controller/known_hosts", Span::KnownHosts),
            ("cluster/maintenance", Span::Maintenance),
            ("controller/k3s-artifacts-arm64", Span::K3sArtifacts("arm64".to_owned())),
            (&format!("controller/{sum}"), Span::Image(sum)),
        ] {
            let what = read(format!(r#"{{"at":1,"event":"span_taken","step":"node01/x","span":"{shown}"}}"#));
            assert_eq!(what, What::SpanTaken { step: Label::new("node01/x"), span });
        }
        let at = |path| Disk::At { path: DiskPath::parse(path).unwrap(), found: None };
        for (shown, disk) in [
            ("eMMC", Disk::Emmc),
            ("/dev/nvme0n1", at("/dev/nvme0n1")),
            ("/dev/sda (WD Blue, serial 7, holds ext4)", at("/dev/sda")),
        ] {
            let hazard = format!(r#"{{"hazard":"erase","node":"node01","disk":"{shown}","liveness":"idle"}}"#);
            let what = read(format!(r#"{{"at":1,"event":"approved","hazards":[{hazard}]}}"#));
            let node = NodeName::new("node01");
            assert_eq!(what, What::Approved { hazards: vec![Hazard::Erase { node, disk, liveness: Liveness::Idle }] });
        }
        for (name, target) in [
            ("controller", Target::Controller),
            ("cluster", Target::Cluster),
            ("board1", Target::Bmc(BoardName::new("board1"))),
            ("node01", Target::Node(NodeName::new("node01"))),
        ] {
            let fault = format!(r#"{{"doing":"look","at":"{name}","cause":"failed"}}"#);
            let retried = format!(r#"{{"at":1,"event":"retrying","step":"x","attempt":1,"of":3,"fault":{fault}}}"#);
            let fault = Fault::new(Cause::Failed, target, "look");
            assert_eq!(read(retried), What::Retrying { step: Label::new("x"), attempt: 1, of: 3, fault });
        }
    }
}
