//! A run that dies, at whichever event, is gone on with by the next one.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use bringup_sim::{SimWorld, Snapshot, Story, in_virtual_time};
use common::Runner;

const THREADS: usize = 2;

/// Kills the run at this event and runs again; what is wrong then, if anything is. `None`: it ended before.
async fn killed_at(
    site: &Arc<bringup_core::site::Site>,
    snapshot: &Snapshot,
    event: usize,
) -> Option<Result<(), String>> {
    let world = SimWorld::resume(snapshot);
    let killed = Runner { dies_after: Some(event), ..Runner::new(site, "killed") };
    if killed.run(&world).await.is_some() {
        return None;
    }
    // Someone reads what happened and runs it again; a machine that was told to reboot is back by then.
    tokio::time::sleep(Duration::from_secs(120)).await;
    let again = Runner::new(site, "again").run(&world).await?;
    Some(match world.violations().first() {
        Some(violation) => Err(violation.clone()),
        None if again.converged() => Ok(()),
        None => Err(format!("{:?} {:#?}", again.applied.tally, again.troubles())),
    })
}

#[test]
fn a_run_killed_at_any_event_is_gone_on_with() {
    let site = Arc::new(common::one_board());
    let snapshot = Story::fresh().begin(&site);
    let killed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=THREADS)
            .map(|first| {
                let (site, snapshot) = (&site, &snapshot);
                scope.spawn(move || {
                    let mut killed = 0;
                    for event in (first..).step_by(THREADS) {
                        match in_virtual_time(killed_at(site, snapshot, event)).unwrap() {
                            None => break,
                            Some(Ok(())) => killed += 1,
                            Some(Err(trouble)) => panic!("killed at event {event}: {trouble}"),
                        }
                    }
                    killed
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    println!("killed at {killed} events, one after the other");
    assert!(killed > 1000, "only {killed} events");
}
