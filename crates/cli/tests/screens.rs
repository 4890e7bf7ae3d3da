//! What an operator sees of a plan and of a run where nothing can be drawn over, from the real binary.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::process::Command;

/// What a rehearsal prints, and how it ends. It is the same each time: the seed decides what goes wrong, and time is virtual.
fn rehearsal(arguments: &[&str]) -> String {
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bringup"));
    let run = command.arg("rehearse").args(arguments).current_dir(nowhere.path()).env_clear().output().unwrap();
    let (out, err) = (String::from_utf8(run.stdout).unwrap(), String::from_utf8(run.stderr).unwrap());
    format!("{out}{err}exit status {}\n", run.status.code().unwrap())
}

#[test]
fn a_plan() {
    insta::assert_snapshot!(rehearsal(&["--plan-only"]));
}

#[test]
fn a_plan_of_one_node_with_contents() {
    insta::assert_snapshot!(rehearsal(&["--plan-only", "--diff", "--limit", "ws01"]));
}

#[test]
fn a_run_in_which_things_go_wrong() {
    insta::assert_snapshot!(rehearsal(&["--faults", "--seed", "7"]));
}

#[test]
fn each_action_and_each_wait() {
    insta::assert_snapshot!(rehearsal(&["-vv"]));
}
