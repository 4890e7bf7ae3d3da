//! The system of a board's BMC: another tree than the hosts', without Python, and poor in tools.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use sha2::{Digest, Sha256};

use super::build::{BOUND, bootstrap, suite};
use crate::failure::{Failure, Tried};
use crate::places;
use crate::records::write_whole;
use crate::run::Run;

const PACKAGES: &str = "systemd,systemd-sysv,openssh-server,openssh-sftp-server,iproute2,netbase,util-linux,mount,fdisk,\
e2fsprogs,dosfstools,fusefat,curl,xz-utils,busybox,ca-certificates";

const SETUP: &str = include_str!("../../guest/bmc-setup.sh");

/// Files of the tree: where, what, and whether it is a program.
const FILES: [(&str, &str); 5] = [
    ("etc/init.d/S94bmcd", include_str!("../../guest/S94bmcd")),
    ("etc/systemd/system/bmc-board.service", include_str!("../../guest/bmc-board.service")),
    ("usr/libexec/testbed/board-on", include_str!("../../guest/bmc-board.sh")),
    ("usr/libexec/testbed/stand-in-mount", include_str!("../../guest/bmc-mount.sh")),
    ("usr/libexec/testbed/stand-in-umount", include_str!("../../guest/bmc-umount.sh")),
];

fn name(suite: &str) -> String {
    let mut hash = Sha256::new();
    for part in [suite, PACKAGES, SETUP].into_iter().chain(FILES.iter().flat_map(|(path, text)| [*path, *text])) {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let hex = hex::encode(&hash.finalize()[..8]);
    format!("bmc-{suite}-{hex}")
}

/// Sees to it that the tree is in the cache; its name there.
pub fn provide() -> Result<String, Failure> {
    let suite = suite();
    let (cache, name) = (places::cache(), name(&suite));
    let directory = cache.join(&name);
    if directory.is_dir() {
        return Ok(name);
    }
    let making = places::making(&name, BOUND)?;
    if directory.is_dir() {
        return Ok(name);
    }
    eprintln!("making the BMCs' system {} (half a minute, once)", directory.display());
    let begun = Instant::now();
    let unfinished = &making.unfinished;
    let root = unfinished.join("root");
    fs::create_dir_all(unfinished).tried(|| format!("make {}", unfinished.display()))?;
    bootstrap(&suite, PACKAGES, &root)?;
    set_up(&root)?;
    fs::rename(unfinished, &directory).tried(|| format!("name {} as finished", directory.display()))?;
    eprintln!("made it in {:.0?}", begun.elapsed());
    Ok(name)
}

fn set_up(root: &Path) -> Result<(), Failure> {
    for (path, text) in FILES {
        let path = root.join(path);
        write_whole(&path, text.as_bytes())?;
        let mode = fs::Permissions::from_mode(0o644);
        fs::set_permissions(&path, mode).tried(|| format!("make {} readable", path.display()))?;
    }
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    // The directory that this machine's variable names is not there.
    Run::new("chroot")
        .arg(root)
        .args(["env", "-u", "TMPDIR", "sh", "-e", "-s"])
        .env("PATH", path)
        .input(SETUP)
        .output()
        .map(drop)
}
