//! The same seed gives the same events, byte for byte, and what is written of them is read back.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use bringup_core::run::event::{Event, Log};
use bringup_sim::{Faults, SimWorld, Story, in_virtual_time};
use common::{Runner, approve_all};

fn events(seed: u64) -> Vec<Event> {
    let site = Arc::new(common::two_boards());
    in_virtual_time(async {
        let world = SimWorld::resume(&Story::fresh().begin(&site));
        world.set_faults(Faults::seeded(seed));
        Runner { approve: &approve_all, ..Runner::new(&site, "run") }.run(&world).await.unwrap().events
    })
    .unwrap()
}

fn text(seed: u64) -> String {
    let lines = events(seed).iter().map(|event| serde_json::to_string(event).unwrap()).collect::<Vec<_>>();
    lines.join("\n")
}

#[test]
fn the_same_seed_gives_the_same_events() {
    for seed in 0..40 {
        let (once, again) = (text(seed), text(seed));
        let differs = once.lines().zip(again.lines()).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(once.len(), again.len(), "seed {seed}");
    }
    assert_ne!(text(1), text(2));
}

#[test]
fn what_is_written_is_read_back() {
    let mut kinds = BTreeSet::new();
    for seed in 0..40 {
        let mut log = Log::default();
        for event in events(seed) {
            let line = serde_json::to_string(&event).unwrap();
            let record = log.read(line.as_bytes()).unwrap();
            kinds.insert(record.fields["event"].to_string());
            assert_eq!(serde_json::to_string(&record.fields).unwrap(), line);
            assert_eq!(record.event, Some(event), "{line}");
        }
    }
    // All but the operator's wish to stop.
    assert_eq!(kinds.len(), 16, "{kinds:?}");
}
