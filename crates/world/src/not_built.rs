//! The doors that this build does not have yet.

use bringup_core::deed::{Deed, Reply};
use bringup_core::fault::{Cause, Fault};
use bringup_core::names::Target;
use bringup_core::probe::{Answer, Probe};
use bringup_core::world::{Going, Progress, World};

/// A world without doors: every question and every deed is a fault of cause `NotBuilt`.
#[derive(Clone, Copy, Debug, Default)]
pub struct NotBuilt;

fn not_built(target: &Target, doing: String) -> Fault {
    Fault::new(Cause::NotBuilt, target.clone(), doing)
        .next("this build reaches no real machine; `bringup rehearse -i SITE` plays the same steps without any")
}

impl World for NotBuilt {
    fn ask<'a>(&'a self, target: &'a Target, probes: &'a [Probe]) -> Going<'a, Vec<Result<Answer, Fault>>> {
        let answers = probes.iter().map(|probe| Err(not_built(target, format!("ask for {}", probe.word())))).collect();
        Box::pin(std::future::ready(answers))
    }

    fn act<'a>(&'a self, target: &'a Target, deed: &'a Deed, _: Progress<'a>) -> Going<'a, Result<Reply, Fault>> {
        Box::pin(std::future::ready(Err(not_built(target, deed.to_string()))))
    }
}
