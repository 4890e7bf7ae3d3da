//! A file from the web or from a path, proved by its sum and in place at once.

use bringup_core::ids::Sha256;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;
use tokio::sync::watch;

use super::address::Address;
use super::coming::Coming;
use super::error::WebError;
use super::sink::{Part, Whole};
use super::source::{Told, forget, from_file, from_web};
use super::{archive, fetched, sums};

/// How long nothing may come.
pub(crate) const STALL_BOUND: Duration = Duration::from_secs(60);

/// The longest file that is fetched for the controller or for nodes, in bytes. The largest are k3s' images for
/// air-gapped nodes.
pub(crate) const LONGEST_FILE: u64 = 4 << 30;
/// The longest image of an operating system, in bytes.
pub(super) const LONGEST_IMAGE: u64 = 64 << 30;

/// What is fetched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fetch<'a> {
    /// From where.
    pub url: &'a str,
    /// Sum of what is there, if it is known.
    pub sha256: Option<Sha256>,
    /// The file in it that is wanted, if it is an archive.
    pub member: Option<&'a str>,
    /// To where.
    pub path: &'a Path,
    /// Directory that it comes to: what broke off stays there, and never beside what is in use.
    pub parts: &'a Path,
    /// How many bytes it may have.
    pub longest: u64,
    /// Permission bits.
    pub mode: u32,
    /// How long nothing may come.
    pub stall: Duration,
    /// Who reads it while it comes.
    pub heard: Option<&'a watch::Sender<Coming>>,
}

/// Fetches a file. `told` is given bytes done and bytes in all, 0 if that is not known.
///
/// What broke off is gone on with: what is there is read again, so that the sum is of every byte, and the rest is asked
/// for. A file whose sum nobody knows is begun anew: nothing could tell whether both halves are of the same.
///
/// # Errors
/// What kept us from it; whatever was in place still is.
pub(crate) async fn fetch(fetch: &Fetch<'_>, told: Told<'_>) -> Result<(), WebError> {
    let address = Address::parse(fetch.url)?;
    let place = Place::of(fetch)?;
    let mut part = Part::open(&place.part, fetch.heard).await?;
    if fetch.sha256.is_some() && matches!(address, Address::Web(_)) {
        part = part.reread().await.map_err(|error| place.local(error))?;
    } else {
        part.restart().map_err(|error| place.local(error))?;
    }
    let came = match &address {
        Address::File(path) => from_file(path, part, fetch.longest, told).await,
        Address::Web(url) => proved_from_web(url, part, fetch, &place, told).await,
    };
    let whole = came.inspect_err(|trouble| {
        if matches!(trouble, WebError::TooLong { .. }) {
            forget(&place.part);
            forget(&place.etag);
        }
    })?;
    forget(&place.etag);
    if let Some(wanted) = fetch.sha256.filter(|wanted| whole.sha256 != *wanted) {
        forget(&place.part);
        return Err(WebError::Mismatch { wanted, got: whole.sha256 });
    }
    let is_proved = fetch.sha256.is_some() || address.is_tamper_proof();
    put(fetch, &place, whole, is_proved).await
}

/// From the web, where two halves may be of different files: from the beginning once, then.
async fn proved_from_web(
    url: &Url,
    part: Part,
    fetch: &Fetch<'_>,
    place: &Place,
    told: Told<'_>,
) -> Result<Whole, WebError> {
    let (whole, resumed) = from_web(url, part, &place.etag, fetch.stall, fetch.longest, told).await?;
    if resumed && fetch.sha256.is_some_and(|wanted| whole.sha256 != wanted) {
        let mut part = whole.part;
        part.restart().map_err(|error| place.local(error))?;
        return Ok(from_web(url, part, &place.etag, fetch.stall, fetch.longest, told).await?.0);
    }
    Ok(whole)
}

/// Where a file with this sum is until it is whole, in the directory for parts.
pub(super) fn part_of(parts: &Path, path: &Path, sha256: Option<Sha256>) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Named for its content: the part of another file is never gone on with.
    let content = sha256.map_or_else(|| "new".to_owned(), |sha256| sha256.short());
    parts.join(format!(".{name}.{content}.part"))
}

/// The names that a file has until it is whole.
struct Place {
    directory: PathBuf,
    part: PathBuf,
    etag: PathBuf,
    member: PathBuf,
}

impl Place {
    fn of(fetch: &Fetch<'_>) -> Result<Self, WebError> {
        let path = fetch.path;
        let directory = path.parent().unwrap_or(Path::new("/")).to_path_buf();
        for directory in [&*directory, fetch.parts] {
            fs::create_dir_all(directory).map_err(|error| WebError::Local(directory.display().to_string(), error))?;
        }
        let part = part_of(fetch.parts, path, fetch.sha256);
        Ok(Self { etag: part.with_extension("part.etag"), member: part.with_extension("member"), part, directory })
    }

    fn local(&self, error: io::Error) -> WebError {
        WebError::Local(self.part.display().to_string(), error)
    }
}

/// Puts what came in place. In the cache, and only there, the sum of a file that was proved is recorded beside it.
async fn put(fetch: &Fetch<'_>, place: &Place, whole: Whole, is_proved: bool) -> Result<(), WebError> {
    let is_cached = fetch.member.is_none() && place.directory == fetch.parts;
    if is_cached {
        fetched::forget(fetch.path);
    }
    let from = match fetch.member {
        Some(member) => {
            let (archive, to, member) = (place.part.clone(), place.member.clone(), member.to_owned());
            let extracted = tokio::task::spawn_blocking(move || {
                let local = |error| WebError::Local(to.display().to_string(), error);
                forget(&to);
                let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&to).map_err(local)?;
                archive::extract(&archive, &member, &mut file)?;
                file.sync_all().map_err(local)
            });
            let extracted = extracted.await.map_err(|error| place.local(io::Error::other(error)))?;
            if let Err(trouble) = extracted {
                forget(&place.member);
                forget(&place.part);
                return Err(trouble);
            }
            &place.member
        }
        None => &place.part,
    };
    let placed = (|| {
        fs::set_permissions(from, fs::Permissions::from_mode(fetch.mode))?;
        move_to(from, fetch.path)?;
        fs::File::open(&place.directory)?.sync_all()
    })();
    let local = |error| WebError::Local(fetch.path.display().to_string(), error);
    placed.map_err(local)?;
    if is_cached && is_proved {
        fetched::record(fetch.path, fetch.url, whole.sha256).map_err(local)?;
    }
    if fetch.member.is_some() {
        forget(&place.part);
    } else {
        sums::keep(fetch.path, whole.sha256);
    }
    // The lock goes with the file that holds it.
    drop(whole.part);
    Ok(())
}

/// Moves a file to another place at once, wherever that is.
fn move_to(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {}
        moved => return moved,
    }
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let beside = to.with_file_name(format!(".{name}.new"));
    forget(&beside);
    let copied = fs::copy(from, &beside).and_then(|_| fs::File::open(&beside)?.sync_all());
    if let Err(error) = copied.and_then(|()| fs::rename(&beside, to)) {
        forget(&beside);
        return Err(error);
    }
    forget(from);
    Ok(())
}

#[cfg(test)]
mod tests;
