//! Seeds times faults: with faults on, safety always holds; once they stop, every site converges.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use std::ops::Range;

use bringup_core::sabotage::Guards;
use common::swarm;

/// The seeds that the swarm tries. `BRINGUP_SEED=7` tries one alone, `BRINGUP_SEED=1000..9000` others.
const SEEDS: Range<u64> = 0..1000;
const THREADS: usize = 2;

#[test]
fn a_thousand_seeds_stay_safe_and_converge() {
    let seeds = std::env::var("BRINGUP_SEED").map_or(SEEDS, |words| match words.split_once("..") {
        Some((from, to)) => from.parse().unwrap()..to.parse().unwrap(),
        None => words.parse().map(|seed| seed..seed + 1).unwrap(),
    });
    let failures: Vec<(u64, String)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let seeds = seeds.clone().skip(thread).step_by(THREADS);
                scope.spawn(move || {
                    seeds
                        .filter_map(|seed| Some((seed, swarm::run(seed, Guards::default()).err()?)))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    for (seed, failure) in failures.iter().take(5) {
        println!("seed {seed}: {failure}");
    }
    assert!(failures.is_empty(), "{} of {} seeds failed; the first: {}", failures.len(), seeds.count(), failures[0].0);
}
