//! Files that the controller is given: whole at once or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use bringup_core::contract::controller::Content;

/// Writes a file beside its place, with its permissions from the start, and moves it there.
pub(crate) fn write(path: &Path, content: &Content, mode: u32) -> io::Result<()> {
    let (text, first_mode) = match content {
        Content::Plain(text) => (text.as_str(), mode),
        Content::Hidden(secret) => (secret.expose(), 0o600),
    };
    // A link stays one: what it leads to is written.
    let path = behind_links(path);
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = directory.join(format!(".{name}.{:08x}", fastrand::u32(..)));
    let written = (|| {
        let mut file = OpenOptions::new().create_new(true).write(true).mode(first_mode).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&new, &path)
    })();
    if written.is_err() {
        // The error that counts is the one before.
        let _ = fs::remove_file(&new);
    }
    written
}

/// When a file was last written, in seconds; `None`: there is none.
pub(crate) fn modified(path: &Path) -> io::Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(data) => Ok(Some(u64::try_from(data.mtime()).unwrap_or_default())),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a path leads to, also where the last link leads to nothing yet.
pub(crate) fn behind_links(path: &Path) -> PathBuf {
    /// As many as Linux follows.
    const LINKS: usize = 40;
    let mut path = path.to_path_buf();
    for _ in 0..LINKS {
        match (fs::canonicalize(&path), fs::read_link(&path)) {
            (Ok(there), _) => return there,
            (Err(_), Ok(next)) => path = path.parent().unwrap_or(Path::new("/")).join(next),
            (Err(_), Err(_)) => break,
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use bringup_core::text::secret::Secret;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_a_link_stays_one() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("new/file"), directory.path().join("link"));
        write(&file, &Content::Hidden(Secret::new("sealed")), 0o600).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&link, &Content::Plain("open".to_owned()), 0o755).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "open");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o755);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
        let dangling = directory.path().join("dangling");
        std::os::unix::fs::symlink("new/later", &dangling).unwrap();
        write(&dangling, &Content::Plain("open".to_owned()), 0o644).unwrap();
        assert!(fs::symlink_metadata(&dangling).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(directory.path().join("new/later")).unwrap(), "open");
        assert!(write(Path::new("/proc/nowhere/file"), &Content::Plain(String::new()), 0o644).is_err());
    }
}
