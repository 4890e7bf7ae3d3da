//! Files that the controller is given: whole at once or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use bringup_core::deed::Content;

/// Writes a file beside its place, with its permissions from the start, and moves it there.
pub(crate) fn write(path: &Path, content: &Content, mode: u32) -> io::Result<()> {
    let (text, first_mode) = match content {
        Content::Plain(text) => (text.as_str(), mode),
        Content::Hidden(secret) => (secret.expose(), 0o600),
    };
    // A link stays one: what it leads to is written.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
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

#[cfg(test)]
mod tests {
    use bringup_core::secret::Secret;

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
        assert!(write(Path::new("/proc/nowhere/file"), &Content::Plain(String::new()), 0o644).is_err());
    }
}
