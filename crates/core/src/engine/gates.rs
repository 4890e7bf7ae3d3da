//! What holds lanes together: ends that are waited for, and spans of exclusive use.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::lanes::{ByLane, ByStep, Lanes, Need};
use crate::ids::{Label, Span};

/// How a step or a lane ended, for those who wait.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct End {
    /// Whether what comes after may rely on it.
    pub holds: bool,
    /// The step that decided it.
    pub by: Label,
}

#[derive(Default)]
struct EndState {
    end: Option<End>,
    waiting: Vec<oneshot::Sender<End>>,
}

/// The ends that others wait for. Waiters go on in the order in which they came.
pub(crate) struct Ends {
    steps: Mutex<ByStep<EndState>>,
    lanes: Mutex<ByLane<EndState>>,
}

impl Ends {
    /// Nothing has ended yet, but lanes that no step stands in: nobody walks them.
    pub fn new(lanes: &Lanes) -> Self {
        let ends = Self { steps: Mutex::new(ByStep::of(lanes)), lanes: Mutex::new(ByLane::of(lanes)) };
        for lane in lanes.empty() {
            ends.close(Need::Ended(lane), End { holds: true, by: lanes.name(lane).clone() });
        }
        ends
    }

    fn with<T>(&self, need: Need, change: impl FnOnce(&mut EndState) -> T) -> T {
        match need {
            Need::Held(step) => change(&mut self.steps.lock().unwrap_or_else(PoisonError::into_inner)[step]),
            Need::Ended(lane) => change(&mut self.lanes.lock().unwrap_or_else(PoisonError::into_inner)[lane]),
        }
    }

    /// Records an end.
    pub fn close(&self, ended: Need, end: End) {
        self.with(ended, |state| {
            for waiter in state.waiting.drain(..) {
                // Who no longer waits need not know.
                let _ = waiter.send(end.clone());
            }
            state.end = Some(end);
        });
    }

    /// How a step or a lane ended, if it has.
    pub fn now(&self, need: Need) -> Option<End> {
        self.with(need, |state| state.end.clone())
    }

    /// Waits for an end; `None` where the walk is given up before.
    pub async fn wait(&self, need: Need) -> Option<End> {
        let receiver = self.with(need, |state| match &state.end {
            Some(end) => Err(end.clone()),
            None => {
                let (sender, receiver) = oneshot::channel();
                state.waiting.push(sender);
                Ok(receiver)
            }
        });
        match receiver {
            Ok(receiver) => receiver.await.ok(),
            Err(end) => Some(end),
        }
    }
}

/// How long the first grant of a span waits for others who want it too: they come at nearly the same time, and the one
/// with most to do afterwards shall be first.
const SETTLE: Duration = Duration::from_secs(8);

#[derive(Default)]
struct SpanState {
    held: bool,
    /// Until when nobody is granted it.
    settled_at: Option<Instant>,
    last_holder: Option<Label>,
    waiting: BTreeMap<(Reverse<Duration>, Label), oneshot::Sender<()>>,
}

/// Spans of exclusive use, granted to the one with the longest way still to go.
#[derive(Default)]
pub(crate) struct Spans {
    spans: Mutex<BTreeMap<Span, SpanState>>,
}

/// What a grant tells.
pub(crate) struct Grant {
    /// Who had the span before.
    pub after: Option<Label>,
}

impl Spans {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Span, SpanState>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the span is this step's. Dropping the future leaves the queue; a span that was granted to a
    /// dropped waiter goes to the next.
    ///
    /// `long`: it is held for so long that the first grant waits for others who come at nearly the same time.
    pub async fn take(&self, span: &Span, step: &Label, remaining: Duration, long: bool) -> Grant {
        let (sender, mut granted) = oneshot::channel();
        let settled_at = {
            let mut spans = self.lock();
            let state = spans.entry(span.clone()).or_default();
            state.waiting.insert((Reverse(remaining), step.clone()), sender);
            let settling = if long { SETTLE } else { Duration::ZERO };
            *state.settled_at.get_or_insert_with(|| Instant::now() + settling)
        };
        if Instant::now() < settled_at {
            tokio::time::sleep_until(settled_at).await;
        }
        self.grant(span);
        // A sender is dropped only when its waiter was replaced by itself; then the span is simply not ours.
        let _ = (&mut granted).await;
        Grant { after: self.lock().get(span).and_then(|state| state.last_holder.clone()) }
    }

    /// Gives the span back.
    pub fn release(&self, span: &Span, step: &Label) {
        if let Some(state) = self.lock().get_mut(span) {
            state.held = false;
            state.last_holder = Some(step.clone());
        }
        self.grant(span);
    }

    fn grant(&self, span: &Span) {
        let mut spans = self.lock();
        let Some(state) = spans.get_mut(span) else { return };
        while !state.held {
            let Some((_, waiter)) = state.waiting.pop_first() else { return };
            state.held = waiter.send(()).is_ok();
        }
    }
}
