//! What it takes to bring k3s to a node besides shell: files that go there, and a snapshot that comes from there.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use bringup_core::deed::{Deed, K3sInstall};
use bringup_core::digest::hex;
use bringup_core::fault::{Cause, Fault};
use bringup_core::names::Target;
use bringup_core::world::Progress;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::host::Place;
use crate::shell::k3s;
use crate::ssh::{Trouble, Upload};
use crate::web;

/// Brings to a node what its installation takes: the script, and what the controller hands over.
pub(crate) async fn deliver(
    place: Place<'_>,
    deed: &Deed,
    install: &K3sInstall,
    progress: Progress<'_>,
) -> Result<(), Fault> {
    let mut files = vec![(install.script.as_str(), "install.sh", 0o700)];
    if let Some(artifacts) = &install.handed {
        files.push((&artifacts.binary, "binary", 0o755));
        files.push((&artifacts.images, "images", 0o644));
    }
    place.piece(k3s::MAKE_HANDED, deed).await?;
    for (from, name, mode) in files {
        let to = format!("{}/{name}", k3s::HANDED);
        if place.connection.local {
            place.piece(&k3s::copy(from, &to, mode), deed).await?;
            continue;
        }
        let fault = |cause| Fault::new(cause, place.target.clone(), deed.to_string());
        let local = |error: &io::Error| {
            fault(Cause::Failed).said(format!("{from}: {error}")).next("see why it cannot be read here; then run again")
        };
        let state = web::file_state(from).await.map_err(|error| local(&error))?;
        let sha256 = state.ok_or_else(|| local(&io::ErrorKind::NotFound.into()))?.sha256;
        let session = place.session(deed).await?;
        let upload = Upload { from: Path::new(from), to: &to, sha256: &sha256, mode };
        let sent = session.upload(upload, &|done, total| progress(done, total, "bytes")).await;
        sent.map_err(|trouble| match trouble {
            Trouble::Host(failure) => failure.fault(place.target, &deed.to_string()),
            Trouble::Local(error) => local(&error),
            Trouble::There(said) => fault(Cause::Failed)
                .said(format!("{to}: {said}"))
                .next("see whether the disk of the node has room; then run again"),
        })?;
    }
    Ok(())
}

/// Takes an etcd snapshot on the control plane and brings it to a directory here, with the token that it takes to restore
/// it.
pub(crate) async fn fetch_snapshot(place: Place<'_>, deed: &Deed, run: &str, directory: &Path) -> Result<(), Fault> {
    let said = place.piece(&k3s::snapshot(&format!("bringup-{run}")), deed).await?;
    let odd = || {
        Fault::new(Cause::Mismatch, place.target.clone(), deed.to_string())
            .said("what came is not what was taken there")
            .next("run again; k3s is not uninstalled without a snapshot")
    };
    let mut lines = said.out.lines();
    let (Some(path), Some(sha256)) = (lines.next(), lines.next()) else { return Err(odd()) };
    let local = |error: io::Error| {
        Fault::new(Cause::Failed, Target::Controller, deed.to_string())
            .said(format!("{}: {error}", directory.display()))
            .next(
                "see whether that directory is yours and its disk has room; k3s is not uninstalled without a snapshot",
            )
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(local)?;
    let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let to = directory.join(&name);
    if bring(place, deed, path, &to).await?.map_err(local)? != sha256 {
        // What is no snapshot is not to be taken for one.
        let _ = fs::remove_file(&to);
        return Err(odd());
    }
    let token = directory.join(format!("{name}.token"));
    bring(place, deed, "/var/lib/rancher/k3s/server/token", &token).await?.map_err(local)?;
    Ok(())
}

/// Brings a file of root's from there, 0600; its SHA-256.
async fn bring(place: Place<'_>, deed: &Deed, from: &str, to: &Path) -> Result<io::Result<String>, Fault> {
    if place.connection.local {
        let me = match fs::metadata("/proc/self") {
            Ok(me) => me,
            Err(error) => return Ok(Err(error)),
        };
        let owner = (me.uid(), me.gid());
        place.piece(&k3s::give(from, &to.to_string_lossy(), owner), deed).await?;
        return Ok(fs::read(to).map(|bytes| hex(&Sha256::digest(bytes))));
    }
    let session = place.session(deed).await?;
    let (pieces, mut coming) = mpsc::channel::<bytes::Bytes>(8);
    let command = k3s::bytes_of(from);
    let writing = async {
        let mut file = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(to)?;
        let mut hash = Sha256::new();
        while let Some(piece) = coming.recv().await {
            hash.update(&piece);
            file.write_all(&piece)?;
        }
        file.sync_all()?;
        Ok(hex(&hash.finalize()))
    };
    let (poured, written) = tokio::join!(session.pour(&command, pieces), writing);
    poured.map_err(|failure| failure.fault(place.target, &deed.to_string()))?;
    Ok(written)
}
