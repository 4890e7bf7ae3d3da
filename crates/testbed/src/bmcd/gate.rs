//! What holds the writing of an eMMC back, and the end of a search for one: nothing, unless a test wants to look at a certain byte.

use tokio::sync::watch;

/// How far it may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// In which pass: 1 writes, 2 reads back.
    pub pass: u32,
    /// Up to which byte of it.
    pub bytes: u64,
}

impl Limit {
    /// No limit.
    pub const NONE: Self = Self { pass: u32::MAX, bytes: 0 };

    fn left(self, pass: u32, done: u64) -> u64 {
        match pass.cmp(&self.pass) {
            std::cmp::Ordering::Less => u64::MAX,
            std::cmp::Ordering::Equal => self.bytes.saturating_sub(done),
            std::cmp::Ordering::Greater => 0,
        }
    }
}

/// The gate that every worker passes before each piece.
#[derive(Debug)]
pub struct Gate(watch::Sender<Limit>);

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(Limit::NONE))
    }
}

impl Gate {
    /// Sets the limit, for whoever waits, too.
    #[cfg_attr(not(test), allow(dead_code, reason = "only tests hold workers back"))]
    pub fn set(&self, limit: Limit) {
        self.0.send_replace(limit);
    }

    /// Waits until at least one more byte may be handled; how many.
    pub async fn pass(&self, pass: u32, done: u64) -> u64 {
        let mut limit = self.0.subscribe();
        match limit.wait_for(|limit| limit.left(pass, done) > 0).await {
            Ok(limit) => limit.left(pass, done),
            Err(_) => u64::MAX,
        }
    }
}
