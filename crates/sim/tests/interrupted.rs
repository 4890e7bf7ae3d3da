//! An operator who asks to stop: what has begun is brought to a safe point, what was under way is named, and the next
//! run goes on from there.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use bringup_core::run::change::Outcome;
use bringup_core::run::event::What;
use bringup_core::run::fault::Cause;
use bringup_sim::{SimWorld, Story, in_virtual_time};
use common::Runner;

#[test]
fn nothing_half_done_goes_unsaid() {
    let site = Arc::new(common::one_board());
    let snapshot = Story::fresh().begin(&site);
    for event in (150..1300).step_by(23) {
        in_virtual_time(async {
            let world = SimWorld::resume(&snapshot);
            let stopped = Runner { stops_after: Some(event), ..Runner::new(&site, "stopped") };
            let stopped = stopped.run(&world).await.unwrap();
            if !stopped.applied.interrupted {
                return;
            }
            let asked = stopped.events.iter().position(|event| matches!(event.what, What::Interrupted)).unwrap();
            let begun: Vec<&What> = stopped.events[asked..].iter().map(|event| &event.what).collect();
            assert!(
                !begun.iter().any(|what| matches!(what, What::ActionStarted { .. })),
                "event {event}: an action was begun after the wish to stop"
            );
            // Every step that had begun says how it ended.
            let count = |wanted: fn(&What) -> bool| stopped.events.iter().filter(|event| wanted(&event.what)).count();
            let started = count(|what| matches!(what, What::StepStarted { .. }));
            let ended = count(|what| matches!(what, What::StepEnded { .. }));
            assert!(ended >= started, "event {event}: {started} steps began, {ended} ended");
            let actions = count(|what| matches!(what, What::ActionStarted { .. }));
            assert_eq!(actions, count(|what| matches!(what, What::ActionEnded { .. })), "event {event}");
            for what in begun {
                if let What::StepEnded { step, outcome: Outcome::Failed(fault), .. } = what {
                    assert_eq!(fault.cause, Cause::Interrupted, "event {event}: {step}");
                    assert!(fault.next.as_ref().is_some_and(|next| next.contains("run again")), "{fault:?}");
                }
            }
            tokio::time::sleep(Duration::from_secs(120)).await;
            let again = Runner::new(&site, "again").run(&world).await.unwrap();
            assert!(again.converged(), "event {event}: {:?} {:#?}", again.applied.tally, again.troubles());
            assert_eq!(world.violations(), Vec::<String>::new());
        })
        .unwrap();
    }
}
