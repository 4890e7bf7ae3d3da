//! A block of ours in a file of the user's: a shell's start-up file, mostly.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bringup_core::contract::controller::Content;
use bringup_core::text::marked_block;

use crate::files::file_lock;
use crate::files::local_files;
use crate::files::local_files::behind_links;
use crate::files::site_files;

/// The lines of a block; `None`: there is no such block, or no such file.
///
/// # Errors
/// When the file cannot be read, is no UTF-8, or its marker lines are no pair.
pub(crate) fn read(path: &str, name: &str) -> io::Result<Option<String>> {
    let text = text(Path::new(path))?;
    let block = marked_block::read(&text, name).map_err(|broken| io::Error::new(ErrorKind::InvalidData, broken))?;
    Ok(block.map(str::to_owned))
}

/// Takes a block out of a file; whether there was one.
///
/// # Errors
/// When the file cannot be read or written, is no UTF-8, or its marker lines are no pair. It is as it was then.
pub async fn take_out_block(path: &str, name: &str) -> io::Result<bool> {
    write(path, name, None).await
}

/// Puts a block in its place, or at the end; `None` takes it out. Whether that changed anything.
///
/// # Errors
/// As [`read`]; and when the file cannot be written. It is as it was then.
pub(crate) async fn write(path: &str, name: &str, block: Option<&str>) -> io::Result<bool> {
    // The file behind a link is the one that is locked and written.
    let path = behind_links(Path::new(path));
    let directory = path.parent().unwrap_or(Path::new("/"));
    if block.is_none() && !path.exists() {
        return Ok(false);
    }
    fs::create_dir_all(directory)?;
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let lock_path = directory.join(format!(".{}.bringup-lock", file.trim_start_matches('.')));
    let lock = file_lock::take(&lock_path).await?;
    let before = text(&path)?;
    let after = match block {
        Some(block) => marked_block::put(&before, name, block),
        None => marked_block::take_out(&before, name),
    };
    let after = after.map_err(|broken| io::Error::new(ErrorKind::InvalidData, broken))?;
    let changes = after != before;
    if changes {
        let mode = fs::metadata(&path).map_or(0o644, |data| data.permissions().mode() & 0o7777);
        local_files::write(&path, &Content::Plain(after), mode)?;
    }
    // Nobody needs to see it in a home directory; who waits for it has it open and goes on.
    let _ = fs::remove_file(&lock_path);
    drop(lock);
    Ok(changes)
}

fn text(path: &Path) -> io::Result<String> {
    match site_files::read_text(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_users_lines_mode_and_link_stay() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("dotfiles-bashrc"), directory.path().join(".bashrc"));
        fs::write(&file, "# mine\nexport A=1").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink("dotfiles-bashrc", &link).unwrap();
        let path = link.to_str().unwrap();
        assert_eq!(read(path, "bringup").unwrap(), None);
        assert!(write(path, "bringup", Some("one\n")).await.unwrap());
        assert!(!write(path, "bringup", Some("one\n")).await.unwrap());
        assert!(write(path, "bringup", Some("two\n")).await.unwrap());
        assert_eq!(read(path, "bringup").unwrap().as_deref(), Some("two\n"));
        assert_eq!(
            fs::read_to_string(&file).unwrap(),
            "# mine\nexport A=1\n# >>> bringup >>>\ntwo\n# <<< bringup <<<\n"
        );
        assert!(write(path, "bringup", None).await.unwrap());
        assert!(!write(path, "bringup", None).await.unwrap());
        assert_eq!(fs::read_to_string(&file).unwrap(), "# mine\nexport A=1\n");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }

    #[tokio::test]
    async fn what_is_broken_or_no_text_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(".zshrc");
        let path = file.to_str().unwrap();
        for bytes in [&b"# >>> bringup >>>\nno end\n"[..], b"caf\xe9\n"] {
            fs::write(&file, bytes).unwrap();
            assert!(read(path, "bringup").is_err());
            assert!(write(path, "bringup", Some("x\n")).await.is_err());
            assert_eq!(fs::read(&file).unwrap(), bytes);
        }
        let absent = directory.path().join("absent");
        assert!(!write(absent.to_str().unwrap(), "bringup", None).await.unwrap());
        assert!(!absent.exists());
    }
}
