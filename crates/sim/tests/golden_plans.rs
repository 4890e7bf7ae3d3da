//! Plans as a person would read them, for the stories that everyone meets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::fmt::Write;
use std::sync::Arc;

use bringup_core::ids::{BoardName, Label, NodeName, StageName};
use bringup_core::run::change::{Change, Diff, Outcome, Planned};
use bringup_core::run::event::{Event, Pass, What};
use bringup_core::site::Site;
use bringup_sim::{Condition, SimWorld, Snapshot, Story, in_virtual_time};
use common::{Done, Runner, approve_all};

/// Plans and applies; gives the plan as text, and the whole run.
fn play(site: &Arc<Site>, snapshot: &Snapshot, change: impl Fn(&mut Runner<'_>)) -> (String, Done) {
    in_virtual_time(async {
        let world = SimWorld::resume(snapshot);
        let mut runner = Runner::new(site, "golden");
        change(&mut runner);
        let done = runner.run(&world).await.unwrap();
        assert_eq!(world.violations(), Vec::<String>::new());
        (text(&done), done)
    })
    .unwrap()
}

/// A plan's text: hazards, then a line for each step that is not in sync.
fn text(done: &Done) -> String {
    let mut text = String::new();
    for hazard in &done.planned.hazards {
        let _ = writeln!(text, "! {hazard}");
    }
    // By lane, as a plan is shown: lanes are looked at side by side.
    let mut lanes: Vec<&Label> = Vec::new();
    let mut steps = Vec::new();
    for event in done.events.iter().take_while(|event| !applies(event)) {
        match &event.what {
            What::RunStarted { lanes: all, .. } => lanes = all.iter().map(|lane| &lane.lane).collect(),
            What::StepPlanned { lane, step, planned, .. } => {
                steps.push((lanes.iter().position(|other| *other == lane), step, planned));
            }
            _ => {}
        }
    }
    steps.sort_by_key(|(lane, ..)| *lane);
    for (_, step, planned) in steps {
        let (mark, diff) = match planned {
            Planned::Known(diff) => ("", diff),
            Planned::Expected(diff) => (" (expected)", diff),
            Planned::Later { until } => {
                let _ = writeln!(text, "? {step}: after {until}");
                continue;
            }
            Planned::Unreachable(fault) => {
                let _ = writeln!(text, "x {step}: {fault}");
                continue;
            }
        };
        match diff {
            Diff::InSync => {}
            Diff::Blocked(reason) => text.push_str(&format!("! {step}{mark}: {}\n", reason.why)),
            Diff::Change(changes) => changes.iter().for_each(|change| text.push_str(&line(step, mark, change))),
        }
    }
    let tally = done.planned.tally;
    let (changed, later, in_sync) = (tally.changed, tally.later, tally.in_sync);
    let _ = writeln!(
        text,
        "= {changed} change, {later} later, {in_sync} in sync, {} blocked, {} unreachable, {} behind them",
        tally.blocked, tally.failed, tally.skipped
    );
    text
}

fn applies(event: &Event) -> bool {
    matches!(event.what, What::RunStarted { pass: Pass::Apply, .. })
}

fn line(step: &impl std::fmt::Display, mark: &str, change: &Change) -> String {
    let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    let from = change.from.as_deref().map_or(String::new(), |from| format!("{} → ", first(from)));
    format!("~ {step}{mark}: {}: {from}{}\n", change.field, first(&change.to))
}

/// The example, brought up.
fn brought_up(site: &Arc<Site>) -> Snapshot {
    in_virtual_time(async {
        let world = SimWorld::resume(&Story::fresh().trusted().begin(site));
        let done = Runner { approve: &approve_all, ..Runner::new(site, "long-ago") }.run(&world).await.unwrap();
        assert!(done.converged(), "{:#?}", done.troubles());
        world.stop()
    })
    .unwrap()
}

#[test]
fn fresh_site() {
    let site = Arc::new(common::one_board());
    let (plan, done) = play(&site, &Story::fresh().trusted().begin(&site), |_| {});
    insta::assert_snapshot!(plan);
    assert!(done.converged(), "{:#?}", done.troubles());
}

#[test]
fn half_done_site() {
    let site = Arc::new(common::one_board());
    let story = Story::fresh()
        .trusted()
        .with("node01", Condition::Installed)
        .with("node02", Condition::Flashed)
        .with("node03", Condition::Silent)
        .with("node04", Condition::SwitchedOff);
    let (plan, done) = play(&site, &story.begin(&site), |_| {});
    insta::assert_snapshot!(plan);
    // Those that may live are left alone, since nobody named them; the rest goes on without them.
    let mut blocked: Vec<String> = done.troubles().into_iter().filter(|trouble| !trouble.contains("Skipped")).collect();
    blocked.sort_unstable();
    assert_eq!(blocked.len(), 2, "{blocked:#?}");
    for (blocked, node) in blocked.iter().zip(["node03", "node04"]) {
        assert!(blocked.starts_with(&format!("{node}/provisioned_slot: Blocked")), "{blocked:#?}");
    }
}

#[test]
fn nothing_to_do() {
    let site = Arc::new(common::one_board());
    let (plan, done) = play(&site, &brought_up(&site), |_| {});
    insta::assert_snapshot!(plan);
    assert!(done.in_sync());
}

#[test]
fn limit_one_worker() {
    let site = Arc::new(common::one_board());
    let snapshot = brought_up(&site);
    let aged = in_virtual_time(async {
        let world = SimWorld::resume(&snapshot);
        world.age();
        world.stop()
    });
    let (plan, done) = play(&site, &aged.unwrap(), |runner| {
        let scope = &mut runner.scope;
        scope.controller = false;
        scope.nodes = [NodeName::new("node03")].into();
        scope.boards = [BoardName::new("turingpi")].into();
        scope.named = scope.nodes.clone();
    });
    insta::assert_snapshot!(plan);
    assert!(done.converged(), "{:#?}", done.troubles());
    let touched = done.events.iter().filter_map(|event| match &event.what {
        What::ActionStarted { target, .. } => Some(target.to_string()),
        _ => None,
    });
    let touched: std::collections::BTreeSet<String> = touched.collect();
    assert!(touched.iter().all(|target| ["node03", "cluster"].contains(&target.as_str())), "{touched:?}");
}

#[test]
fn tags_k3s() {
    let site = Arc::new(common::no_board());
    let (plan, done) = play(&site, &Story::fresh().trusted().begin(&site), |runner| {
        runner.scope.stages = [StageName::K3s].into();
    });
    insta::assert_snapshot!(plan);
    assert!(done.converged(), "{:#?}", done.troubles());
}

#[test]
fn dead_worker() {
    let site = Arc::new(common::one_board());
    let story = Story::fresh().trusted().with("nuc01", Condition::Dead);
    let (plan, done) = play(&site, &story.begin(&site), |_| {});
    insta::assert_snapshot!(plan);
    // It stops its own lane and nothing else: the cluster comes up without it.
    let healthy = done.events.iter().any(|event| match &event.what {
        What::StepEnded { step, outcome, .. } => {
            step.as_str() == "cluster/all-cluster-services-healthy" && *outcome == Outcome::Changed
        }
        _ => false,
    });
    assert!(healthy, "{:#?}", done.troubles());
    assert!(done.troubles().iter().all(|trouble| trouble.starts_with("nuc01/")), "{:#?}", done.troubles());
}
