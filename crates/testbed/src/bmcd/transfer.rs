//! The one transfer that bmcd knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::{mpsc, watch};

use super::answer::Answer;

/// What a transfer ends with that somebody ended.
const CANCELLED: &str = "cancelled by user";

/// The answer to an upload for which no worker is waiting.
const NO_INFLOW: &str = "cannot transfer bytes to worker. This is either because the transfer happens locally, or is \
                         already ongoing.";

/// Where the transfer stands.
#[derive(Debug, Default)]
pub enum Transfer {
    /// There was none since the daemon's start.
    #[default]
    Ready,
    /// It runs.
    Transferring(Running),
    /// It is done: how long it took, and the announced size.
    Done(Duration, u64),
    /// It failed.
    Error(String),
}

/// A transfer that runs.
#[derive(Debug)]
pub struct Running {
    /// Its handle.
    pub id: u64,
    /// From 0.
    pub node: usize,
    /// As announced, or as the file is: compressed, if it is.
    pub size: u64,
    /// Bytes that the present pass has handled.
    pub written: Arc<AtomicU64>,
    /// Where an upload goes; gone once one has begun.
    pub inflow: Option<mpsc::Sender<Bytes>>,
    /// Says `true` to who works on it.
    pub cancel: watch::Sender<bool>,
}

impl Transfer {
    fn word(&self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Transferring(_) => "Transferring",
            Self::Done(..) => "Done",
            Self::Error(_) => "Error",
        }
    }

    /// As the API says it.
    pub fn say(&self) -> String {
        match self {
            Self::Ready => json!("Ready"),
            Self::Transferring(running) => json!({ "Transferring": {
                "id": running.id,
                "process_name": format!("Node {} os install service", running.node + 1),
                "size": running.size,
                "cancelled": false,
                "bytes_written": running.written.load(Ordering::Relaxed),
            }}),
            Self::Done(took, size) => {
                json!({ "Done": [{ "secs": took.as_secs(), "nanos": took.subsec_nanos() }, size] })
            }
            Self::Error(why) => json!({ "Error": why }),
        }
        .to_string()
    }

    /// Whether a transfer of this handle runs.
    pub fn is(&self, id: u64) -> bool {
        matches!(self, Self::Transferring(running) if running.id == id)
    }

    /// Begins one. It ends the one that runs.
    pub fn begin(&mut self, running: Running) {
        self.end(Self::Transferring(running));
    }

    /// Ends the one of this handle, if it runs.
    pub fn cancel(&mut self, id: u64) -> Result<(), Answer> {
        self.expect(id)?;
        self.end(Self::Error(CANCELLED.to_owned()));
        Ok(())
    }

    /// Notes how the one of this handle ended by itself.
    pub fn finish(&mut self, id: u64, end: Self) {
        if self.is(id) {
            *self = end;
        }
    }

    /// Ends the one that runs, and says that something else is so.
    pub fn end(&mut self, next: Self) {
        if let Self::Transferring(running) = std::mem::replace(self, next) {
            running.cancel.send_replace(true);
        }
    }

    /// Takes what an upload to this handle needs: where its bytes go, and how many are expected.
    pub fn take_inflow(&mut self, id: u64) -> Result<(mpsc::Sender<Bytes>, u64), Answer> {
        self.expect(id)?;
        let taken = match self {
            Self::Transferring(running) => running.inflow.take().map(|inflow| (inflow, running.size)),
            _ => None,
        };
        taken.ok_or_else(|| Answer::text(500, NO_INFLOW))
    }

    fn expect(&self, id: u64) -> Result<(), Answer> {
        match self {
            Self::Transferring(running) if running.id == id => Ok(()),
            Self::Transferring(_) => Err(Answer::text(500, format!("unauthorized request for handle {id}"))),
            other => Err(Answer::text(
                500,
                format!("cannot execute command in current state. current={}, expected=Transferring", other.word()),
            )),
        }
    }
}
