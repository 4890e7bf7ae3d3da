//! What it takes to bring k3s to a node besides shell: files that go there, and a snapshot that comes from there.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bringup_core::contract::node::{HandOverK3s, InstallK3s};
use bringup_core::contract::world::{Progress, Unit};
use bringup_core::ids::{Sha256, Target};
use bringup_core::run::fault::{Cause, Fault};
use rustix::fs::OFlags;
use sha2::Digest;
use tokio::sync::mpsc;

use crate::files::state_directory::StateDirectory;
use crate::host::Place;
use crate::shell::k3s;
use crate::ssh::{SshError, Upload};
use crate::web;

/// Brings the install script to a node.
pub(crate) async fn bring_install_script(
    place: Place<'_>,
    install: &InstallK3s,
    progress: Progress<'_>,
) -> Result<(), Fault> {
    deliver(place, &[(&install.script, "install.sh", 0o700)], progress).await
}

/// Brings a release's files to a node.
pub(crate) async fn hand_over(place: Place<'_>, files: &HandOverK3s, progress: Progress<'_>) -> Result<(), Fault> {
    deliver(place, &[(&files.binary, "binary", 0o755), (&files.images, "images", 0o644)], progress).await
}

/// Brings files of the controller to a node: each from where, under which name, with which permission bits.
async fn deliver(place: Place<'_>, files: &[(&str, &str, u32)], progress: Progress<'_>) -> Result<(), Fault> {
    place.piece(k3s::MAKE_HANDED).await?;
    for &(from, name, mode) in files {
        let to = format!("{}/{name}", k3s::HANDED);
        if place.connection.local {
            place.piece(&k3s::copy(from, &to, mode)).await?;
            continue;
        }
        let fault = |cause| Fault::new(cause, place.target.clone(), place.doing);
        let local = |error: &io::Error| {
            fault(Cause::Failed).said(format!("{from}: {error}")).next("see why it cannot be read here; then run again")
        };
        let state = web::file_state(from).await.map_err(|error| local(&error))?;
        let sha256 = state.ok_or_else(|| local(&io::ErrorKind::NotFound.into()))?.sha256;
        let session = place.session().await?;
        let upload = Upload { from: Path::new(from), to: &to, sha256, mode };
        let sent = session.upload(upload, &|done, total| progress(done, total, Unit::Bytes)).await;
        sent.map_err(|trouble| match trouble {
            SshError::Host(failure) => failure.fault(place.target, place.doing),
            SshError::Local(error) => local(&error),
            SshError::There(said) => fault(Cause::Failed)
                .said(format!("{to}: {said}"))
                .next("see whether the disk of the node has room; then run again"),
        })?;
    }
    Ok(())
}

/// The longest snapshot that is fetched, in bytes: etcd itself suggests 8 GiB as the most that a database has
/// (etcd.io/docs, "System limits").
const LONGEST_SNAPSHOT: u64 = 8 << 30;
/// The longest token, in bytes.
const LONGEST_TOKEN: u64 = 4096;

/// Takes an etcd snapshot on the control plane and brings it to `.bringup/snapshots` of the site in this directory, with
/// the token that it takes to restore it.
pub(crate) async fn fetch_snapshot(place: Place<'_>, run: &str, site: &Path) -> Result<(), Fault> {
    let taken = format!("bringup-{run}");
    let said = place.piece(&k3s::snapshot(&taken)).await?;
    let odd = || {
        Fault::new(Cause::Mismatch, place.target.clone(), place.doing)
            .said("what came is not what was taken there")
            .next("run again; k3s is not uninstalled without a snapshot")
    };
    let mut lines = said.out.lines();
    let (Some(path), Some(sha256)) = (lines.next(), lines.next().and_then(Sha256::parse)) else { return Err(odd()) };
    let name = path.rsplit('/').next().filter(|name| is_of(name, &taken)).ok_or_else(odd)?;
    let local = |error: io::Error| {
        Fault::new(Cause::Failed, Target::Controller, place.doing)
            .said(format!("{}: {error}", site.join(".bringup/snapshots").display()))
            .next(
                "see whether that directory is yours and its disk has room; k3s is not uninstalled without a snapshot",
            )
    };
    let snapshots = StateDirectory::of_site(site).and_then(|state| state.below("snapshots")).map_err(local)?;
    let to = To { directory: &snapshots, name, longest: LONGEST_SNAPSHOT };
    let token = To { directory: &snapshots, name: &format!("{name}.token"), longest: LONGEST_TOKEN };
    let brought = async {
        if bring(place, path, &to).await?.map_err(local)? != sha256 {
            return Err(odd());
        }
        let sum = bring(place, "/var/lib/rancher/k3s/server/token", &token).await?.map_err(local)?;
        // Without its token no snapshot can be restored.
        if sum == Sha256::of("") { Err(odd()) } else { Ok(()) }
    };
    let brought = brought.await;
    if brought.is_err() {
        // What is no snapshot is not to be taken for one.
        for name in [to.name, token.name] {
            let _ = fs::remove_file(snapshots.path().join(name));
        }
    }
    brought
}

/// Whether a file's name is one that k3s gives to a snapshot that was taken under this name: it is the target's word, and
/// becomes a name here.
fn is_of(name: &str, taken: &str) -> bool {
    let rest = name.strip_prefix(taken).and_then(|rest| rest.strip_prefix('-'));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(plain)) && name.len() <= 200
}

/// A file of ours that bytes from a node go to.
struct To<'a> {
    directory: &'a StateDirectory,
    name: &'a str,
    longest: u64,
}

/// Brings a file of root's from there, 0600; its sum.
async fn bring(place: Place<'_>, from: &str, to: &To<'_>) -> Result<io::Result<Sha256>, Fault> {
    let open = || to.directory.open(to.name, OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC);
    if place.connection.local {
        let owner = match open().and_then(|file| file.metadata()) {
            Ok(file) => (file.uid(), file.gid()),
            Err(error) => return Ok(Err(error)),
        };
        let path = to.directory.path().join(to.name);
        place.piece(&k3s::give(from, &path.to_string_lossy(), owner)).await?;
        let mut hash = sha2::Sha256::new();
        let opened = to.directory.open(to.name, OFlags::RDONLY);
        return Ok(opened.and_then(|mut file| io::copy(&mut file, &mut hash)).map(|_| hash.into()));
    }
    let session = place.session().await?;
    let (pieces, mut coming) = mpsc::channel::<bytes::Bytes>(8);
    let command = k3s::bytes_of(from);
    let writing = async {
        let mut file = open()?;
        let (mut hash, mut length) = (sha2::Sha256::new(), 0);
        while let Some(piece) = coming.recv().await {
            length += piece.len() as u64;
            if length > to.longest {
                coming.close();
                let message = format!("{} is longer than {} bytes", to.name, to.longest);
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
            }
            hash.update(&piece);
            file.write_all(&piece)?;
        }
        file.sync_all()?;
        Ok(hash.into())
    };
    let (poured, written) = tokio::join!(session.pour(&command, pieces), writing);
    if written.is_ok() {
        poured.map_err(|failure| failure.fault(place.target, place.doing))?;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::is_of;

    #[test]
    fn only_a_name_that_k3s_gives_becomes_one_here() {
        let taken = "bringup-20260101T000000Z-apply-1";
        for (rest, good) in [
            ("-node01-1767225600", true),
            ("-node01.lan-1767225600.zip", true),
            ("", false),
            ("-", false),
            ("node01", false),
            ("-../../x", false),
            ("-a b", false),
            ("-\u{1b}[2J", false),
        ] {
            assert_eq!(is_of(&format!("{taken}{rest}"), taken), good, "{rest}");
        }
        assert!(!is_of(".gitignore", taken) && !is_of(&format!("{taken}-{}", "a".repeat(300)), taken));
    }
}
