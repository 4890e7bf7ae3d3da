//! The recordings of the real bmcd, replayed against the stand-in: every line is compared.
//!
//! State carries over from line to line, as it did when they were recorded. What a section needs beside its requests is
//! declared in `before` and `after`; what may differ is masked in `masked`, and that is what the recordings' own README
//! allows: handles, tokens, durations, times of a block, sums of random data. The machine's facts are given as recorded,
//! so they are compared as they are.

mod calls;
mod expected;
mod faults;
mod stage;
mod tpi;

use std::sync::Arc;

use serde_json::Value;
use stage::Stage;

use super::transfer::Transfer;
use super::{Bmcd, lock};

const HTTP: &str = include_str!("../../tests/contract/bmcd-http.jsonl");
const PROGRESS: &str = include_str!("../../tests/contract/bmcd-progress.jsonl");

/// Ends the transfer of a daemon that a test is done with: a worker that waits would keep the test from its end.
struct Ended(Arc<Bmcd>);

impl Drop for Ended {
    fn drop(&mut self) {
        lock(&self.0.transfer).end(Transfer::Ready);
    }
}

impl std::ops::Deref for Ended {
    type Target = Arc<Bmcd>;

    fn deref(&self) -> &Arc<Bmcd> {
        &self.0
    }
}

/// Replays a recording; how many lines were compared.
async fn replay(recording: &str) -> usize {
    let mut stage = Stage::new(recording.contains("/mnt/sdcard/images/"));
    let mut compared = 0;
    for (number, line) in recording.lines().enumerate() {
        let line: Value = serde_json::from_str(line).unwrap();
        stage.before(&line);
        if let Err(difference) = stage.compare(&line).await {
            panic!("line {}: {line}\n{difference}", number + 1);
        }
        stage.after(&line).await;
        compared += 1;
    }
    compared
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_exchange_is_as_recorded() {
    assert_eq!(replay(HTTP).await, 91);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_of_the_progress_is_as_recorded() {
    assert_eq!(replay(PROGRESS).await, 51);
}
