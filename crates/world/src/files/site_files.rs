//! Files of a site, which somebody else may have written, and those of the user that are small: a FIFO must not hang us,
//! and a device not feed us for ever.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// The most that is read of one file: as much as a site's YAML may have, sealed by a vault, which quadruples it.
pub const MOST: u64 = 64 << 20;

/// Opens a regular file. Links are followed, as a site may share files with another; what they lead to must be a
/// regular file, too.
///
/// # Errors
/// When there is none, it is a FIFO, a device or a socket, or it cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    // Asked before it is opened, since opening a device may do something; and again after, since it may be another one.
    refuse_irregular(&path.metadata()?)?;
    // Opening a FIFO waits for who writes it, unless told not to. It makes no difference for a regular file.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    refuse_irregular(&file.metadata()?)?;
    Ok(file)
}

/// A regular file's bytes.
///
/// # Errors
/// As [`open`]; and when it has more than [`MOST`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    bounded(open(path)?)
}

/// A regular file's text.
///
/// # Errors
/// As [`read`]; and when it is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    text(read(path)?)
}

/// The text of what the operator names on the command line: also a pipe, such as `<(…)` of a shell, or a terminal.
///
/// # Errors
/// When it cannot be read, has more than [`MOST`] or is not UTF-8.
pub fn read_named(path: &Path) -> io::Result<String> {
    text(bounded(File::open(path)?)?)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::new(ErrorKind::InvalidData, "not UTF-8 text"))
}

fn bounded(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        let message = format!("larger than {} MiB, the most that is read of one file", MOST >> 20);
        return Err(io::Error::new(ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

fn refuse_irregular(data: &std::fs::Metadata) -> io::Result<()> {
    if data.is_file() {
        return Ok(());
    }
    if data.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_fifo_a_device_and_what_is_endless_are_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        symlink("/dev/zero", at("zero")).unwrap();
        symlink("fifo", at("link")).unwrap();
        for name in ["fifo", "zero", "link"] {
            assert_eq!(read(&at(name)).unwrap_err().to_string(), "not a regular file", "{name}");
        }
        assert_eq!(read(directory.path()).unwrap_err().kind(), ErrorKind::IsADirectory);
        fs::write(at("key"), "ssh-ed25519 A").unwrap();
        symlink("key", at("shared")).unwrap();
        assert_eq!(read_text(&at("shared")).unwrap(), "ssh-ed25519 A");
        File::create(at("large")).unwrap().set_len(MOST + 1).unwrap();
        assert!(read(&at("large")).unwrap_err().to_string().starts_with("larger than 64 MiB"));
        assert!(read_named(Path::new("/dev/zero")).is_err());
    }
}
