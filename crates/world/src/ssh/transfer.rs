//! A file to a host: in constant memory, gone on with where it broke off, in place at once when it is proved.

use std::path::Path;

use bringup_core::ids::Sha256;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::Failure;
use super::session::{Session, collect, lost};
use crate::shell::upload::Arrival;
use crate::shell::{Script, Section};

/// How much is read and handed on at once.
const PIECE: usize = 256 << 10;

/// Why a file did not arrive.
#[derive(Debug)]
pub enum SshError {
    /// The connection or the host.
    Host(Failure),
    /// Our own file.
    Local(std::io::Error),
    /// What arrived is not what was sent, or could not be written; in the far side's words.
    There(String),
}

impl From<Failure> for SshError {
    fn from(failure: Failure) -> Self {
        Self::Host(failure)
    }
}

/// What is to arrive.
#[derive(Clone, Copy, Debug)]
pub struct Upload<'a> {
    /// On the controller.
    pub from: &'a Path,
    /// There.
    pub to: &'a str,
    /// Sum of its bytes.
    pub sha256: Sha256,
    /// Permission bits.
    pub mode: u32,
}

impl Session {
    /// Brings a file there. `told` is given bytes done and bytes in all.
    pub async fn upload(&self, upload: Upload<'_>, told: &(dyn Fn(u64, u64) + Send + Sync)) -> Result<(), SshError> {
        let mut file = tokio::fs::File::open(upload.from).await.map_err(SshError::Local)?;
        let total = file.metadata().await.map_err(SshError::Local)?.len();
        // Named for its content: another file's part is never gone on with.
        let part = format!("{}.{}.part", upload.to, upload.sha256.short());
        let arrival = Arrival { to: upload.to, part: &part, sha256: upload.sha256 };
        let begun = self.piece(&arrival.begin()).await?;
        if begun.out == "there" {
            told(total, total);
            return Ok(());
        }
        let mut done: u64 = begun.out.trim().parse().map_err(|_| SshError::There(begun.err.clone()))?;
        if done > total {
            self.piece(&arrival.empty()).await?;
            done = 0;
        }
        file.seek(std::io::SeekFrom::Start(done)).await.map_err(SshError::Local)?;
        let arrived = self.send(&mut file, arrival, done, total, told).await?;
        let placed = self.piece(&arrival.place(total, &arrived, upload.mode)).await?;
        if placed.status == 0 { Ok(()) } else { Err(SshError::There(placed.err)) }
    }

    /// Sends what is missing, and has it summed up there while it is written: to read a large file again takes as long
    /// as to write it. What came before is read first. Gives the sum of all.
    async fn send(
        &self,
        file: &mut tokio::fs::File,
        arrival: Arrival<'_>,
        mut done: u64,
        total: u64,
        told: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<String, SshError> {
        let mut running = self.start_as_root(&arrival.receive()).await?;
        let (read, write) = (&mut running.read, &running.write);
        let sending = async {
            let mut piece = vec![0; PIECE];
            loop {
                let read = file.read(&mut piece).await.map_err(SshError::Local)?;
                if read == 0 {
                    break;
                }
                write.data(&piece[..read]).await.map_err(|error| lost(&error))?;
                done += read as u64;
                told(done, total);
            }
            write.eof().await.map_err(|error| SshError::Host(lost(&error)))
        };
        let receiving = collect(read);
        tokio::pin!(sending, receiving);
        let output = tokio::select! {
            biased;
            // It ended before it had all: a full disk, most likely.
            output = &mut receiving => output?,
            sent = &mut sending => {
                sent?;
                receiving.await?
            }
        };
        match output.status {
            Some(0) => {
                Ok(String::from_utf8_lossy(&output.out).split_whitespace().last().unwrap_or_default().to_owned())
            }
            _ => Err(SshError::There(String::from_utf8_lossy(&output.err).trim().to_owned())),
        }
    }

    /// One piece of script as root.
    pub(crate) async fn piece(&self, piece: &str) -> Result<Section, Failure> {
        let mut script = Script::new();
        script.add(piece);
        let sections = self.script(&script).await?;
        sections.into_iter().flatten().next().ok_or_else(|| Failure::Lost("the answer broke off".to_owned()))
    }

    /// Runs a script as root; what its pieces printed.
    pub(crate) async fn script(&self, script: &Script) -> Result<Vec<Option<Section>>, Failure> {
        let output = self.run_as_root(&script.text(), |output| script.ran(&output.out)).await?;
        Ok(script.sections(&String::from_utf8_lossy(&output.out), &String::from_utf8_lossy(&output.err)))
    }
}
