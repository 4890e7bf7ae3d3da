//! Whatever a target, a site or the web says, in whichever event, it neither acts on a terminal nor begins a line of ours.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};

use bringup_core::contract::controller::{Content, WriteFile};
use bringup_core::contract::world::Unit;
use bringup_core::contract::{Action, ActionOutline, FieldConflict, ObjectId};
use bringup_core::ids::{BoardName, DiskPath, Label, NodeName, Slot, Span, StageName, Target};
use bringup_core::run::change::{Change, Diff, Outcome, Planned, Reason};
use bringup_core::run::event::{Awaited, Event, FORMAT, LaneOutline, Log, Notice, Pass, Tally, What};
use bringup_core::run::fault::{Cause, Fault};
use bringup_core::run::hazard::{Disk, DiskFound, Hazard, Liveness};
use bringup_core::run::report::Report;
use bringup_core::site::{Problem, Problems, Severity, Spot};
use bringup_core::text::secret::Mask;
use bringup_core::text::shell::Shell;
use indicatif::{ProgressDrawTarget, TermLike};
use proptest::prelude::*;

use super::{Live, Plain, PlanText, Screen, report_text};
use crate::consent::{Ask, decide};
use crate::problems;
use crate::terminal::{Line, Lines, People};

/// What a hazard's line would begin with, if a value could begin one.
const FORGED: &str = "! reboot node99";

/// A terminal that keeps all that was written to it, a line an entry.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<String>>);

impl Kept {
    fn add(&self, text: &str, end: &str) -> io::Result<()> {
        let mut kept = self.0.lock().unwrap();
        kept.push_str(text);
        kept.push_str(end);
        Ok(())
    }
}

impl TermLike for Kept {
    fn width(&self) -> u16 {
        200
    }
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        self.add("", "\n")
    }
    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        self.add("", "\n")
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.add(text, "\n")
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        self.add(text, "")
    }
    fn clear_line(&self) -> io::Result<()> {
        self.add("", "\n")
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(std::str::from_utf8(bytes).unwrap(), "")?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Declines, and keeps the questions.
struct Questions(String);

impl Ask for Questions {
    fn ask(&mut self, about: &Lines, question: &str) -> io::Result<Option<String>> {
        self.0.push_str(&about.to_string());
        self.0.push_str(Line::new(question).as_str());
        self.0.push('\n');
        Ok(Some("yes".to_owned()))
    }
}

/// A disk that says this of itself.
fn disk(text: &str) -> Disk {
    let found = DiskFound { model: text.to_owned(), serial: text.to_owned(), holds: vec![text.to_owned(); 100] };
    Disk::At { path: DiskPath::parse("/dev/sda").unwrap(), found: Some(found) }
}

/// Every kind of hazard. A new one does not compile until it is here.
fn hazards(text: &str) -> Vec<Hazard> {
    let (node, host) = (NodeName::new(text), Target::Bmc(BoardName::new(text)));
    let all = vec![
        Hazard::Erase { node: node.clone(), disk: disk(text), liveness: Liveness::Living },
        Hazard::CutPower { node: node.clone() },
        Hazard::TrustKey { host, fingerprint: text.to_owned() },
        Hazard::Reboot { node: node.clone() },
        Hazard::UninstallK3s { node },
        Hazard::LoseSealedKeys { keys: Some(text.to_owned()) },
        Hazard::Delete { object: text.to_owned() },
        Hazard::ClearUsbBoot { board: BoardName::new(text), slot: Slot::new(1).unwrap() },
    ];
    for (place, hazard) in all.iter().enumerate() {
        let expected = match hazard {
            Hazard::Erase { .. } => 0,
            Hazard::CutPower { .. } => 1,
            Hazard::TrustKey { .. } => 2,
            Hazard::Reboot { .. } => 3,
            Hazard::UninstallK3s { .. } => 4,
            Hazard::LoseSealedKeys { .. } => 5,
            Hazard::Delete { .. } => 6,
            Hazard::ClearUsbBoot { .. } => 7,
        };
        assert_eq!(place, expected);
    }
    all
}

fn fault(text: &str) -> Fault {
    let mut fault =
        Fault::new(Cause::Failed, Target::Node(NodeName::new(text)), text).said(text).likely(text).next(text);
    // Also what was not split into lines.
    fault.said.push(text.to_owned());
    fault
}

/// Every kind of notice. A new one does not compile until it is here.
fn notices(text: &str) -> Vec<Notice> {
    let (path, node) = (text.to_owned(), NodeName::new(text));
    let id = ObjectId {
        api_version: "v1".into(),
        kind: "Namespace".into(),
        namespace: text.to_owned(),
        name: text.to_owned(),
    };
    let fields = vec![FieldConflict { field: text.to_owned(), managers: text.to_owned() }];
    let all = vec![
        Notice::ScriptKept { path: path.clone(), purpose: text.to_owned() },
        Notice::CompletionKept { path: path.clone(), tool: text.to_owned(), shell: Shell::Bash },
        Notice::ContainerdTemplateKept { path, node: node.clone() },
        Notice::WorkstationReboot { node: node.clone() },
        Notice::K3sConfigurationKept { node: node.clone(), keys: vec![text.to_owned()] },
        Notice::FieldsKept { id, fields },
        Notice::K3sConfigurationMissing { node: node.clone() },
        Notice::WithoutWorkers { nodes: [node].into() },
        serde_json::from_value(serde_json::json!({"kind": "words", "words": text})).unwrap(),
    ];
    let kinds = all.iter().map(|notice| match notice {
        Notice::ScriptKept { .. } => 0,
        Notice::CompletionKept { .. } => 1,
        Notice::ContainerdTemplateKept { .. } => 2,
        Notice::WorkstationReboot { .. } => 3,
        Notice::K3sConfigurationMissing { .. } => 4,
        Notice::K3sConfigurationKept { .. } => 5,
        Notice::FieldsKept { .. } => 6,
        Notice::WithoutWorkers { .. } => 7,
        Notice::Words(_) => 8,
    });
    assert_eq!(kinds.collect::<BTreeSet<_>>().len(), 9, "every kind is here");
    all
}

/// Every kind of event, with the text wherever text goes. A new one does not compile until it is here.
fn events(text: &str) -> Vec<Event> {
    let (lane, step, stage) = (Label::new(text), Label::new(text), StageName::Flash);
    let (target, words) = (Target::Node(NodeName::new(text)), text.to_owned());
    let reason = || Reason::new(text, text);
    let diff = || Diff::Change(vec![Change::new(text, text, text), Change::add(text, text)]);
    let outline = LaneOutline { lane: lane.clone(), steps: 3 };
    let started = |pass| What::RunStarted {
        format: FORMAT,
        run: words.clone(),
        site: words.clone(),
        pass,
        lanes: vec![outline.clone()],
    };
    let planned = |planned| What::StepPlanned {
        lane: lane.clone(),
        stage,
        step: step.clone(),
        target: target.clone(),
        planned,
        hazards: hazards(text),
    };
    let ended = |outcome| What::StepEnded {
        lane: lane.clone(),
        stage,
        step: step.clone(),
        target: target.clone(),
        outcome,
        ms: 90_000,
    };
    let action = ActionOutline::from(
        WriteFile { path: text.to_owned(), content: Content::Plain(String::new()), mode: 0 }.outline(),
    );
    let span = Span::Usb(BoardName::new(text));
    let awaited = Awaited::EarlierWork { units: [text.to_owned()].into() };
    let mut all = vec![started(Pass::Plan)];
    all.extend(
        [
            Planned::Known(diff()),
            Planned::Expected(Diff::Blocked(reason())),
            Planned::Later { until: step.clone() },
            Planned::Unreachable(fault(text)),
        ]
        .map(planned),
    );
    all.push(started(Pass::Apply));
    all.extend([
        What::Approved { hazards: hazards(text) },
        What::StepStarted { lane: lane.clone(), stage, step: step.clone(), target: target.clone(), needs: vec![] },
        What::ActionStarted { step: step.clone(), target: target.clone(), action: action.clone() },
        What::Progress { step: step.clone(), done: 1, total: 2, unit: Unit::Bytes },
        What::Waiting { step: step.clone(), awaited: awaited.clone(), bound: Some(1) },
        What::Waited { step: step.clone(), awaited, freed_by: Some(step.clone()), ms: 70_000 },
        What::Retrying { step: step.clone(), attempt: 1, of: 3, fault: fault(text) },
        What::SpanTaken { step: step.clone(), span: span.clone() },
        What::SpanReleased { step: step.clone(), span: span.clone() },
        What::ActionEnded { step: step.clone(), target: target.clone(), action, fault: Some(fault(text)) },
        What::Interrupted,
    ]);
    all.extend(notices(text).into_iter().map(|notice| What::Noticed { step: step.clone(), notice }));
    all.extend(
        [
            Outcome::InSync,
            Outcome::Changed,
            Outcome::TookOver,
            Outcome::Skipped(reason()),
            Outcome::Blocked(reason()),
            Outcome::NotConverged(diff()),
            Outcome::Failed(fault(text)),
        ]
        .map(ended),
    );
    all.push(What::LaneEnded { lane: lane.clone(), holds: false });
    all.push(What::RunEnded { tally: Tally::default(), ms: 1 });
    let kinds = all.iter().map(|what| match what {
        What::RunStarted { .. } => 0,
        What::StepStarted { .. } => 1,
        What::StepPlanned { .. } => 2,
        What::Approved { .. } => 3,
        What::ActionStarted { .. } => 4,
        What::ActionEnded { .. } => 5,
        What::Progress { .. } => 6,
        What::Waiting { .. } => 7,
        What::Waited { .. } => 8,
        What::Retrying { .. } => 9,
        What::SpanTaken { .. } => 10,
        What::SpanReleased { .. } => 11,
        What::StepEnded { .. } => 12,
        What::LaneEnded { .. } => 13,
        What::Noticed { .. } => 14,
        What::Interrupted => 15,
        What::RunEnded { .. } => 16,
    });
    assert_eq!(kinds.collect::<std::collections::BTreeSet<_>>().len(), 17, "every kind is here");
    (0..).zip(all).map(|(at, what)| Event { at: at * 1000, what }).collect()
}

#[test]
fn every_kind_of_event_is_read_back_whatever_is_in_it() {
    for text in ["plain", "\u{1b}[2J\n! reboot\u{202e}\0\"\\"] {
        let mut log = Log::default();
        for event in events(text) {
            let line = serde_json::to_string(&event).unwrap();
            let record = log.read(line.as_bytes()).unwrap();
            assert_eq!(serde_json::to_string(&record.fields).unwrap(), line);
            assert_eq!(record.event, Some(event), "{line}");
        }
    }
}

/// All that a person would see of it, screen by screen.
fn shown(text: &str) -> Vec<(&'static str, String)> {
    let events = events(text);
    let mut screens = Vec::new();
    for verbose in [0, 2] {
        let kept = Kept::default();
        let mut plain = Plain::new(People::new(kept.clone()), verbose);
        events.iter().for_each(|event| plain.event(event).unwrap());
        plain.finish().unwrap();
        screens.push(("plain", kept.0.lock().unwrap().clone()));

        let kept = Kept::default();
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(kept.clone()), 255);
        let mut live = Live::on(target, 40, verbose);
        for event in &events {
            live.event(event).unwrap();
            live.tick(event.at + 500).unwrap();
        }
        live.finish().unwrap();
        screens.push(("live", kept.0.lock().unwrap().clone()));

        for whole in [false, true] {
            let mut plan = PlanText::default();
            events.iter().for_each(|event| plan.event(event));
            screens.push(("plan", plan.text(&[text.to_owned()], verbose, whole).to_string()));
        }
    }
    screens.push(("report", report_text(&Report::of(&events).unwrap()).to_string()));
    screens.push(("fault", super::fault_lines(&fault(text)).into_iter().collect::<Lines>().to_string()));
    let mut questions = Questions(String::new());
    decide(&hazards(text), false, &BTreeSet::new(), &Mask::default(), &mut questions).unwrap();
    screens.push(("questions", questions.0));
    let spot = Spot { file: text.to_owned(), line: 3, column: 2, length: 4, text: text.to_owned(), skipped: 0 };
    let (message, help) = (text.to_owned(), Some(text.to_owned()));
    let problem = Problem { severity: Severity::Error, message, spot: Some(spot), help };
    screens.push(("problems", problems::report(&Problems(vec![problem])).to_string()));
    screens
}

/// What is wrong with a screen, if anything.
fn wrong(screen: &str) -> Option<String> {
    let acts = |one: char| {
        one.is_control() && one != '\n'
            || matches!(one, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if let Some(one) = screen.chars().find(|one| acts(*one)) {
        return Some(format!("{} comes out", one.escape_unicode()));
    }
    screen.lines().find(|line| line.trim_start().starts_with(FORGED)).map(|line| format!("{line:?} is forged"))
}

/// Pieces of which hostile text is made.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "\u{1b}",
        "\u{1b}[2J",
        "\u{1b}[1A\u{1b}[2K",
        "\u{1b}]52;c;cm0gLXJm\u{7}",
        "\u{1b}]0;title\u{1b}\\",
        "\u{9b}31m",
        "\u{9d}52;c;x\u{9c}",
        "\u{85}",
        "\u{202a}",
        "\u{202e}",
        "\u{2066}",
        "\u{2069}",
        "\u{200b}",
        "\u{200d}",
        "\u{200f}",
        "\u{feff}",
        "\n",
        "\r",
        "\r\n",
        "\u{8}",
        "\t",
        "\u{b}",
        "\u{c}",
        "\u{2028}",
        "\u{0}",
        "\u{7f}",
        "/",
        "  ",
        "node01",
    ];
    prop_oneof![
        3 => proptest::sample::select(pieces.to_vec()).prop_map(str::to_owned),
        1 => Just(format!("\n  {FORGED}\n")),
        1 => Just(format!("\r{FORGED}")),
        1 => any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_others_say_acts_on_a_terminal(pieces in proptest::collection::vec(piece(), 1..12)) {
        for text in [pieces.concat(), format!("x{}", pieces.concat())] {
            for (screen, seen) in shown(&text) {
                // A text that begins with it is first on its line where that line is the text: a lane's name, in a plan.
                if !text.trim_start().starts_with(FORGED) {
                    prop_assert_eq!(wrong(&seen), None, "{} of {:?}:\n{}", screen, text, seen);
                }
            }
        }
    }
}

/// The model of a disk must not push out of sight what is said of its node.
#[test]
fn a_flood_does_not_hide_that_a_node_lives() {
    for letter in ["x", " "] {
        let disk = disk(&letter.repeat(1 << 20));
        let hazard = Hazard::Erase { node: NodeName::new("node01"), disk, liveness: Liveness::Living };
        let line = super::hazard_line(&hazard);
        assert!(line.starts_with("erase /dev/sda (") && line.ends_with(" of node01, WHICH IS ALIVE"), "{line}");
        assert!(line.chars().count() < 540 && line.contains("and 92 more"), "{line}");
    }
}

/// Two hazards that are cut to the same line are two, and both are listed.
#[test]
fn what_looks_alike_is_listed_twice() {
    let erase = |middle: &str| Hazard::Erase {
        node: NodeName::new("node01"),
        disk: disk(&format!("{}{middle}{}", "a".repeat(500), "b".repeat(500))),
        liveness: Liveness::Idle,
    };
    let mut plan = PlanText::default();
    for mut event in events("node01") {
        if let What::StepPlanned { hazards, .. } = &mut event.what {
            *hazards = vec![erase("one"), erase("two")];
        }
        plan.event(&event);
    }
    let text = plan.text(&[], 0, false).to_string();
    assert_eq!(text.lines().filter(|line| line.starts_with("  ! erase")).count(), 2, "{text}");
}

/// Or the property above would hold of screens that show nothing.
#[test]
fn every_screen_shows_what_was_escaped() {
    for (screen, seen) in shown("\u{1b}[2J") {
        assert!(seen.contains("\\u{1b}") || screen == "fault" || screen == "report", "{screen}: {seen}");
    }
}
