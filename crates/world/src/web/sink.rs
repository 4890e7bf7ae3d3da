//! Where fetched bytes go: written and summed in a thread of their own, so that the network waits for neither.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use bringup_core::ids::Sha256;
use bytes::Bytes;
use sha2::Digest;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, spawn_blocking};

use super::coming::Coming;
use super::error::WebError;

/// How many pieces may wait for the disk; each is some kilobytes.
const QUEUE: usize = 64;
const PIECE: usize = 256 << 10;
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

/// A part of a file, locked: nobody else writes it.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    hash: sha2::Sha256,
    /// Who reads it while it comes is told how much there is.
    heard: Option<watch::Sender<Coming>>,
    /// How much of it is there.
    pub length: u64,
}

/// What came together.
#[derive(Debug)]
pub(super) struct Whole {
    pub sha256: Sha256,
    pub length: u64,
    /// Still locked.
    pub part: Part,
}

impl Part {
    /// Opens a part that is there, or a new one.
    pub async fn open(path: &Path, heard: Option<&watch::Sender<Coming>>) -> Result<Self, WebError> {
        use std::os::unix::fs::OpenOptionsExt;
        let local = |error| WebError::Local(path.display().to_string(), error);
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).read(true).write(true).mode(0o600).open(path).map_err(local)?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Self { file, hash: sha2::Sha256::new(), heard: heard.cloned(), length: 0 }),
                // A process that is just being started has our files for a moment, with their locks.
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
                Err(TryLockError::Error(error)) => return Err(local(error)),
            }
        }
        Err(WebError::Busy(format!("another process is fetching {}", path.display())))
    }

    /// Reads what is there, so that its end can be gone on from.
    pub async fn reread(mut self) -> io::Result<Self> {
        let read = spawn_blocking(move || {
            self.file.seek(SeekFrom::Start(0))?;
            (self.hash, self.length) = (sha2::Sha256::new(), 0);
            let mut piece = vec![0; PIECE];
            loop {
                let read = self.file.read(&mut piece)?;
                if read == 0 {
                    return Ok(self);
                }
                self.hash.update(&piece[..read]);
                self.length += read as u64;
            }
        });
        read.await.map_err(io::Error::other)?
    }

    /// Gives up what is there.
    pub fn restart(&mut self) -> io::Result<()> {
        (self.hash, self.length) = (sha2::Sha256::new(), 0);
        // Before: who reads it and finds nothing knows why.
        self.tell();
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        Ok(())
    }

    fn tell(&self) {
        if let Some(heard) = &self.heard {
            heard.send_modify(|coming| coming.length = self.length);
        }
    }

    /// Takes bytes from here on.
    pub fn fill(mut self) -> Sink {
        let (pieces, mut queue) = mpsc::channel::<Bytes>(QUEUE);
        let task = spawn_blocking(move || {
            self.tell();
            while let Some(piece) = queue.blocking_recv() {
                self.file.write_all(&piece)?;
                self.hash.update(&piece);
                self.length += piece.len() as u64;
                self.tell();
            }
            self.file.sync_all()?;
            Ok(Whole { sha256: self.hash.clone().into(), length: self.length, part: self })
        });
        Sink { pieces, task }
    }
}

/// A part that takes bytes. One that is dropped keeps what it was given.
#[derive(Debug)]
pub(super) struct Sink {
    pieces: mpsc::Sender<Bytes>,
    task: JoinHandle<io::Result<Whole>>,
}

impl Sink {
    /// Takes some bytes; `false`: it does not take any more, and its end says why.
    pub async fn take(&self, piece: Bytes) -> bool {
        self.pieces.send(piece).await.is_ok()
    }

    /// What came together, on disk.
    pub async fn end(self) -> io::Result<Whole> {
        drop(self.pieces);
        self.task.await.map_err(io::Error::other)?
    }
}
