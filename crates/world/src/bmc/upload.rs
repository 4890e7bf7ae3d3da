//! An image from the controller straight into the BMC's flash: summed on its way and, where the BMC cannot, unpacked.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bringup_core::ids::Sha256;
use bytes::Bytes;
use hyper::Method;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::CONTENT_TYPE;
use sha2::Digest;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, spawn_blocking};

use super::api_reply;
use super::error::BmcError;
use super::line::{self, Connection};
use super::query;
use crate::image::xz_reader;

const PIECE: usize = 128 << 10;
/// How many pieces may wait for the network.
const QUEUE: usize = 16;
const BOUNDARY: &str = "bringup-5f1c2b9e7a";

/// What is sent.
#[derive(Clone, Debug)]
pub(super) struct Sending {
    /// On the controller.
    pub path: PathBuf,
    /// Under which name.
    pub name: String,
    /// It is unpacked on its way.
    pub unpack: bool,
    /// Bytes that are sent.
    pub length: u64,
    /// Sum of the file.
    pub sha256: Sha256,
}

/// A file that is being sent.
#[derive(Debug)]
pub(super) struct Upload {
    /// The transfer that it belongs to.
    pub handle: u64,
    trouble: Arc<Mutex<Option<String>>>,
    task: AbortHandle,
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upload {
    /// Sends it over a connection that is open already: bmcd waits 10 s for its beginning.
    pub fn start(mut connection: Connection<Multipart>, handle: u64, sending: Sending) -> Self {
        let trouble: Arc<Mutex<Option<String>>> = Arc::default();
        let ended = Arc::clone(&trouble);
        let task = tokio::spawn(async move {
            if let Err(words) = send(&mut connection, handle, sending).await {
                *ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
            }
        });
        Self { handle, trouble, task: task.abort_handle() }
    }

    /// What went wrong with it, if anything did.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn send(connection: &mut Connection<Multipart>, handle: u64, sending: Sending) -> Result<(), String> {
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let (body, why) = Multipart::of(sending);
    let request = line::request(Method::POST, &query::upload(handle)).header(CONTENT_TYPE, content_type).body(body);
    let sent = connection.send(request.map_err(|error| error.to_string())?).await;
    // Our own reason to break off comes before what that looked like.
    if let Some(own) = why.lock().unwrap_or_else(PoisonError::into_inner).clone() {
        return Err(own);
    }
    match sent.and_then(|(status, body)| api_reply::result(status, &body)) {
        Ok(_) => Ok(()),
        Err(
            BmcError::Said(_, said)
            | BmcError::Gone(said)
            | BmcError::Silent(said)
            | BmcError::Odd(said)
            | BmcError::NoModule(said),
        ) => Err(said),
        Err(other) => Err(format!("{other:?}")),
    }
}

enum Piece {
    Bytes(Bytes),
    End,
}

/// A form with one field, the file.
pub(super) struct Multipart {
    pieces: mpsc::Receiver<Piece>,
    left: u64,
    ended: bool,
}

impl Multipart {
    /// The form, and where it says why it broke off.
    fn of(sending: Sending) -> (Self, Arc<Mutex<Option<String>>>) {
        let plain = |character: char| !character.is_control() && !"\"\\".contains(character);
        let name: String = sending.name.chars().filter(|character| plain(*character)).collect();
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        let tail = format!("\r\n--{BOUNDARY}--\r\n");
        let left = head.len() as u64 + sending.length + tail.len() as u64;
        let (queue, pieces) = mpsc::channel(QUEUE);
        let why: Arc<Mutex<Option<String>>> = Arc::default();
        let reason = Arc::clone(&why);
        spawn_blocking(move || {
            let done = (|| {
                give(&queue, Bytes::from(head))?;
                read(&sending, &queue)?;
                give(&queue, Bytes::from(tail))?;
                queue.blocking_send(Piece::End).map_err(|_| gone())
            })();
            if let Err(error) = done {
                let own = error.kind() != io::ErrorKind::BrokenPipe;
                *reason.lock().unwrap_or_else(PoisonError::into_inner) = own.then(|| error.to_string());
            }
        });
        (Self { pieces, left, ended: false }, why)
    }
}

fn gone() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

fn give(queue: &mpsc::Sender<Piece>, bytes: Bytes) -> io::Result<()> {
    queue.blocking_send(Piece::Bytes(bytes)).map_err(|_| gone())
}

/// Reads the file once: its sum is known when its last byte is, and the form is not ended if it is wrong.
fn read(sending: &Sending, queue: &mpsc::Sender<Piece>) -> io::Result<()> {
    let other = |words: String| io::Error::other(words);
    let mut summed = Summed { file: File::open(&sending.path)?, hash: sha2::Sha256::new() };
    let mut sent = 0;
    let mut pass = |from: &mut dyn Read| -> io::Result<()> {
        loop {
            let mut piece = vec![0; PIECE];
            let read = from.read(&mut piece)?;
            if read == 0 {
                return Ok(());
            }
            sent += read as u64;
            if sent > sending.length {
                return Err(other(format!("the image is larger than the {} bytes that it said", sending.length)));
            }
            piece.truncate(read);
            give(queue, Bytes::from(piece))?;
        }
    };
    if sending.unpack {
        pass(&mut xz_reader(&mut summed)?)?;
        io::copy(&mut summed, &mut io::sink())?;
    } else {
        pass(&mut summed)?;
    }
    let sha256 = Sha256::from(summed.hash);
    if sha256 != sending.sha256 {
        return Err(other(format!("the image's sha256 is {sha256}, not {}", sending.sha256)));
    }
    if sent != sending.length {
        return Err(other(format!("the image has {sent} bytes, not {}", sending.length)));
    }
    Ok(())
}

struct Summed {
    file: File,
    hash: sha2::Sha256,
}

impl Read for Summed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.hash.update(&into[..read]);
        Ok(read)
    }
}

impl Body for Multipart {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        Poll::Ready(match std::task::ready!(self.pieces.poll_recv(context)) {
            Some(Piece::Bytes(bytes)) => {
                self.left = self.left.saturating_sub(bytes.len() as u64);
                Some(Ok(Frame::data(bytes)))
            }
            Some(Piece::End) => {
                self.ended = true;
                None
            }
            // Whoever filled it stopped before the end: the other side must not take it for whole.
            None => Some(Err(io::Error::other("what is sent broke off"))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests;
