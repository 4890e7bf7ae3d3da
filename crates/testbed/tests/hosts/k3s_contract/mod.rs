//! The recording of the real k3s, replayed against the stand-in on two hosts: every line is compared.
//!
//! State carries over from line to line, as it did when it was recorded. What a section needs beside its commands is
//! declared in `stage.rs`; what may differ, in `compare.rs`, each with why. How long something took is not compared.

mod compare;
pub mod nodes;
pub mod pattern;
mod stage;

use serde_json::Value;
use stage::Stage;

const RECORDING: &str = include_str!("../../contract/k3s.jsonl");

#[test]
#[ignore = "needs root and real hosts"]
fn what_was_recorded_of_the_real_k3s_holds_for_the_stand_in() {
    let mut stage = Stage::set("k3s-contract");
    let (mut compared, mut different) = (0, Vec::new());
    for (number, line) in RECORDING.lines().enumerate() {
        let line: Value = serde_json::from_str(line).unwrap();
        let begun = std::time::Instant::now();
        stage.before(&line);
        for difference in compare::line(&mut stage, &line) {
            different.push(format!("line {}, {}: {difference}", number + 1, line["note"]));
        }
        compared += 1;
        eprintln!("line {}, {}: {:.1?}", number + 1, line["note"], begun.elapsed());
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert_eq!(compared, 24);
}
