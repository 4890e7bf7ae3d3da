//! A stand-in for bmcd 2.3.7, the daemon on a Turing Pi's BMC: the same answers, over a board that is made of files.
//!
//! What it answers is held to recordings of the real one. What no recording shows is said in the modules.

mod access;
mod answer;
mod api;
mod board;
mod facts;
mod flash;
mod gate;
mod query;
mod random;
#[cfg(test)]
mod replay;
mod seat;
mod server;
mod source;
mod tls;
mod transfer;
mod upload;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use board::{Drive, SLOTS};
pub use seat::Seat;
pub use server::run;

use access::Access;
use board::Board;
use facts::Facts;
use gate::Gate;
use transfer::Transfer;

/// How long things take that take time on a real board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// From power-on to the first look at USB.
    pub settle: Duration,
    /// Until a module that is not there is given up.
    pub enumerate: Duration,
    /// From the order of a flash to its upload.
    pub upload_within: Duration,
}

impl Timing {
    /// As on a board.
    pub const REAL: Self = Self {
        settle: Duration::from_secs(1),
        enumerate: Duration::from_secs(3),
        upload_within: Duration::from_secs(10),
    };
}

/// The daemon.
pub struct Bmcd {
    board: Mutex<Board>,
    access: Mutex<Access>,
    transfer: Mutex<Transfer>,
    /// Held by whoever works on a module over USB.
    bus: Mutex<()>,
    /// Held by a request from another machine, so that there is one at a time.
    remote: tokio::sync::Mutex<()>,
    seat: Seat,
    gate: Gate,
    timing: Mutex<Timing>,
    facts: fn() -> Facts,
    /// Where paths on the BMC begin.
    root: PathBuf,
    begun: Instant,
}

impl Bmcd {
    /// Started on a board that may have power.
    pub fn new(seat: Seat, password: &str, timing: Timing, facts: fn() -> Facts, root: PathBuf) -> Self {
        let bmcd = Self {
            board: Mutex::new(seat.found()),
            access: Mutex::new(Access::new(password)),
            transfer: Mutex::default(),
            bus: Mutex::default(),
            remote: tokio::sync::Mutex::default(),
            seat,
            gate: Gate::default(),
            timing: Mutex::new(timing),
            facts,
            root,
            begun: Instant::now(),
        };
        bmcd.publish(&Board::default(), &lock(&bmcd.board));
        bmcd
    }

    /// Changes the board, and tells who plays its modules.
    fn change<T>(&self, how: impl FnOnce(&mut Board, u64) -> T) -> T {
        let mut board = lock(&self.board);
        let before = board.clone();
        let result = how(&mut board, self.begun.elapsed().as_secs());
        self.publish(&before, &board);
        result
    }

    fn publish(&self, before: &Board, after: &Board) {
        for (node, (was, is)) in before.slots.iter().zip(&after.slots).enumerate() {
            if (was.drive, was.epoch) != (is.drive, is.epoch)
                && let Err(failure) = self.seat.set_power(node, is.drive, is.epoch)
            {
                eprintln!("bmcd: {failure}");
            }
        }
        if before.routed != after.routed
            && let Err(failure) = self.seat.route_usb(after.routed)
        {
            eprintln!("bmcd: {failure}");
        }
    }

    /// Looks for a slot's module on USB: the slot of the one that is found and its eMMC, or what bmcd says.
    async fn enumerate(&self, node: usize) -> Result<(usize, PathBuf), String> {
        let timing = *lock(&self.timing);
        tokio::time::sleep(timing.settle).await;
        let found = self.seat.found_on_usb(node);
        let emmc = self.seat.emmc(found).filter(|_| !self.seat.count_down("usb-not-found", node));
        if emmc.is_none() {
            tokio::time::sleep(timing.enumerate).await;
            // A replay looks at what is said before it is given up, too.
            self.gate.pass(1, 0).await;
        }
        emmc.map(|emmc| (found, emmc)).ok_or_else(|| flash::NO_USB.to_owned())
    }
}

/// A lock that somebody died with is as good as any: each change is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
