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
}
