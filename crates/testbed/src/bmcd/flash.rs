//! Writing an eMMC, as bmcd's worker does it: the module into USB boot, the bytes, their sum, a second look at what was
//! written, power off.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::Bmcd;
use super::board::Drive;
use super::source::Source;

/// What bmcd says when it looks for a module on USB and finds none.
pub const NO_USB: &str = "Compute module's USB interface not found or supported";

/// bmcd's own block size.
const BLOCK: usize = 512 * 1024;

/// A flash that was ordered.
pub struct Order {
    /// Which slot, from 0.
    pub node: usize,
    /// The bytes.
    pub source: Source,
    /// The sum that was announced.
    pub sha256: Option<String>,
    /// Whether what was written is read again.
    pub verify: bool,
    /// Where progress is shown.
    pub written: Arc<AtomicU64>,
    /// Says that it is over.
    pub cancelled: watch::Receiver<bool>,
}

/// Why a flash did not come to its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody ended it, and knows.
    Cancelled,
    /// What the API says.
    Failed(String),
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

struct Worker<'a> {
    bmcd: &'a Bmcd,
    node: usize,
    written: Arc<AtomicU64>,
    cancelled: watch::Receiver<bool>,
    runtime: Handle,
    speed: Option<u64>,
    stuck: Option<u64>,
    wrong: Option<u64>,
    power_cut: Option<u64>,
}

/// Sees an order through. The caller keeps others off the bus.
pub fn run(bmcd: &Bmcd, order: Order) -> Result<(), Stop> {
    let (seat, node) = (&bmcd.seat, order.node);
    let mut worker = Worker {
        bmcd,
        node,
        written: order.written,
        cancelled: order.cancelled,
        runtime: Handle::current(),
        speed: seat.speed(node),
        stuck: None,
        wrong: None,
        power_cut: None,
    };
    if worker.is_cancelled() {
        return Err(Stop::Cancelled);
    }
    // One that is not found keeps the power that it was given.
    let emmc = worker.usb_boot()?;
    worker.stuck = seat.take("worker-stuck", node);
    worker.wrong = seat.take("wrong-bytes", node);
    worker.power_cut = seat.take("power-cut", node);
    let written = worker.write_and_look(&emmc, order.source, order.sha256, order.verify);
    bmcd.change(|board, now| board.turn(node, Drive::Off, now));
    if worker.is_cancelled() { Err(Stop::Cancelled) } else { written }
}

impl Worker<'_> {
    fn is_cancelled(&self) -> bool {
        *self.cancelled.borrow()
    }

    /// Waits for something, unless it is ended.
    fn wait<T>(&self, what: impl Future<Output = T>) -> Result<T, Stop> {
        let mut cancelled = self.cancelled.clone();
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                _ = cancelled.wait_for(|cancelled| *cancelled) => Err(Stop::Cancelled),
                got = what => Ok(got),
            }
        })
    }

    fn usb_boot(&self) -> Result<File, Stop> {
        let node = self.node;
        self.bmcd.change(|board, now| {
            board.turn(node, Drive::Off, now);
            board.turn(node, Drive::Flash, now);
        });
        let found = self.wait(self.bmcd.enumerate(node)).and_then(|emmc| {
            let (_, emmc) = emmc.map_err(Stop::Failed)?;
            Ok(OpenOptions::new().read(true).write(true).open(emmc)?)
        });
        match &found {
            Err(Stop::Cancelled) => self.bmcd.change(|board, now| board.turn(node, Drive::Off, now)),
            Err(Stop::Failed(_)) => self.bmcd.change(|board, now| board.turn(node, Drive::Dark, now)),
            Ok(_) => {}
        }
        found
    }

    fn write_and_look(
        &self,
        emmc: &File,
        mut source: Source,
        sha256: Option<String>,
        verify: bool,
    ) -> Result<(), Stop> {
        let (length, sum) = self.write(emmc, &mut source)?;
        let came = source.sum()?;
        if let Some(expected) = sha256.filter(|expected| !came.is_empty() && !expected.eq_ignore_ascii_case(&came)) {
            return Err(Stop::Failed(format!("sha256 checksum failed. Expected: {expected}, got: {came}")));
        }
        if verify {
            let seen = self.look(emmc, length)?;
            if seen != sum {
                return Err(Stop::Failed(format!("crc error. expected {sum}, calculated {seen}")));
            }
        }
        Ok(())
    }

    fn write(&self, emmc: &File, source: &mut Source) -> Result<(u64, u64), Stop> {
        let capacity = emmc.metadata()?.len();
        let (mut block, mut done, mut sum) = (vec![0; BLOCK], 0_u64, Sum::default());
        let begun = Instant::now();
        loop {
            let room = self.room(1, done)?;
            let piece = block.get_mut(..room).unwrap_or_default();
            let count = source.read(piece)?;
            let Some(piece) = piece.get_mut(..count).filter(|piece| !piece.is_empty()) else { break };
            let end = done + count as u64;
            if end > capacity {
                return Err(Stop::Failed("No space left on device (os error 28)".to_owned()));
            }
            sum.add(piece);
            if let Some(byte) =
                self.wrong.and_then(|wrong| piece.get_mut(usize::try_from(wrong.checked_sub(done)?).ok()?))
            {
                *byte ^= 0x20;
            }
            put(emmc, done, piece)?;
            done = end;
            self.written.store(done, Ordering::Relaxed);
            self.keep_pace(begun, done)?;
        }
        Ok((done, sum.value()))
    }

    fn look(&self, emmc: &File, length: u64) -> Result<u64, Stop> {
        self.written.store(0, Ordering::Relaxed);
        let (mut block, mut done, mut sum) = (vec![0; BLOCK], 0_u64, Sum::default());
        let begun = Instant::now();
        while done < length {
            let room = self.room(2, done)?.min(usize::try_from(length - done).unwrap_or(BLOCK));
            let piece = block.get_mut(..room).unwrap_or_default();
            emmc.read_exact_at(piece, done)?;
            sum.add(piece);
            done += room as u64;
            self.written.store(done, Ordering::Relaxed);
            self.keep_pace(begun, done)?;
        }
        Ok(sum.value())
    }

    /// How many bytes may be handled now; faults at a byte happen here.
    fn room(&self, pass: u32, done: u64) -> Result<usize, Stop> {
        let mut left = self.wait(self.bmcd.gate.pass(pass, done))?;
        for byte in [self.stuck, self.power_cut].into_iter().flatten().filter(|_| pass == 1) {
            left = left.min(byte.saturating_sub(done));
        }
        if left == 0 {
            if self.power_cut.is_some_and(|byte| byte <= done) {
                self.bmcd.seat.cut_power().map_err(|failure| Stop::Failed(failure.to_string()))?;
            }
            self.wait(std::future::pending::<()>())?;
        }
        Ok(usize::try_from(left).unwrap_or(BLOCK).min(BLOCK))
    }

    fn keep_pace(&self, begun: Instant, done: u64) -> Result<(), Stop> {
        let Some(speed) = self.speed else { return Ok(()) };
        let due = Duration::from_secs_f64(done as f64 / speed as f64);
        self.wait(tokio::time::sleep(due.saturating_sub(begun.elapsed())))
    }
}

/// Writes a piece. Zeros become a hole, so that an eMMC takes as much room here as is really on it.
fn put(emmc: &File, at: u64, piece: &[u8]) -> std::io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    if piece.iter().all(|byte| *byte == 0) && fallocate(emmc, flags, at, piece.len() as u64).is_ok() {
        return Ok(());
    }
    emmc.write_all_at(piece, at)
}

/// A sum that tells whether two passes saw the same bytes, however they were cut into pieces. bmcd's own is a CRC-64,
/// whose value means nothing to anybody either.
#[derive(Default)]
struct Sum {
    state: u64,
    rest: Vec<u8>,
}

impl Sum {
    fn add(&mut self, mut bytes: &[u8]) {
        if !self.rest.is_empty() {
            let (head, tail) = bytes.split_at(bytes.len().min(8 - self.rest.len()));
            self.rest.extend_from_slice(head);
            bytes = tail;
            if let Ok(word) = <[u8; 8]>::try_from(self.rest.as_slice()) {
                self.mix(word);
                self.rest.clear();
            }
        }
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.mix(*word));
        self.rest.extend_from_slice(rest);
    }

    fn mix(&mut self, word: [u8; 8]) {
        self.state = (self.state ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    fn value(mut self) -> u64 {
        let mut last = [0xff; 8];
        for (to, from) in last.iter_mut().zip(&self.rest) {
            *to = *from;
        }
        self.mix(last);
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_does_not_depend_on_the_pieces() {
        let bytes: Vec<u8> = (0..1000_u32).map(|n| (n * 7) as u8).collect();
        let sum = |sizes: &[usize]| {
            let (mut sum, mut rest, mut turn) = (Sum::default(), bytes.as_slice(), 0);
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(sizes[turn % sizes.len()].min(rest.len()));
                sum.add(piece);
                (rest, turn) = (after, turn + 1);
            }
            sum.value()
        };
        assert_eq!(sum(&[1000]), sum(&[1, 3, 9, 14]));
        assert_ne!(sum(&[1000]), Sum::default().value());
    }
}
