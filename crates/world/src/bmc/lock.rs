//! The board's one writer.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::error::BmcError;
use crate::shell::bmc;
use crate::ssh::{Hold, Session};

/// How often the BMC is told that we are still there; it waits three times as long.
const BEAT: Duration = Duration::from_secs(30);

/// Who we are to a board.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    /// Tells this run from any other.
    token: String,
    /// In words, for whoever finds the board held.
    words: String,
}

impl Holder {
    /// This process.
    pub fn this() -> Self {
        let user = std::env::var("USER").unwrap_or_else(|_| "someone".to_owned());
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let at = if host.trim().is_empty() { String::new() } else { format!("@{}", host.trim()) };
        let since = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC");
        Self {
            token: format!("{:032x}", fastrand::u128(..)),
            words: format!("{user}{at} (process {}) since {since}", std::process::id()),
        }
    }
}

/// Takes the board at the other end of a session. It is given back when what is returned is dropped, and when the
/// connection dies.
pub(crate) async fn take(session: &Arc<Session>, holder: &Holder) -> Result<Hold, BmcError> {
    let (said, hold) = session.hold(&bmc::lock(&holder.token, &holder.words), BEAT).await?;
    match said.strip_prefix("busy") {
        None => Ok(hold),
        Some(who) if who.trim().is_empty() => Err(BmcError::Held("someone who does not say who".to_owned())),
        Some(who) => Err(BmcError::Held(who.trim().to_owned())),
    }
}
