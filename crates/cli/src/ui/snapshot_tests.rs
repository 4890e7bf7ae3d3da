//! What stands on a terminal of 40, 80 and 120 columns, as snapshots. No screen has colours.

use bringup_core::contract::bmc::{PowerOff, StartFlash};
use bringup_core::contract::node::Reboot;
use bringup_core::contract::world::Unit;
use bringup_core::contract::{Action, ActionOutline};
use bringup_core::ids::{BoardName, DiskPath, Label, NodeName, Slot, Span, StageName, Target};
use bringup_core::run::change::{Change, Diff, Outcome, Planned, Reason};
use bringup_core::run::event::{Awaited, Event, FORMAT, LaneOutline, Notice, Pass, Tally, What};
use bringup_core::run::fault::{Cause, Fault};
use bringup_core::run::hazard::{Disk, DiskFound, Hazard, Liveness};
use bringup_core::run::report::Report;
use indicatif::{InMemoryTerm, ProgressDrawTarget, TermLike};

use super::{Live, Plain, PlanText, Screen, report_text};
use crate::terminal::People;

const WIDTHS: [u16; 3] = [40, 80, 120];
/// A lane whose name does not fit its column.
const LONG: &str = "tools/kubectl-with-a-long-name";

fn node(name: &str) -> Target {
    Target::Node(NodeName::new(name))
}

fn begun(pass: Pass, lanes: &[(&str, usize)]) -> What {
    let outline = |&(lane, steps): &(&str, usize)| LaneOutline { lane: Label::new(lane), steps };
    let (run, site, lanes) = ("run1".to_owned(), "home".to_owned(), lanes.iter().map(outline).collect());
    What::RunStarted { format: FORMAT, run, site, pass, lanes }
}

fn started(lane: &str, stage: StageName, step: &str) -> What {
    let (lane, step) = (Label::new(lane), Label::new(step));
    What::StepStarted { lane, stage, step, target: node("node01"), needs: Vec::new() }
}

fn ended(lane: &str, stage: StageName, step: &str, outcome: Outcome, ms: u64) -> What {
    let (lane, step) = (Label::new(lane), Label::new(step));
    What::StepEnded { lane, stage, step, target: node("node01"), outcome, ms }
}

fn acts(step: &str, target: Target, action: impl Into<ActionOutline>) -> What {
    What::ActionStarted { step: Label::new(step), target, action: action.into() }
}

fn waits(step: &str, awaited: Awaited, bound: Option<u64>) -> What {
    What::Waiting { step: Label::new(step), awaited, bound }
}

fn waited(step: &str, awaited: Awaited, freed_by: Option<&str>, ms: u64) -> What {
    What::Waited { step: Label::new(step), awaited, freed_by: freed_by.map(Label::new), ms }
}

fn lane_ended(lane: &str, holds: bool) -> What {
    What::LaneEnded { lane: Label::new(lane), holds }
}

fn fault() -> Fault {
    Fault::new(Cause::Passing, Target::Bmc(BoardName::new("board1")), "flash slot 2 (node02)")
        .said("Error occured during flashing: \"USB\"\nno supported devices found")
        .likely("the slot is empty, or its module came too late")
        .next("see that the module sits well in slot 2, then run again")
}

/// A run of some lanes; what had happened by the middle of it, and the rest.
fn story() -> (Vec<Event>, Vec<Event>) {
    use StageName::{Flash, K3s, KnownHosts, MoveFs, Tools};
    let slot = Slot::new(1).unwrap();
    let board = Target::Bmc(BoardName::new("board1"));
    let usb = || Awaited::Span { span: Span::Usb(BoardName::new("board1")) };
    let power_off = PowerOff { slot }.outline();
    let flash = StartFlash {
        slot,
        node: NodeName::new("node01"),
        order: String::new(),
        source: bringup_core::contract::bmc::ImageSource::Staged(String::new()),
        sha256: bringup_core::ids::Sha256::of(""),
    }
    .outline();
    let ready = || Awaited::NodeReady { node: NodeName::new("node03") };
    let (slot1, slot2) = ("node01/provisioned_slot", "node02/provisioned_slot");
    let before = [
        (0, begun(Pass::Apply, &[(LONG, 1), ("node01", 2), ("node02", 2), ("node03", 3)])),
        (0, What::Approved { hazards: Vec::new() }),
        (0, started(LONG, Tools, "controller/kubectl")),
        (0, started("node01", Flash, slot1)),
        (10, started("node02", Flash, slot2)),
        (20, started("node03", KnownHosts, "node03/known_host")),
        (100, acts(slot1, board.clone(), power_off)),
        (200, waits(slot2, usb(), None)),
        (300, ended("node03", KnownHosts, "node03/known_host", Outcome::InSync, 280)),
        (300, started("node03", K3s, "node03/k3s_agent")),
        (500, acts(slot1, board, flash)),
        (62_000, What::Progress { step: Label::new(slot1), done: 640 << 20, total: 2 << 30, unit: Unit::Bytes }),
        (62_500, waits("node03/k3s_agent", ready(), Some(600_000))),
    ];
    let noticed = Notice::K3sConfigurationKept { node: NodeName::new("node03"), keys: vec!["node-ip".to_owned()] };
    let tally = Tally { in_sync: 1, changed: 3, took_over: 1, failed: 1, skipped: 1, blocked: 1, ..Tally::default() };
    let reason = |why: &str, next: &str| Reason::new(why, next);
    let after = [
        (64_000, ended(LONG, Tools, "controller/kubectl", Outcome::Changed, 64_000)),
        (64_000, lane_ended(LONG, true)),
        (92_000, waited("node03/k3s_agent", ready(), None, 29_500)),
        (92_000, What::Noticed { step: Label::new("node03/k3s_agent"), notice: noticed }),
        (92_000, ended("node03", K3s, "node03/k3s_agent", Outcome::TookOver, 91_700)),
        (92_100, started("node03", K3s, "node03/reboot")),
        (92_200, acts("node03/reboot", node("node03"), Reboot {}.outline())),
        (
            92_300,
            ended(
                "node03",
                K3s,
                "node03/reboot",
                Outcome::Blocked(reason("to reboot node03 was not approved", "run again and approve it")),
                200,
            ),
        ),
        (92_300, lane_ended("node03", false)),
        (180_000, ended("node01", Flash, slot1, Outcome::Changed, 180_000)),
        (180_000, started("node01", MoveFs, "node01/root_device")),
        (180_000, waited(slot2, usb(), Some(slot1), 179_800)),
        (181_000, What::Retrying { step: Label::new(slot2), attempt: 1, of: 4, fault: fault() }),
        (182_000, What::Interrupted),
        (
            183_000,
            ended(
                "node01",
                MoveFs,
                "node01/root_device",
                Outcome::NotConverged(Diff::Change(vec![Change::new("root", "/dev/mmcblk0p2", "/dev/nvme0n1")])),
                3_000,
            ),
        ),
        (183_000, lane_ended("node01", false)),
        (200_000, ended("node02", Flash, slot2, Outcome::Failed(fault()), 199_990)),
        (
            200_000,
            ended("node02", MoveFs, "node02/root_device", Outcome::Skipped(reason("node02/x does not hold", "")), 0),
        ),
        (200_000, lane_ended("node02", false)),
        (200_100, What::RunEnded { tally, ms: 200_100 }),
    ];
    let events = |all: Vec<(u64, What)>| all.into_iter().map(|(at, what)| Event { at, what }).collect();
    (events(before.into()), events(after.into()))
}

/// Text as a terminal of this width shows it.
fn typed(text: &str, width: u16) -> String {
    let terminal = InMemoryTerm::new(200, width);
    for line in text.lines() {
        terminal.write_line(line).unwrap();
    }
    terminal.contents()
}

/// A terminal's rows below a ruler of its width.
fn framed(title: &str, width: u16, rows: &str) -> String {
    format!("{title}\n{}\n{rows}\n", "─".repeat(usize::from(width)))
}

/// The same text on terminals of all widths.
fn at_all_widths(text: &str) -> String {
    WIDTHS.map(|width| framed(&format!("{width} columns"), width, &typed(text, width))).join("\n")
}

fn live(width: u16, height: u16, verbose: u8) -> String {
    let terminal = InMemoryTerm::new(height, width);
    let mut screen = Live::on(ProgressDrawTarget::term_like(Box::new(terminal.clone())), height, verbose);
    let (before, after) = story();
    let mut show = |events: &[Event], tick: u64| {
        events.iter().for_each(|event| screen.event(event).unwrap());
        screen.tick(tick).unwrap();
        terminal.contents()
    };
    let middle = show(&before, 63_000);
    let end = show(&after, 200_100);
    screen.finish().unwrap();
    let left = terminal.contents();
    [("in the middle", middle), ("at the end", end), ("when it is over", left)]
        .map(|(title, rows)| framed(title, width, &rows))
        .join("\n")
}

#[test]
fn the_live_view_at_40_columns() {
    insta::assert_snapshot!(live(40, 60, 0));
}

#[test]
fn the_live_view_at_80_columns() {
    insta::assert_snapshot!(live(80, 60, 0));
}

#[test]
fn the_live_view_at_120_columns_with_actions() {
    insta::assert_snapshot!(live(120, 60, 1));
}

/// Lanes that have no room are left out, and the summary stays.
#[test]
fn the_live_view_on_eight_rows() {
    insta::assert_snapshot!(live(80, 8, 0));
}

fn plain(verbose: u8) -> String {
    let mut out = Vec::new();
    let mut screen = Plain::new(People::new(&mut out), verbose);
    let (before, after) = story();
    before.iter().chain(&after).for_each(|event| screen.event(event).unwrap());
    screen.finish().unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_plain_screen() {
    insta::assert_snapshot!(at_all_widths(&plain(0)));
}

#[test]
fn the_plain_screen_with_actions_and_waits() {
    insta::assert_snapshot!(typed(&plain(2), 120));
}

/// A plan with every kind of line that it has.
fn plan() -> PlanText {
    use StageName::{Flash, K3s, KnownHosts, MoveFs, Tools};
    let found =
        DiskFound { model: "WD SN570".to_owned(), serial: "22".to_owned(), holds: vec!["ext4 data".to_owned()] };
    let disk = Disk::At { path: DiskPath::parse("/dev/nvme0n1").unwrap(), found: Some(found) };
    let erase = |disk, liveness| Hazard::Erase { node: NodeName::new("node01"), disk, liveness };
    let planned = |lane: &str, stage, step: &str, planned, hazards| What::StepPlanned {
        lane: Label::new(lane),
        stage,
        step: Label::new(step),
        target: node(lane),
        planned,
        hazards,
    };
    let change = |change: Change| Diff::Change(vec![change]);
    let block = Change::add("block path in /home/me/.bashrc", "export PATH=~/bin:$PATH\nsource ~/.kube/completion\n");
    let long = Change::new("values of release argo-cd/argocd", "x".repeat(50), "y".repeat(90));
    let trust = Hazard::TrustKey { host: node("node02"), fingerprint: "SHA256:47DEQpj8HBSa".to_owned() };
    let unreachable = Fault::new(Cause::Unreachable, node("node02"), "see its host key")
        .next("check that node02 is on, and its name and address");
    let blocked = Reason::new("there is no disk /dev/nvme0n1 in node02", "check that it is plugged in");
    let events = [
        begun(Pass::Plan, &[("tools/helm", 2), ("node01", 4), ("node02", 2), ("cluster", 1)]),
        planned("tools/helm", Tools, "controller/helm", Planned::Known(Diff::InSync), Vec::new()),
        planned("tools/helm", Tools, "controller/bashrc", Planned::Known(change(block)), Vec::new()),
        planned(
            "node01",
            Flash,
            "node01/provisioned_slot",
            Planned::Known(change(Change::new("slot 1", "not flashed by us (it is silent)", "rk1.img.xz written"))),
            vec![erase(Disk::Emmc, Liveness::Doubtful)],
        ),
        planned(
            "node01",
            MoveFs,
            "node01/root_device",
            Planned::Expected(change(Change::new("root", "/dev/mmcblk0p2", "a partition of /dev/nvme0n1"))),
            vec![erase(disk, Liveness::Idle), Hazard::Reboot { node: NodeName::new("node01") }],
        ),
        planned("node01", K3s, "node01/cloud_init", Planned::Expected(Diff::InSync), Vec::new()),
        planned(
            "node01",
            K3s,
            "node01/k3s_agent",
            Planned::Later { until: Label::new("node01/provisioned_slot") },
            Vec::new(),
        ),
        planned("node02", KnownHosts, "node02/known_host", Planned::Unreachable(unreachable), vec![trust]),
        planned("node02", MoveFs, "node02/root_device", Planned::Known(Diff::Blocked(blocked)), Vec::new()),
        planned("cluster", K3s, "cluster/argocd-release", Planned::Known(change(long)), Vec::new()),
        What::Noticed {
            step: Label::new("node01/reboot"),
            notice: Notice::WorkstationReboot { node: NodeName::new("node01") },
        },
        What::RunEnded {
            tally: Tally { in_sync: 2, changed: 4, later: 1, blocked: 1, failed: 1, skipped: 3, ..Tally::default() },
            ms: 1_000,
        },
    ];
    let mut text = PlanText::default();
    (0..).zip(events).for_each(|(at, what)| text.event(&Event { at, what }));
    text
}

#[test]
fn a_plan_text() {
    let notices = ["hosts are asked by tpi, as bmcd has no API".to_owned()];
    insta::assert_snapshot!(at_all_widths(&plan().text(&notices, 0, false).to_string()));
}

#[test]
fn a_plan_text_with_all_that_it_has() {
    insta::assert_snapshot!(typed(&plan().text(&[], 1, true).to_string(), 120));
}

#[test]
fn a_report() {
    let (before, after) = story();
    let report = Report::of(&[before, after].concat()).unwrap();
    insta::assert_snapshot!(at_all_widths(&report_text(&report).to_string()));
}
