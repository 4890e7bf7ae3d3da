//! The recordings of the real k3s v1.36.3+k3s1, replayed against the stand-in on two hosts of the same names.
//!
//! What is compared is what a controller can see: what the install script prints, asks for and leaves; units, their states
//! and their order; journals; files and their modes; Nodes, leases and secrets. How long something took is not compared.
//! What the stand-in does not play is listed where it is compared, each with why, and in `docs/TESTBED-K3S.md`.

mod failures;
mod install;
mod mirror;
mod objects;
mod stage;
mod starts;
mod units;

use serde_json::Value;
use stage::Stage;

/// The lines of a recording.
fn lines(recording: &str) -> impl Iterator<Item = Value> {
    recording.lines().map(|line| serde_json::from_str(line).unwrap())
}

/// Those lines of it whose note begins with this.
fn noted(recording: &str, note: &str) -> Vec<Value> {
    let lines: Vec<Value> = lines(recording).filter(|line| line["note"].as_str().unwrap().starts_with(note)).collect();
    assert!(!lines.is_empty(), "nothing is noted as `{note}`");
    lines
}

/// A sentence if it is not so.
fn unless(so: bool, what: impl FnOnce() -> String) -> Vec<String> {
    if so { Vec::new() } else { vec![what()] }
}

#[test]
#[ignore = "needs root and real hosts"]
fn what_was_recorded_of_k3s_1_36_holds_for_the_stand_in() {
    let stage = Stage::set("k3s-136");
    let mut different = Vec::new();
    let mut part = |name: &str, compare: &dyn Fn(&Stage) -> Vec<String>| {
        let begun = std::time::Instant::now();
        different.extend(compare(&stage).into_iter().map(|difference| format!("{name}: {difference}")));
        eprintln!("{name}: {:.1?}", begun.elapsed());
    };
    part("the install script's runs", &install::probes);
    part("first start of a server", &starts::server);
    part("first start of an agent", &starts::agent);
    part("units and files", &units::all);
    part("objects", &objects::all);
    part("the install script on a joined agent", &install::on_a_joined_agent);
    part("restarts", &starts::restarts);
    part("agents that do not join", &failures::all);
    part("a Node that is deleted", &objects::deleted);
    part("an agent that is stopped", &starts::stopped);
    part("uninstalling", &units::uninstalled);
    assert!(different.is_empty(), "{}", different.join("\n"));
}
