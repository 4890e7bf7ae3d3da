//! What a file on the controller is. A large one is read once: what it was found to be stands beside it, with what would
//! tell if it had changed since.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bringup_core::contract::FileState;
use bringup_core::ids::Sha256;
use sha2::Digest;

/// From this size on a file's sum is kept. Smaller ones are read faster than one would think about it.
const LARGE: u64 = 16 << 20;

/// What a file is; `None`: there is none.
///
/// # Errors
/// When it is no file, or cannot be read.
pub(crate) async fn file_state(path: &str) -> io::Result<Option<FileState>> {
    let path = PathBuf::from(path);
    tokio::task::spawn_blocking(move || state(&path)).await.map_err(io::Error::other)?
}

fn state(path: &Path) -> io::Result<Option<FileState>> {
    let data = match fs::metadata(path) {
        Ok(data) => data,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(error),
    };
    if !data.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "this is no file"));
    }
    let sha256 = match kept(path, &data) {
        Some(sha256) => sha256,
        None => sum(path)?,
    };
    let modified = u64::try_from(data.mtime()).unwrap_or_default();
    Ok(Some(FileState { sha256, size: data.len(), mode: data.mode() & 0o7777, modified }))
}

fn sum(path: &Path) -> io::Result<Sha256> {
    let mut file = File::open(path)?;
    let mut hash = sha2::Sha256::new();
    let mut piece = vec![0; 256 << 10];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(Sha256::from(hash));
        }
        hash.update(&piece[..read]);
    }
}

/// The file beside a file that has its sum.
fn beside(path: &Path) -> PathBuf {
    hidden_beside(path, "sum")
}

/// The file beside a file that has something about it; `kind` says what.
pub(super) fn hidden_beside(path: &Path, kind: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{kind}"))
}

/// Every write changes the time of change, which nobody can set back.
fn likeness(data: &Metadata) -> String {
    format!(
        "{} {} {}.{:09} {}.{:09}",
        data.len(),
        data.ino(),
        data.mtime(),
        data.mtime_nsec(),
        data.ctime(),
        data.ctime_nsec()
    )
}

fn kept(path: &Path, data: &Metadata) -> Option<Sha256> {
    if data.len() < LARGE {
        return None;
    }
    let text = fs::read_to_string(beside(path)).ok()?;
    let (sha256, rest) = text.trim_end().split_once(' ')?;
    if rest == likeness(data) { Sha256::parse(sha256) } else { None }
}

/// Keeps the sum of a file that was just put in place. A sum that cannot be kept is found again when it is asked for.
pub(super) fn keep(path: &Path, sha256: Sha256) {
    let Ok(data) = fs::metadata(path) else { return };
    let beside = beside(path);
    if data.len() < LARGE || fs::write(&beside, format!("{sha256} {}\n", likeness(&data))).is_err() {
        let _ = fs::remove_file(beside);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_large_file_is_read_once_and_again_when_it_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image");
        fs::write(&path, vec![7; LARGE as usize]).unwrap();
        let sha256 = || async { file_state(path.to_str().unwrap()).await.unwrap().unwrap().sha256 };
        let right = sha256().await;
        let other = Sha256::of("other");
        keep(&path, other);
        assert_eq!(sha256().await, other, "what stands beside it is believed");
        let mut bytes = vec![7; LARGE as usize];
        bytes[5] = 8;
        fs::write(&path, &bytes).unwrap();
        let changed = sha256().await;
        assert!(changed != right && changed != other);
        keep(&directory.path().join("gone"), right);
        assert_eq!(file_state(directory.path().join("gone").to_str().unwrap()).await.unwrap(), None);
        assert!(file_state(directory.path().to_str().unwrap()).await.is_err());
    }
}
