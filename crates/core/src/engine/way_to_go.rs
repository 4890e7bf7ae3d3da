//! How long the way is from each step to the end of the run: the longest path through lanes and gates, less what is
//! spent inside spans. That sum is the same in whichever order a span is given away; what comes after it is not, and
//! to serve the longest first ends earliest (Jackson's rule for one machine with delivery times).

use std::collections::BTreeMap;
use std::time::Duration;

use super::lane::{Lane, Need};
use crate::ids::Label;

/// For each step, by lane and place, the longest estimated time outside spans from it to the end of the run.
///
/// `acts` says whether a step is expected to do something; the others cost next to nothing.
pub(crate) fn ways_to_go(lanes: &[Lane], acts: impl Fn(&Label) -> bool) -> Vec<Vec<Duration>> {
    let labels: Vec<Vec<Label>> =
        lanes.iter().map(|lane| lane.steps.iter().map(|placed| placed.step.label()).collect()).collect();
    let mut place_of = BTreeMap::new();
    for (lane, steps) in labels.iter().enumerate() {
        for (index, label) in steps.iter().enumerate() {
            place_of.insert(label, (lane, index));
        }
        if let Some(last) = steps.len().checked_sub(1) {
            place_of.insert(&lanes[lane].label, (lane, last));
        }
    }
    let mut followers: Vec<Vec<Vec<(usize, usize)>>> =
        labels.iter().map(|steps| vec![Vec::new(); steps.len()]).collect();
    let mut open: Vec<Vec<usize>> = labels.iter().map(|steps| vec![0; steps.len()]).collect();
    for (lane, steps) in lanes.iter().enumerate() {
        for (index, placed) in steps.steps.iter().enumerate() {
            let needed = placed.needs.iter().map(Need::label);
            let before = needed.filter_map(|label| place_of.get(label).copied());
            for (their_lane, their_index) in before.chain(index.checked_sub(1).map(|index| (lane, index))) {
                followers[their_lane][their_index].push((lane, index));
                open[lane][index] += 1;
            }
        }
    }
    let order = in_order(&followers, open);
    let mut ways: Vec<Vec<Duration>> = labels.iter().map(|steps| vec![Duration::ZERO; steps.len()]).collect();
    for (lane, index) in order.into_iter().rev() {
        let onward = followers[lane][index].iter().map(|&(lane, index)| ways[lane][index]).max();
        let step = &lanes[lane].steps[index].step;
        let outside_spans = step.estimate().saturating_sub(step.estimate_in_span());
        let own = if acts(&labels[lane][index]) { outside_spans } else { Duration::ZERO };
        ways[lane][index] = own + onward.unwrap_or(Duration::ZERO);
    }
    ways
}

/// The steps, each after all that it waits for.
fn in_order(followers: &[Vec<Vec<(usize, usize)>>], mut open: Vec<Vec<usize>>) -> Vec<(usize, usize)> {
    let mut ready: Vec<(usize, usize)> = Vec::new();
    for (lane, counts) in open.iter().enumerate() {
        ready.extend(counts.iter().enumerate().filter(|(_, count)| **count == 0).map(|(index, _)| (lane, index)));
    }
    let mut order = Vec::new();
    while let Some((lane, index)) = ready.pop() {
        order.push((lane, index));
        for &(their_lane, their_index) in &followers[lane][index] {
            open[their_lane][their_index] -= 1;
            if open[their_lane][their_index] == 0 {
                ready.push((their_lane, their_index));
            }
        }
    }
    order
}
