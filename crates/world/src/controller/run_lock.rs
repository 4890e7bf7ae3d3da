//! One run at a time per site.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::OFlags;

use crate::files::state_directory::StateDirectory;

/// The lock of a site. The operating system gives it up when the process that holds it ends, however it ends: what is
/// written in the file only says who that is.
#[derive(Debug)]
pub struct RunLock(File);

/// Who holds a lock, in the words of the holder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held(pub String);

/// Why there is no lock.
#[derive(Debug)]
pub enum LockError {
    /// Another run has it.
    Held(Held),
    /// The file could not be used.
    Io(PathBuf, io::Error),
}

impl std::fmt::Display for LockError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Held(held) => write!(f, "another run is at work on this site: {}", held.0),
            Self::Io(path, error) => write!(f, "cannot lock the site with {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for LockError {}

impl RunLock {
    /// Takes the lock of the site in this directory for what `command` says.
    ///
    /// # Errors
    /// `Held` with who has it since when; `Io` where the directory cannot be written.
    pub fn take(site: &Path, command: &str) -> Result<Self, LockError> {
        let path = site.join(".bringup/lock");
        let io = |error| LockError::Io(path.clone(), error);
        let directory = StateDirectory::of_site(site).map_err(io)?;
        let mut file = directory.open("lock", OFlags::RDWR | OFlags::CREATE).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut words = String::new();
                file.read_to_string(&mut words).map_err(io)?;
                return Err(LockError::Held(Held(words.trim().to_owned())));
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        let user = std::env::var("USER").unwrap_or_else(|_| "someone".to_owned());
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let words = format!(
            "{command} by {user}{}{} (process {}) since {}",
            if host.is_empty() { "" } else { "@" },
            host.trim(),
            std::process::id(),
            Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC")
        );
        file.set_len(0).map_err(io)?;
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        file.write_all(words.as_bytes()).map_err(io)?;
        Ok(Self(file))
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // An empty file and an unlocked one say the same; what cannot be unlocked now is when the process ends.
        let _ = self.0.set_len(0);
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_a_fifo_and_a_directory_of_others_are_refused_and_nothing_is_written_through_them() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let site = tempfile::tempdir().unwrap();
        let at = |name: &str| site.path().join(name);
        fs::write(at("precious"), "mine").unwrap();
        fs::create_dir(at("elsewhere")).unwrap();
        fs::create_dir(at(".bringup")).unwrap();
        let refused = || RunLock::take(site.path(), "plan").unwrap_err().to_string();
        symlink("../precious", at(".bringup/lock")).unwrap();
        assert!(refused().contains("not a regular file"));
        fs::remove_file(at(".bringup/lock")).unwrap();
        fs::hard_link(at("precious"), at(".bringup/lock")).unwrap();
        assert!(refused().contains("not a regular file"));
        fs::remove_file(at(".bringup/lock")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at(".bringup/lock"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(refused().contains("not a regular file"));
        fs::remove_file(at(".bringup/lock")).unwrap();
        fs::set_permissions(at(".bringup"), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(refused().contains("can be written by others"));
        fs::remove_dir(at(".bringup")).unwrap();
        symlink("elsewhere", at(".bringup")).unwrap();
        assert!(refused().contains("not a directory"));
        assert_eq!(fs::read_to_string(at("precious")).unwrap(), "mine");
        assert_eq!(fs::read_dir(at("elsewhere")).unwrap().count(), 0);
        fs::remove_file(at(".bringup")).unwrap();
        let lock = RunLock::take(site.path(), "plan").unwrap();
        let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(".bringup"), mode(".bringup/lock")), (0o700, 0o600));
        drop(lock);
    }

    #[test]
    fn a_second_run_is_told_who_holds_it_and_a_stale_file_blocks_nobody() {
        let site = tempfile::tempdir().unwrap();
        fs::create_dir(site.path().join(".bringup")).unwrap();
        fs::write(site.path().join(".bringup/lock"), "apply by someone long dead").unwrap();
        let first = RunLock::take(site.path(), "apply").unwrap();
        match RunLock::take(site.path(), "apply") {
            Err(LockError::Held(Held(words))) => {
                assert!(words.starts_with("apply by ") && words.contains(&format!("process {}", std::process::id())));
                assert!(!words.contains("long dead"), "{words}");
            }
            other => panic!("{other:?}"),
        }
        drop(first);
        RunLock::take(site.path(), "plan").unwrap();
    }
}
