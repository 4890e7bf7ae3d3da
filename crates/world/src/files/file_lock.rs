//! One writer at a time for a file that runs and other programs share.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

/// How long another writer is waited for. Writing takes milliseconds.
const BOUND: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// Takes a lock beside the file: the file itself is another one after each edit.
///
/// # Errors
/// When another process holds it for 20 s, or it cannot be made.
pub(crate) async fn take(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if began.elapsed() < BOUND => tokio::time::sleep(PAUSE).await,
            Err(TryLockError::WouldBlock) => {
                let words = format!("{} is held by another process for {} s", path.display(), BOUND.as_secs());
                return Err(io::Error::new(ErrorKind::WouldBlock, words));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// A lock that is held for as long as a file exists, as kubectl holds a kubeconfig's.
#[derive(Debug)]
pub(crate) struct LockFile(PathBuf);

impl LockFile {
    /// Makes the file, which must not be there.
    ///
    /// # Errors
    /// When it is there for 20 s, or cannot be made.
    pub async fn make(path: PathBuf) -> io::Result<Self> {
        let began = Instant::now();
        loop {
            match OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path) {
                Ok(_) => return Ok(Self(path)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists && began.elapsed() < BOUND => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    let words = format!(
                        "{} is there for {} s: another program writes, or died while it did; then take it away",
                        path.display(),
                        BOUND.as_secs()
                    );
                    return Err(io::Error::new(ErrorKind::WouldBlock, words));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // One that cannot be taken away is found, and named, by whoever comes next.
        let _ = fs::remove_file(&self.0);
    }
}
