//! The user's kubeconfig as a file: one context of ours in it, all else as it was.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bringup_core::contract::KubeconfigState;
use bringup_core::contract::controller::Content;
use bringup_core::text::kubeconfig::{ClusterAccess, NotAKubeconfig, UserConfig};
use bringup_core::text::secret::Secret;

use crate::files::file_lock::LockFile;
use crate::files::local_files::{self, behind_links};
use crate::files::site_files;

const MODE: u32 = 0o600;

/// Why it could not be read or written. The words show nothing of what is in it.
#[derive(Debug)]
pub(crate) enum KubeconfigError {
    /// The disk, or another writer.
    Disk(io::Error),
    /// What is there cannot be changed.
    Odd(NotAKubeconfig),
}

impl From<io::Error> for KubeconfigError {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<NotAKubeconfig> for KubeconfigError {
    fn from(error: NotAKubeconfig) -> Self {
        Self::Odd(error)
    }
}

/// A context of ours; `None`: there is no such context, or no such file.
///
/// # Errors
/// When the file cannot be read, or is no kubeconfig.
pub(crate) fn context(path: &Path, name: &str) -> Result<Option<KubeconfigState>, KubeconfigError> {
    let Some(text) = text_of(path)? else { return Ok(None) };
    let Some(entry) = UserConfig::parse(&text)?.context(name) else { return Ok(None) };
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    Ok(Some(KubeconfigState { server: entry.server, credentials_sha256: entry.sha256, mode }))
}

/// What is merged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Merge<'a> {
    /// Name of context, cluster and user.
    pub name: &'a str,
    /// The access.
    pub access: &'a ClusterAccess,
    /// Whether a context that is new becomes the current one.
    pub set_current: bool,
}

/// Merges a cluster's access into it, under names of our own. What it was before is kept beside it.
///
/// # Errors
/// When it cannot be read or written, is no kubeconfig, or another program holds it. It is as it was then.
pub(crate) async fn merge(path: &Path, merge: &Merge<'_>) -> Result<(), KubeconfigError> {
    let path = behind_links(path);
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory)?;
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // The name is kubectl's: it takes the same lock for `kubectl config`.
    let _lock = LockFile::make(directory.join(format!("{file}.lock"))).await?;
    let before = text_of(&path)?;
    let mut config = UserConfig::parse(before.as_deref().unwrap_or_default())?;
    config.put(merge.name, merge.access, merge.set_current);
    let text = config.render()?;
    if let Some(before) = before {
        let backup = directory.join(format!("{file}.bringup-backup"));
        local_files::write(&backup, &Content::Hidden(Secret::new(before)), MODE)?;
    }
    local_files::write(&path, &Content::Hidden(Secret::new(text)), MODE)?;
    Ok(())
}

fn text_of(path: &Path) -> io::Result<Option<String>> {
    match site_files::read_text(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
