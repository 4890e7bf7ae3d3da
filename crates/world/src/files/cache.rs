//! The directory of what is fetched once: bounded, and nothing in it is missed when it is gone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What it may hold, in bytes: some generations of both images.
pub const CACHE_BOUND: u64 = 20 << 30;
/// What was used this lately may be in use.
const IN_USE: Duration = Duration::from_secs(24 * 3600);

/// A file in the cache.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cached {
    /// Its path.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last read or written, as far as the file system tells: some tell it by the day.
    pub used: SystemTime,
}

/// What a cache holds, the longest unused first. One that is not there holds nothing.
///
/// # Errors
/// When it cannot be read.
pub fn cached(directory: &Path) -> io::Result<Vec<Cached>> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_path_buf()];
    while let Some(directory) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            // What another process took away meanwhile is not there.
            let Ok(data) = entry.metadata() else { continue };
            if data.is_dir() {
                directories.push(entry.path());
            } else if data.is_file() {
                let written = data.modified()?;
                let used = data.accessed().map_or(written, |read| read.max(written));
                found.push(Cached { path: entry.path(), size: data.len(), used });
            }
        }
    }
    found.sort_by(|one, other| (one.used, &one.path).cmp(&(other.used, &other.path)));
    Ok(found)
}

/// Takes everything out that nobody used for `unused`; how many bytes that was.
///
/// # Errors
/// When a file cannot be taken away.
pub fn clean_cache(directory: &Path, unused: Duration) -> io::Result<u64> {
    let now = SystemTime::now();
    let mut freed = 0;
    for file in cached(directory)? {
        if now.duration_since(file.used).unwrap_or_default() >= unused {
            fs::remove_file(&file.path)?;
            freed += file.size;
        }
    }
    Ok(freed)
}

/// Keeps a cache within its bound: the longest unused goes first, what may be in use stays. That something stays which
/// should have gone harms nobody but the disk.
pub(crate) fn keep_within(directory: &Path, bound: u64) {
    let Ok(files) = cached(directory) else { return };
    let mut size: u64 = files.iter().map(|file| file.size).sum();
    let now = SystemTime::now();
    for file in files {
        if size <= bound || now.duration_since(file.used).unwrap_or_default() < IN_USE {
            return;
        }
        if fs::remove_file(&file.path).is_ok() {
            size -= file.size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_goes_first_and_what_may_be_in_use_stays() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for (name, days) in [("old", 9), ("older", 20), ("young", 0)] {
            fs::write(at(name), vec![0; 1000]).unwrap();
            let then = SystemTime::now() - Duration::from_secs(days * 24 * 3600 + 60);
            let times = fs::FileTimes::new().set_accessed(then).set_modified(then);
            fs::File::options().write(true).open(at(name)).unwrap().set_times(times).unwrap();
        }
        let names = || -> Vec<String> {
            let found = cached(directory.path()).unwrap();
            found.iter().map(|file| file.path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(), ["older", "old", "young"]);
        keep_within(directory.path(), 2000);
        assert_eq!(names(), ["old", "young"]);
        keep_within(directory.path(), 0);
        assert_eq!(names(), ["young"]);
        assert_eq!(clean_cache(directory.path(), Duration::from_secs(3600)).unwrap(), 0);
        assert_eq!(clean_cache(directory.path(), Duration::ZERO).unwrap(), 1000);
        assert_eq!(cached(&at("nowhere")).unwrap(), []);
    }
}
