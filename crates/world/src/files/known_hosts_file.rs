//! The user's known_hosts as a file: read whole, written by one at a time, in place at once.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use bringup_core::text::known_hosts::{HostKey, KnownHosts};

use crate::files::file_lock;
use crate::files::site_files;

/// What it says. A file that is not there says nothing.
pub(crate) fn read(path: &str) -> io::Result<KnownHosts> {
    match site_files::read_text(Path::new(path)) {
        Ok(text) => Ok(KnownHosts::parse(&text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(KnownHosts::default()),
        Err(error) => Err(error),
    }
}

/// What became of an edit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Edited {
    Done,
    /// It is not what was looked at any more; nothing was written.
    Stale,
}

/// Changes it, if it still is what was looked at.
pub(crate) async fn edit(
    path: &str,
    remove: &[String],
    add: &[(String, HostKey)],
    expect: Option<&str>,
) -> io::Result<Edited> {
    // A link stays a link: what it points to is written.
    let path = fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path));
    let directory = path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    make_directory(&directory)?;
    let _lock = file_lock::take(&directory.join(".known_hosts.bringup-lock")).await?;
    let mut known = read(&path.to_string_lossy())?;
    if expect.is_some_and(|expect| expect != known.version()) {
        return Ok(Edited::Stale);
    }
    for name in remove {
        known.remove(name);
    }
    for (name, key) in add {
        known.add(name, key);
    }
    replace(&path, &directory, known.render().as_bytes())?;
    Ok(Edited::Done)
}

fn make_directory(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// With the permissions that it had; a new one is its owner's alone.
fn replace(path: &Path, directory: &Path, text: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let permissions = fs::metadata(path).map_or_else(|_| fs::Permissions::from_mode(0o600), |data| data.permissions());
    let new = directory.join(format!(".known_hosts.bringup-{}", std::process::id()));
    // What a run that died left there is nobody's.
    if let Err(error) = fs::remove_file(&new)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    let written = (|| {
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?;
        file.write_all(text)?;
        file.set_permissions(permissions)?;
        file.sync_all()?;
        fs::rename(&new, path)
    })();
    if written.is_err() {
        // The error that counts is the one before.
        let _ = fs::remove_file(&new);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const OTHERS: &str = "# mine\n@cert-authority *.corp ssh-ed25519 AAAA\nold,older ssh-rsa odd\n";

    #[tokio::test]
    async fn lines_that_are_not_ours_stay_byte_for_byte() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("known_hosts");
        fs::write(&file, OTHERS).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let path = link.to_str().unwrap();
        let key = HostKey::ed25519(&[7; 32]);
        let add = [("node01.lan".to_owned(), key.clone())];
        let version = read(path).unwrap().version().to_owned();
        assert_eq!(edit(path, &[], &add, Some(&version)).await.unwrap(), Edited::Done);
        assert_eq!(edit(path, &[], &add, Some(&version)).await.unwrap(), Edited::Stale);
        assert_eq!(fs::read_to_string(&file).unwrap(), format!("{OTHERS}node01.lan {key}\n"));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    }

    #[tokio::test]
    async fn a_new_one_is_its_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(".ssh/known_hosts");
        let add = [("node01.lan".to_owned(), HostKey::ed25519(&[7; 32]))];
        edit(file.to_str().unwrap(), &[], &add, None).await.unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_writers_lose_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("known_hosts");
        let writers = (0..8u8).map(|writer| {
            let path = file.to_str().unwrap().to_owned();
            tokio::spawn(async move {
                for entry in 0..10u8 {
                    let add = [(format!("host{writer}-{entry}"), HostKey::ed25519(&[writer * 16 + entry; 32]))];
                    edit(&path, &[], &add, None).await.unwrap();
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 80);
        let left: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}
