//! `.bringup` of a site: the lock, the journals, the snapshots. A site may come from somebody else, so nothing here
//! follows a link, and a directory that others can write to is refused.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A directory that is ours alone, open: what is done in it is done there, whatever becomes of its path.
#[derive(Debug)]
pub(crate) struct StateDirectory {
    fd: OwnedFd,
    path: PathBuf,
}

impl StateDirectory {
    /// Opens `.bringup` of the site in this directory; makes it if it is not there.
    pub fn of_site(site: &Path) -> io::Result<Self> {
        let fd = rustix::fs::open(site, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Self { fd, path: site.to_path_buf() }.below(".bringup")
    }

    /// Opens a directory in it; makes it if it is not there.
    pub fn below(&self, name: &str) -> io::Result<Self> {
        let made = match rustix::fs::mkdirat(&self.fd, name, Mode::RWXU) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        let fd = rustix::fs::openat(&self.fd, name, DIRECTORY, Mode::empty())
            .map_err(|error| self.explain(name, error, "a directory"))?;
        let directory = Self { fd, path: self.path.join(name) };
        if made {
            // Whatever the umask.
            rustix::fs::fchmod(&directory.fd, Mode::RWXU)?;
        }
        directory.check()?;
        if made {
            // Version control passes over it.
            let ignore = directory.open(".gitignore", OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
            io::Write::write_all(&mut &ignore, b"*\n")?;
        }
        Ok(directory)
    }

    /// Opens a file in it, which must be a regular one with no other name; one that is made is 0600 whatever the umask.
    pub fn open(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let always = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags | always, Mode::RUSR | Mode::WUSR)
            .map_err(|error| self.explain(name, error, "a regular file"))?;
        let stat = rustix::fs::fstat(&fd)?;
        let regular = rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile;
        if !regular || stat.st_nlink > 1 {
            return Err(self.explain(name, Errno::INVAL, "a regular file with one name"));
        }
        if flags.contains(OFlags::CREATE) {
            rustix::fs::fchmod(&fd, Mode::RUSR | Mode::WUSR)?;
        }
        Ok(File::from(fd))
    }

    /// Puts a file of this name and content in place at once: whoever dies meanwhile leaves the old one.
    pub fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let new = format!(".{name}.new");
        let file = self.open(&new, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC)?;
        io::Write::write_all(&mut &file, content)?;
        file.sync_all()?;
        rustix::fs::renameat(&self.fd, &new, &self.fd, name)?;
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn check(&self) -> io::Result<()> {
        let stat = rustix::fs::fstat(&self.fd)?;
        let path = self.path.display();
        let refused = if stat.st_uid != rustix::process::geteuid().as_raw() {
            format!("{path} belongs to another user")
        } else if stat.st_mode & 0o022 != 0 {
            format!("{path} can be written by others; run `chmod go-w {path}` if what is in it is yours")
        } else {
            return Ok(());
        };
        Err(io::Error::new(ErrorKind::PermissionDenied, refused))
    }

    fn explain(&self, name: &str, error: Errno, expected: &str) -> io::Error {
        // A link in the place of a directory is a `NOTDIR`, of a file a `LOOP`; a FIFO that nobody reads, a `NXIO`.
        if ![Errno::LOOP, Errno::NOTDIR, Errno::NXIO, Errno::INVAL].contains(&error) {
            return error.into();
        }
        let message = format!("{} is not {expected}; links are not followed here", self.path.join(name).display());
        io::Error::new(ErrorKind::InvalidInput, message)
    }
}
