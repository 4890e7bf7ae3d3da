//! How long the way is from each step to the end of the run: the longest path through lanes and gates, less what is
//! spent inside spans. That sum is the same in whichever order a span is given away; what comes after it is not, and
//! to serve the longest first ends earliest (Jackson's rule for one machine with delivery times).

use std::time::Duration;

use super::lanes::{ByStep, Lanes, Need, StepId};

/// For each step the longest estimated time outside spans from it to the end of the run.
///
/// `acts` says whether a step is expected to do something; the others cost next to nothing.
pub(crate) fn remaining(lanes: &Lanes, acts: impl Fn(StepId) -> bool) -> ByStep<Duration> {
    let mut followers: ByStep<Vec<StepId>> = ByStep::of(lanes);
    let mut open: ByStep<usize> = ByStep::of(lanes);
    for lane in lanes.order() {
        let mut before: Option<StepId> = None;
        for &step in lanes.steps_of(lane) {
            let needed = lanes.get(step).needs.iter().filter_map(|need| match need {
                Need::Held(step) => Some(*step),
                Need::Ended(lane) => lanes.steps_of(*lane).last().copied(),
            });
            for first in needed.chain(before) {
                followers[first].push(step);
                open[step] += 1;
            }
            before = Some(step);
        }
    }
    let mut ways: ByStep<Duration> = ByStep::of(lanes);
    for step in in_order(lanes, &followers, open).into_iter().rev() {
        let onward = followers[step].iter().map(|next| ways[*next]).max();
        let resource = &lanes.get(step).step;
        let outside_spans = resource.estimate().saturating_sub(resource.estimate_in_span());
        let own = if acts(step) { outside_spans } else { Duration::ZERO };
        ways[step] = own + onward.unwrap_or(Duration::ZERO);
    }
    ways
}

/// The steps, each after all that it waits for.
fn in_order(lanes: &Lanes, followers: &ByStep<Vec<StepId>>, mut open: ByStep<usize>) -> Vec<StepId> {
    let mut ready: Vec<StepId> = lanes.all().iter().map(|placed| placed.id()).filter(|step| open[*step] == 0).collect();
    let mut order = Vec::new();
    while let Some(step) = ready.pop() {
        order.push(step);
        for &next in &followers[step] {
            open[next] -= 1;
            if open[next] == 0 {
                ready.push(next);
            }
        }
    }
    order
}
