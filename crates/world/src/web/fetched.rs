//! What a file in the cache was when it was fetched: its sum and its address are recorded beside it, so that later runs need
//! not ask the web. Only a file that a sum or TLS has proved gets a record; one that came over plain http alone has none.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use bringup_core::contract::controller::Content;
use bringup_core::ids::Sha256;

use super::{source, sums};
use crate::files::local_files;
use crate::files::site_files;

fn beside(path: &Path) -> PathBuf {
    sums::hidden_beside(path, "fetched")
}

/// The sum that a file had when it was fetched from this address; `None`: there is no record of that.
///
/// # Errors
/// When the record cannot be read.
pub(crate) fn fetched_sum(path: &Path, url: &str) -> io::Result<Option<Sha256>> {
    use ErrorKind::{InvalidData, NotADirectory, NotFound};

    let text = match site_files::read_text(&beside(path)) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), NotFound | NotADirectory | InvalidData) => return Ok(None),
        Err(error) => return Err(error),
    };
    let recorded = text.strip_suffix('\n').and_then(|line| line.split_once(' '));
    Ok(recorded
        .filter(|(_, from)| Sha256::parse(from) == Some(Sha256::of(url)))
        .and_then(|(sha256, _)| Sha256::parse(sha256)))
}

/// Records the sum of a file that was just fetched and proved. Of the address a sum is recorded: it may hold a password.
///
/// # Errors
/// When the record cannot be written.
pub(super) fn record(path: &Path, url: &str, sha256: Sha256) -> io::Result<()> {
    let line = format!("{sha256} {}\n", Sha256::of(url));
    local_files::write(&beside(path), &Content::Plain(line), 0o600)
}

/// Removes the record of a file that is about to be replaced.
pub(super) fn forget(path: &Path) {
    source::forget(&beside(path));
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_recorded_sum_counts_for_its_address_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("script");
        let (here, there, sum) = ("https://me:hush@a.example/x", "https://b.example/x", Sha256::of("script"));
        assert_eq!(fetched_sum(&path, here).unwrap(), None);
        record(&path, here, sum).unwrap();
        assert_eq!(fetched_sum(&path, here).unwrap(), Some(sum));
        assert_eq!(fetched_sum(&path, there).unwrap(), None);
        let text = fs::read_to_string(beside(&path)).unwrap();
        assert!(!text.contains("hush"), "{text}");
        fs::write(beside(&path), text.trim_end()).unwrap();
        assert_eq!(fetched_sum(&path, here).unwrap(), None, "half a record is none");
        fs::write(beside(&path), b"\xff\n").unwrap();
        assert_eq!(fetched_sum(&path, here).unwrap(), None, "what is no text is no record");
        fs::write(beside(&path), text).unwrap();
        forget(&path);
        assert_eq!(fetched_sum(&path, here).unwrap(), None);
    }
}
