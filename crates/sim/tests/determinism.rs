//! The same seed gives the same events, byte for byte.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::sync::Arc;

use bringup_sim::{Faults, SimWorld, Story, in_virtual_time};
use common::{Runner, approve_all};

fn events(seed: u64) -> String {
    let site = Arc::new(common::two_boards());
    in_virtual_time(async {
        let world = SimWorld::resume(&Story::fresh().begin(&site));
        world.set_faults(Faults::seeded(seed));
        let done = Runner { approve: &approve_all, ..Runner::new(&site, "run") }.run(&world).await.unwrap();
        let lines = done.events.iter().map(|event| serde_json::to_string(event).unwrap());
        lines.collect::<Vec<_>>().join("\n")
    })
    .unwrap()
}

#[test]
fn the_same_seed_gives_the_same_events() {
    for seed in 0..40 {
        let (once, again) = (events(seed), events(seed));
        let differs = once.lines().zip(again.lines()).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(once.len(), again.len(), "seed {seed}");
    }
    assert_ne!(events(1), events(2));
}
