//! Without faults, every site converges in one run, and the next one changes nothing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::sync::Arc;

use bringup_core::run::report::Report;
use bringup_core::site::Site;
use bringup_sim::{SimWorld, Story, in_virtual_time};
use common::Runner;

fn converges(site: Site) {
    let site = Arc::new(site);
    in_virtual_time(async {
        let world = SimWorld::resume(&Story::fresh().begin(&site));
        let first = Runner::new(&site, "first").run(&world).await.unwrap();
        assert!(first.converged(), "{:?} {:#?}", first.applied.tally, first.troubles());
        let report = Report::of(&first.events).unwrap();
        println!("{} of {}: {:#?}", report.predicted_ms, report.stage_by_stage_ms, report.chain);
        println!("{:#?}", report.stages);
        let chain: u64 = report.chain.iter().map(|link| link.ms).sum();
        assert!(chain <= report.predicted_ms && chain + 60_000 > report.predicted_ms, "the chain has a gap: {chain}");
        let second = Runner::new(&site, "second").run(&world).await.unwrap();
        assert!(!second.planned.changes(), "{:?}", second.planned.tally);
        assert!(second.in_sync(), "{:?} {:#?}", second.applied.tally, second.troubles());
        assert_eq!(world.violations(), Vec::<String>::new());
    })
    .unwrap();
}

#[test]
fn one_board_with_two_extra_machines() {
    converges(common::one_board());
}

#[test]
fn two_boards_with_eight_modules() {
    converges(common::two_boards());
}

#[test]
fn machines_without_any_board() {
    converges(common::no_board());
}
