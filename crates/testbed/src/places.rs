//! Where the testbed keeps its things, and the locks between testbeds.

use std::env;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failure::{Failure, Tried};
use crate::wait;

/// Where base systems are kept.
pub fn cache() -> PathBuf {
    env::var_os("TESTBED_CACHE").map_or_else(|| PathBuf::from("/var/cache/bringup-testbed"), PathBuf::from)
}

/// Where testbeds are: a directory each.
pub fn state() -> PathBuf {
    env::var_os("TESTBED_STATE").map_or_else(|| PathBuf::from("/var/lib/bringup-testbed"), PathBuf::from)
}

/// Whom a lock lets in beside its holder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lock {
    /// Nobody.
    Alone,
    /// Others that ask for the same.
    Shared,
}

/// Takes a lock in a directory, and waits for it for at most `bound`. The operating system gives it up when its holder
/// ends. Its file stays: one that is removed could be held by two.
pub fn lock(directory: &Path, name: &str, kind: Lock, bound: Duration) -> Result<File, Failure> {
    let path = directory.join(format!(".lock-{name}"));
    let tried = || format!("lock {}", path.display());
    fs::create_dir_all(directory).tried(tried)?;
    let file = OpenOptions::new().create(true).read(true).write(true).truncate(false).open(&path).tried(tried)?;
    wait::until(bound, &format!("the lock {} that somebody else holds", path.display()), || {
        let taken = match kind {
            Lock::Alone => file.try_lock(),
            Lock::Shared => file.try_lock_shared(),
        };
        match taken {
            Ok(()) => Ok(Some(())),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Failure::new(tried(), error)),
        }
    })?;
    Ok(file)
}

/// A thing of the cache that is being made. Nobody else makes the same one meanwhile; other things are made beside it.
#[derive(Debug)]
pub struct Making {
    /// Where it is made until it is whole. Nothing is there yet.
    pub unfinished: PathBuf,
    _lock: File,
}

const UNFINISHED: &str = ".unfinished-";

/// Begins to make the thing of this name, as soon as nobody else does, for which it waits for at most `bound`. The caller
/// looks again whether it is there: it may have been made meanwhile.
pub fn making(name: &str, bound: Duration) -> Result<Making, Failure> {
    let cache = cache();
    let lock = lock(&cache, name, Lock::Alone, bound)?;
    sweep(&cache);
    let unfinished = cache.join(format!("{UNFINISHED}{name}"));
    // Nobody else is at work on it while the lock is held: this is what a crash has left.
    let _ = fs::remove_dir_all(&unfinished);
    Ok(Making { unfinished, _lock: lock })
}

/// Removes what crashes have left of other things: what nobody holds the lock of.
fn sweep(cache: &Path) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let file = entry.file_name();
        let Some(name) = file.to_str().and_then(|file| file.strip_prefix(UNFINISHED)) else { continue };
        let Ok(lock) = OpenOptions::new().create(true).append(true).open(cache.join(format!(".lock-{name}"))) else {
            continue;
        };
        if lock.try_lock().is_ok() {
            // It only takes room; the next one to make something tries again.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_to_be_alone_waits_for_all_and_not_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let take = |kind| lock(directory.path(), "x", kind, Duration::from_millis(30));
        let first = take(Lock::Shared).unwrap();
        let second = take(Lock::Shared).unwrap();
        assert!(take(Lock::Alone).unwrap_err().to_string().contains("somebody else holds"));
        drop((first, second));
        take(Lock::Alone).unwrap();
    }

    #[test]
    fn what_a_crash_has_left_goes_and_what_is_being_made_stays() {
        let directory = tempfile::tempdir().unwrap();
        let cache = directory.path();
        for name in [".unfinished-left", ".unfinished-at-work", "whole"] {
            fs::create_dir(cache.join(name)).unwrap();
        }
        let at_work = lock(cache, "at-work", Lock::Alone, Duration::from_millis(30)).unwrap();
        sweep(cache);
        let there = |name: &str| cache.join(name).exists();
        assert!(!there(".unfinished-left") && there(".unfinished-at-work") && there("whole"));
        drop(at_work);
        sweep(cache);
        assert!(!there(".unfinished-at-work"));
    }
}
