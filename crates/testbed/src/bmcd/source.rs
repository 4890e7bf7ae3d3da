//! Where the bytes of a transfer come from: a file on the BMC, or an upload. What ends in `.xz` is decompressed on the
//! way.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use bytes::{Buf, Bytes};
use liblzma::read::XzDecoder;
use liblzma::stream::Stream;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

/// A BMC has no more memory than this to spare for a decoder, whatever this machine has.
const DECODER_MEMORY: u64 = 50 * 1024 * 1024;

/// What bmcd gives its decoder: the memory that is free, without what the page cache could give up.
fn free_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemFree:"));
    let free = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    free.map_or(DECODER_MEMORY, |kibibytes| DECODER_MEMORY.min(kibibytes << 10))
}

/// An upload as it comes in.
#[derive(Debug)]
pub struct Inflow {
    pieces: mpsc::Receiver<Bytes>,
    piece: Bytes,
    cancelled: watch::Receiver<bool>,
    runtime: Handle,
    /// How long the first piece may take.
    patience: Option<Duration>,
}

impl Inflow {
    /// The first piece has to come within `patience`.
    pub fn new(pieces: mpsc::Receiver<Bytes>, cancelled: watch::Receiver<bool>, patience: Duration) -> Self {
        Self { pieces, piece: Bytes::new(), cancelled, runtime: Handle::current(), patience: Some(patience) }
    }

    fn next(&mut self) -> io::Result<Option<Bytes>> {
        let patience = self.patience.take();
        let (pieces, cancelled) = (&mut self.pieces, &mut self.cancelled);
        self.runtime.block_on(async {
            let late = async {
                match patience {
                    Some(patience) => tokio::time::sleep(patience).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = cancelled.wait_for(|cancelled| *cancelled) => Err(io::Error::other("cancelled")),
                piece = pieces.recv() => Ok(piece),
                () = late => Err(io::Error::other("Send timeout")),
            }
        })
    }
}

impl Read for Inflow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.next()? {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(buffer.get_mut(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Counts the bytes as they come, compressed if they are.
pub struct Counted<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// What is to be written.
pub enum Source {
    /// A file. Nobody checks its sum.
    File(Box<dyn Read + Send>),
    /// An upload as it is.
    Plain(Box<Counted<Inflow>>),
    /// An upload that is decompressed.
    Xz(Box<XzDecoder<Counted<Inflow>>>),
}

fn is_xz(name: &Path) -> bool {
    name.extension().is_some_and(|extension| extension == "xz")
}

fn decoder<R: Read>(from: R) -> io::Result<XzDecoder<R>> {
    let stream = Stream::new_stream_decoder(free_memory(), 0).map_err(io::Error::other)?;
    Ok(XzDecoder::new_stream(from, stream))
}

/// In the words of bmcd's decoder, for which a file that ends too early is one that it wants more memory for.
fn ended_early(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof { io::Error::other("More memory needed") } else { error }
}

impl Source {
    /// A file on the BMC, called by its name there.
    pub fn file(file: File, name: &Path) -> io::Result<Self> {
        Ok(Self::File(if is_xz(name) { Box::new(decoder(file)?) } else { Box::new(file) }))
    }

    /// An upload of this name.
    pub fn upload(inflow: Inflow, name: &Path) -> io::Result<Self> {
        let counted = Counted { inner: inflow, hash: Sha256::new() };
        Ok(if is_xz(name) { Self::Xz(Box::new(decoder(counted)?)) } else { Self::Plain(Box::new(counted)) })
    }

    /// Reads to the end, and tells the sum of what came.
    pub fn sum(self) -> io::Result<String> {
        let mut counted = match self {
            Self::File(_) => return Ok(String::new()),
            Self::Plain(counted) => *counted,
            Self::Xz(decoder) => decoder.into_inner(),
        };
        io::copy(&mut counted, &mut io::sink())?;
        Ok(hex::encode(counted.hash.finalize()))
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer).map_err(ended_early),
            Self::Plain(counted) => counted.read(buffer),
            Self::Xz(decoder) => decoder.read(buffer).map_err(ended_early),
        }
    }
}
