//! What holds lanes together: ends that are waited for, and spans of exclusive use.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::ids::Label;

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

/// The ends that someone waits for. Waiters go on in the order in which they came.
pub(crate) struct Ends {
    ends: Mutex<BTreeMap<Label, EndState>>,
}

impl Ends {
    /// Ends of these labels can be waited for.
    pub fn new(awaited: impl IntoIterator<Item = Label>) -> Self {
        Self { ends: Mutex::new(awaited.into_iter().map(|label| (label, EndState::default())).collect()) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Label, EndState>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a label is part of the run.
    pub fn knows(&self, label: &Label) -> bool {
        self.lock().contains_key(label)
    }

    /// Records an end.
    pub fn close(&self, label: &Label, end: End) {
        if let Some(state) = self.lock().get_mut(label) {
            for waiter in state.waiting.drain(..) {
                // Who no longer waits need not know.
                let _ = waiter.send(end.clone());
            }
            state.end = Some(end);
        }
    }

    /// How a label ended, if it has.
    pub fn now(&self, label: &Label) -> Option<End> {
        self.lock().get(label).and_then(|state| state.end.clone())
    }

    /// Waits for an end; `None` if the label is no part of the run.
    pub async fn wait(&self, label: &Label) -> Option<End> {
        let receiver = {
            let mut ends = self.lock();
            let state = ends.get_mut(label)?;
            if let Some(end) = &state.end {
                return Some(end.clone());
            }
            let (sender, receiver) = oneshot::channel();
            state.waiting.push(sender);
            receiver
        };
        receiver.await.ok()
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
    spans: Mutex<BTreeMap<Label, SpanState>>,
}

/// What a grant tells.
pub(crate) struct Grant {
    /// Who had the span before.
    pub after: Option<Label>,
}

impl Spans {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Label, SpanState>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the span is this step's. Dropping the future leaves the queue; a span that was granted to a
    /// dropped waiter goes to the next.
    ///
    /// `long`: it is held for so long that the first grant waits for others who come at nearly the same time.
    pub async fn take(&self, span: &Label, step: &Label, way_to_go: Duration, long: bool) -> Grant {
        let (sender, mut granted) = oneshot::channel();
        let settled_at = {
            let mut spans = self.lock();
            let state = spans.entry(span.clone()).or_default();
            state.waiting.insert((Reverse(way_to_go), step.clone()), sender);
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
    pub fn release(&self, span: &Label, step: &Label) {
        if let Some(state) = self.lock().get_mut(span) {
            state.held = false;
            state.last_holder = Some(step.clone());
        }
        self.grant(span);
    }

    fn grant(&self, span: &Label) {
        let mut spans = self.lock();
        let Some(state) = spans.get_mut(span) else { return };
        while !state.held {
            let Some((_, waiter)) = state.waiting.pop_first() else { return };
            state.held = waiter.send(()).is_ok();
        }
    }
}
