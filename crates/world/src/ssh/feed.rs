//! Commands that are given bytes, give bytes, or run for as long as somebody holds them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use russh::ChannelMsg;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::session::{Output, Session, collect, lost};
use super::{Failure, SshError};

/// How much is read and handed on at once.
const PIECE: usize = 256 << 10;

/// A command on the far side that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    task: JoinHandle<()>,
    _stop: oneshot::Sender<()>,
}

impl Hold {
    /// Whether the command still runs, as far as is known here.
    pub fn lasts(&self) -> bool {
        !self.task.is_finished()
    }
}

impl Session {
    /// Runs a command as root and gives it all of `source`. How root is come by is known from a script before it.
    pub(crate) async fn feed(
        &self,
        command: &str,
        source: &mut (impl AsyncRead + Unpin),
        told: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Output, SshError> {
        let mut running = self.start_as_root(command).await?;
        let (read, write) = (&mut running.read, &running.write);
        let sending = async {
            let mut piece = vec![0; PIECE];
            let mut sent = 0;
            loop {
                let read = source.read(&mut piece).await.map_err(SshError::Local)?;
                if read == 0 {
                    break;
                }
                write.data(&piece[..read]).await.map_err(|error| lost(&error))?;
                sent += read as u64;
                told(sent);
            }
            write.eof().await.map_err(|error| SshError::Host(lost(&error)))
        };
        let receiving = collect(read);
        tokio::pin!(sending, receiving);
        tokio::select! {
            biased;
            // It ended before it had all; what it says tells why.
            output = &mut receiving => Ok(output?),
            sent = &mut sending => {
                sent?;
                Ok(receiving.await?)
            }
        }
    }

    /// Runs a command as root and hands on what it prints, until it ends or nobody wants more.
    pub(crate) async fn pour(&self, command: &str, pieces: mpsc::Sender<Bytes>) -> Result<(), Failure> {
        let mut running = self.start_as_root(command).await?;
        while let Some(message) = running.read.wait().await {
            let data = match message {
                ChannelMsg::Data { data } => data,
                ChannelMsg::Close => return Ok(()),
                _ => continue,
            };
            if pieces.send(Bytes::copy_from_slice(&data)).await.is_err() {
                // Enough was seen; whether it is told so does not matter.
                let _ = running.write.close().await;
                return Ok(());
            }
        }
        Err(Failure::Lost("the connection was closed".to_owned()))
    }

    /// Starts a command as root that shall last, and gives the rest of the first line that begins with `bringup`: a login
    /// shell may have said something of its own before. It is sent an empty line at every `beat`, so
    /// that it can tell a dead connection from a quiet one.
    pub(crate) async fn hold(self: &Arc<Self>, command: &str, beat: Duration) -> Result<(String, Hold), Failure> {
        let (session, command) = (Arc::clone(self), command.to_owned());
        let (first, line) = oneshot::channel();
        let (stop, mut stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let mut first = Some(first);
            let mut running = match session.start_as_root(&command).await {
                Ok(running) => running,
                Err(failure) => {
                    let _ = first.take().map(|first| first.send(Err(failure)));
                    return;
                }
            };
            let mut beats = tokio::time::interval(beat);
            let mut out = Vec::new();
            loop {
                tokio::select! {
                    biased;
                    _ = &mut stopped => break,
                    message = running.read.wait() => match message {
                        Some(ChannelMsg::Data { data }) if first.is_some() => {
                            out.extend_from_slice(&data);
                            if let Some(line) = first_word(&out) {
                                let _ = first.take().map(|first| first.send(Ok(line)));
                            }
                        }
                        None | Some(ChannelMsg::Close) => return,
                        _ => {}
                    },
                    _ = beats.tick() => if running.write.data(&b"\n"[..]).await.is_err() {
                        return;
                    },
                }
            }
            // Its input ends, and so does it.
            let _ = running.write.eof().await;
        });
        let line = line.await.map_err(|_| Failure::Lost("it ended without a word".to_owned()))??;
        Ok((line, Hold { task, _stop: stop }))
    }
}

fn first_word(out: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(out);
    let (whole, _) = text.rsplit_once('\n')?;
    whole.lines().find_map(|line| line.strip_prefix("bringup ")).map(str::to_owned)
}

#[cfg(test)]
mod tests;
