//! Seeds times faults: with faults on, safety always holds; once they stop, every site converges.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use bringup_core::sabotage::Guards;
use common::swarm;

/// How many seeds the swarm tries. `BRINGUP_SEED` tries one alone.
const SEEDS: u64 = 1000;
const THREADS: u64 = 2;

#[test]
fn a_thousand_seeds_stay_safe_and_converge() {
    if let Ok(seed) = std::env::var("BRINGUP_SEED") {
        swarm::run(seed.parse().unwrap(), Guards::default()).unwrap();
        return;
    }
    let failures: Vec<(u64, String)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    let seeds = (thread..SEEDS).step_by(THREADS as usize);
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
    assert!(failures.is_empty(), "{} of {SEEDS} seeds failed; the first: {}", failures.len(), failures[0].0);
}
