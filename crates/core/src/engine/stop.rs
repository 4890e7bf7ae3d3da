//! The operator's wish to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Shared between whoever asks to stop and the run: asked once, it stays asked.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    asked: AtomicBool,
    /// Wakes in the order of the waiters. A watch channel would not: it spreads them at random, and the same seed
    /// would give other events.
    waiters: Notify,
}

impl Stop {
    /// Asks to stop.
    pub fn ask(&self) {
        self.0.asked.store(true, Ordering::Relaxed);
        self.0.waiters.notify_waiters();
    }

    /// Whether it was asked.
    pub fn asked(&self) -> bool {
        self.0.asked.load(Ordering::Relaxed)
    }

    /// Waits until it is asked.
    pub async fn wait(&self) {
        let waiter = self.0.waiters.notified();
        if !self.asked() {
            waiter.await;
        }
    }
}
