//! The real binary: what it says, and with which status it ends.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Runs it where nothing is, with nobody to ask.
fn bringup(arguments: &[&str]) -> Output {
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bringup"));
    command.args(arguments).current_dir(nowhere.path()).env("HOME", nowhere.path()).env_remove("BIN_DIR");
    command.env_remove("ANSIBLE_VAULT_PASSWORD_FILE").stdin(std::process::Stdio::null());
    command.output().unwrap()
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The example on the disk: a copy that a run may write its lock into.
fn example() -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_into(&tests().join("../../../examples/turing-pi"), copy.path());
    copy
}

fn copy_into(from: &Path, to: &Path) {
    for entry in from.read_dir().unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_into(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

#[test]
fn every_problem_of_a_site_in_one_report() {
    let site = tests().join("broken");
    let run = bringup(&["rehearse", "-i", site.to_str().unwrap()]);
    assert_eq!(status(&run), 2);
    assert_eq!(out(&run), "", "nothing is played on a site that is not sound");
    insta::assert_snapshot!(err(&run).replace(site.to_str().unwrap(), "SITE"));
}

#[test]
fn a_rehearsal_of_the_example_ends_with_what_the_real_thing_would_take() {
    let run = bringup(&["rehearse"]);
    assert_eq!(status(&run), 0, "{}", err(&run));
    let text = out(&run);
    for part in [
        "This may hurt:",
        "! erase eMMC of node02",
        "The real thing would take about ",
        "Stage by stage, as the playbook runs, it would take ",
        "What decides the time is this chain of steps:",
        "A second pass changes nothing: all ",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn the_example_in_the_binary_is_the_one_on_the_disk() {
    let site = example();
    let embedded = out(&bringup(&["rehearse", "--plan-only", "--json"]));
    let on_disk = bringup(&[
        "rehearse",
        "--plan-only",
        "--json",
        "-i",
        site.path().to_str().unwrap(),
        "-e",
        "bin_dir=/home/user/bin",
    ]);
    let steps = |text: &str| text.lines().filter(|line| line.contains("\"step_planned\"")).count();
    assert_eq!(steps(&embedded), steps(&out(&on_disk)), "{}", err(&on_disk));
    assert!(steps(&embedded) > 100);
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let story = |seed: &str| {
        let run = bringup(&["rehearse", "--json", "--faults", "--seed", seed]);
        assert_eq!(status(&run), 0, "seed {seed}: {}", err(&run));
        out(&run)
    };
    assert_eq!(story("7"), story("7"));
    assert_ne!(story("7"), story("8"));
    assert!(story("7").contains("\"retrying\""), "with faults on something is tried again");
}

#[test]
fn json_is_one_event_a_line_and_holds_the_report() {
    let run = bringup(&["rehearse", "--json"]);
    let events: Vec<serde_json::Value> = out(&run)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let report = events.last().unwrap();
    assert_eq!(report["event"], "report");
    assert!(report["predicted_ms"].as_u64().unwrap() < report["stage_by_stage_ms"].as_u64().unwrap());
    assert!(!report["chain"].as_array().unwrap().is_empty());
}

#[test]
fn limits_and_tags_are_ansibles() {
    let planned = |arguments: &[&str]| {
        let run = bringup(&[&["rehearse", "--plan-only", "--json"], arguments].concat());
        // On new hardware a worker alone finds no cluster to join, and the plan says so with status 1.
        assert!(status(&run) <= 1, "{arguments:?}: {}", err(&run));
        let lines: Vec<serde_json::Value> = out(&run).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let steps = lines.iter().filter(|line| line["event"] == "step_planned");
        steps.map(|line| line["step"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let node03 = planned(&["--limit", "node03"]);
    assert!(node03.iter().any(|step| step == "turingpi/known_host"), "a node brings its board along: {node03:?}");
    assert!(
        node03.iter().all(|step| !step.starts_with("node02/") && !step.starts_with("controller/helm")),
        "{node03:?}"
    );
    let board = planned(&["--limit", "turingpi"]);
    assert!(board.iter().all(|step| step.starts_with("turingpi/")), "a board does not bring its nodes: {board:?}");
    let servers = planned(&["--tags", "servers", "--limit", "node02,!node03"]);
    assert!(servers.iter().any(|step| step.starts_with("node02/")), "{servers:?}");
    assert!(servers.iter().all(|step| !step.ends_with("k3s_agent")), "{servers:?}");
    assert_eq!(planned(&["--skip-tags", "tools,flash,known_hosts,servers,cluster"]), planned(&["--tags", "k3s"]));
}

#[test]
fn what_selects_nothing_is_an_error() {
    for (arguments, message) in [
        (vec!["--tags", "k3d"], "there is no stage `k3d`\n  help: did you mean `k3s`?"),
        (vec!["--limit", "node3"], "there is no host or group `node3`\n  help: did you mean `node03`?"),
        (vec!["--limit", "node01,!node01"], "--limit node01,!node01 selects nothing"),
        (vec!["--tags", "k3s", "--skip-tags", "k3s"], "no stage is left to run"),
        (vec!["-e", "nonsense"], "`nonsense` sets no variable"),
        (vec!["-i", "/nowhere"], "there is no /nowhere"),
    ] {
        let run = bringup(&[&["rehearse"], arguments.as_slice()].concat());
        assert_eq!(status(&run), 2, "{arguments:?}");
        assert!(err(&run).contains(message), "{arguments:?}: {}", err(&run));
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    for arguments in [&["frobnicate"] as &[&str], &["inventory"], &["rehearse", "--seed", "x"], &[]] {
        assert_eq!(status(&bringup(arguments)), 2, "{arguments:?}");
    }
    assert_eq!(status(&bringup(&["--help"])), 0);
}

#[test]
fn a_second_run_is_told_who_holds_the_site() {
    let site = example();
    std::fs::create_dir(site.path().join(".bringup")).unwrap();
    let lock = std::fs::File::create(site.path().join(".bringup/lock")).unwrap();
    lock.lock().unwrap();
    std::fs::write(site.path().join(".bringup/lock"), "apply by me (process 1) since yesterday").unwrap();
    let run = bringup(&["apply", "-i", site.path().to_str().unwrap()]);
    assert_eq!(status(&run), 1);
    assert!(
        err(&run).contains("another run is at work on this site: apply by me (process 1) since yesterday"),
        "{}",
        err(&run)
    );
}

#[test]
fn secrets_of_an_inventory_are_not_shown() {
    let site = tempfile::tempdir().unwrap();
    std::fs::write(
        site.path().join("hosts.yml"),
        "all:\n  hosts:\n    a:\n      ansible_password: hunter2\n      ansible_become_password: hunter3\n      open: seen\n",
    )
    .unwrap();
    let run = bringup(&["inventory", "--list", "-i", site.path().to_str().unwrap()]);
    assert_eq!(status(&run), 0, "{}", err(&run));
    assert!(out(&run).contains("seen") && !out(&run).contains("hunter"), "{}", out(&run));
}
