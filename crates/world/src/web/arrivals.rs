//! Large files that are fetched once, by whoever needs them first, and read by everybody while they come.

use bringup_core::ids::Sha256;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::coming::Coming;
use super::error::WebError;
use super::fetch::{Fetch, LONGEST_IMAGE, STALL_BOUND, fetch, part_of};
use super::sums::file_state;
use crate::files::cache;

/// How much is read and handed on at once.
const PIECE: usize = 256 << 10;

/// The files that come just now.
#[derive(Debug)]
pub(crate) struct Arrivals {
    cache: PathBuf,
    running: Mutex<BTreeMap<PathBuf, Weak<Arrival>>>,
}

/// A file that comes, or is there. It is fetched for as long as somebody holds this.
#[derive(Debug)]
pub(crate) struct Arrival {
    path: PathBuf,
    part: PathBuf,
    coming: watch::Receiver<Coming>,
    task: AbortHandle,
}

/// Why what was read is not the file.
#[derive(Clone, Debug)]
pub(crate) enum Broken {
    /// It does not come. What was read so far is its beginning, unless the trouble is a mismatch.
    Fetch(Arc<WebError>),
    /// It was begun anew, as another file: what was read so far is none of it.
    Anew,
    /// Our own disk.
    Local(String),
    /// Who is handed it takes no more.
    Gone,
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Arrivals {
    /// Files kept in this directory, which is held within its bound.
    pub fn new(cache: PathBuf) -> Self {
        Self { cache, running: Mutex::default() }
    }

    /// The file with this sum, kept at `path`: from there, as it comes already, or from `url`.
    pub fn of(&self, url: &str, sha256: Sha256, path: &str) -> Arc<Arrival> {
        let path = PathBuf::from(path);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let comes = running.get(&path).and_then(Weak::upgrade);
        if let Some(arrival) = comes.filter(|arrival| !matches!(arrival.coming.borrow().over, Some(Err(_)))) {
            return arrival;
        }
        let (heard, coming) = watch::channel(Coming::default());
        let (url, cache) = (url.to_owned(), self.cache.clone());
        let (part, to) = (part_of(beside(&path), &path, Some(sha256)), path.clone());
        let task = tokio::spawn(async move {
            let ended = bring(&url, sha256, &to, &heard).await;
            cache::keep_within(&cache, cache::CACHE_BOUND);
            heard.send_modify(|coming| {
                if let Ok(Some(size)) = ended {
                    (coming.length, coming.total) = (size, size);
                }
                coming.over = Some(ended.map(|_| ()).map_err(Arc::new));
            });
        });
        let arrival = Arc::new(Arrival { path: path.clone(), part, coming, task: task.abort_handle() });
        running.insert(path, Arc::downgrade(&arrival));
        arrival
    }
}

/// The directory of a file in the cache, which is one for parts, too.
fn beside(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// Fetches a file, or gives the size of the one that is there.
async fn bring(url: &str, sha256: Sha256, path: &Path, heard: &watch::Sender<Coming>) -> Result<Option<u64>, WebError> {
    let name = path.display().to_string();
    let there = file_state(&name).await.map_err(|error| WebError::Local(name, error))?;
    if let Some(file) = there.filter(|file| file.sha256 == sha256) {
        return Ok(Some(file.size));
    }
    let told = |_, total| heard.send_modify(|coming| coming.total = total);
    let order = Fetch {
        url,
        sha256: Some(sha256),
        member: None,
        path,
        parts: beside(path),
        longest: LONGEST_IMAGE,
        mode: 0o644,
        stall: STALL_BOUND,
        heard: Some(heard),
    };
    fetch(&order, &told).await.map(|()| None)
}

impl Arrival {
    /// How many bytes it has; 0 if nobody knows before it is whole.
    pub async fn total(&self) -> Result<u64, Broken> {
        let mut coming = self.coming.clone();
        let known = coming.wait_for(|coming| coming.length > 0 || coming.over.is_some()).await;
        let coming = known.map_err(|_| Broken::Gone)?.clone();
        match coming.over {
            Some(Err(trouble)) => Err(Broken::Fetch(trouble)),
            Some(Ok(())) => Ok(coming.length),
            None => Ok(coming.total),
        }
    }

    /// Waits until it is whole and proved.
    pub async fn whole(&self) -> Result<(), Broken> {
        let mut coming = self.coming.clone();
        let over = coming.wait_for(|coming| coming.over.is_some()).await.map_err(|_| Broken::Gone)?;
        match &over.over {
            Some(Err(trouble)) => Err(Broken::Fetch(Arc::clone(trouble))),
            _ => Ok(()),
        }
    }

    /// Hands its bytes on as they come, from the one at `from` to its end. They are taken from its file, which the
    /// system has in memory still: whoever takes them slowly holds nobody up.
    pub async fn hand_on(&self, from: u64, to: &mut (impl AsyncWrite + Unpin)) -> Result<(), Broken> {
        self.total().await?;
        let local = |error: io::Error| Broken::Local(format!("{}: {error}", self.path.display()));
        let mut file = self.open().await.map_err(local)?;
        file.seek(SeekFrom::Start(from)).await.map_err(local)?;
        let (mut coming, mut at, mut piece) = (self.coming.clone(), from, vec![0; PIECE]);
        loop {
            let more = coming.wait_for(|coming| coming.length != at || coming.over.is_some()).await;
            let Coming { length, over, .. } = more.map_err(|_| Broken::Gone)?.clone();
            if let Some(Err(trouble)) = over {
                return Err(Broken::Fetch(trouble));
            }
            if length < at {
                return Err(Broken::Anew);
            }
            if length == at {
                return to.shutdown().await.map_err(|_| Broken::Gone);
            }
            let wanted = piece.len().min(usize::try_from(length - at).unwrap_or(usize::MAX));
            let read = file.read(&mut piece[..wanted]).await.map_err(local)?;
            if read == 0 {
                let anew = self.coming.borrow().length < at;
                return Err(if anew { Broken::Anew } else { local(ErrorKind::UnexpectedEof.into()) });
            }
            to.write_all(&piece[..read]).await.map_err(|_| Broken::Gone)?;
            at += read as u64;
        }
    }

    /// Its file, under the name that it has until it is whole or under its own.
    async fn open(&self) -> io::Result<File> {
        let is_over = self.coming.borrow().over.is_some();
        let part = if is_over { Err(ErrorKind::NotFound.into()) } else { File::open(&self.part).await };
        let mut file = match part {
            Err(error) if error.kind() == ErrorKind::NotFound => File::open(&self.path).await?,
            opened => opened?,
        };
        file.set_max_buf_size(PIECE);
        Ok(file)
    }
}

#[cfg(test)]
mod tests;
