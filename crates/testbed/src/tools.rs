//! The programs that the testbed needs, and the installation of those that are missing.

use std::time::Duration;

use crate::failure::Failure;
use crate::places::{self, Lock};
use crate::run::{Run, is_there};

/// A program and the Debian package that brings it.
const NEEDED: [(&str, &str); 23] = [
    ("systemd-nspawn", "systemd-container"),
    ("mmdebstrap", "mmdebstrap"),
    ("dnsmasq", "dnsmasq-base"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("nft", "nftables"),
    ("ip", "iproute2"),
    ("apt-ftparchive", "apt-utils"),
    ("dpkg-deb", "dpkg"),
    ("gpg", "gnupg"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("losetup", "mount"),
    ("mount", "mount"),
    ("partx", "util-linux"),
    ("sfdisk", "fdisk"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.vfat", "dosfstools"),
    ("fusefat", "fusefat"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
    ("git", "git"),
];

/// How long one run of apt-get may take.
const BOUND: Duration = Duration::from_secs(600);

/// The packages that bring what is missing.
fn missing() -> Vec<&'static str> {
    let mut packages: Vec<&str> =
        NEEDED.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect();
    packages.dedup();
    packages
}

/// Sees to it that they are there.
pub fn provide() -> Result<(), Failure> {
    if missing().is_empty() {
        return Ok(());
    }
    // apt-get waits for dpkg's lock, but not for that of its lists.
    let _lock = places::lock(&places::cache(), "packages", Lock::Alone, 2 * BOUND)?;
    let packages = missing();
    if packages.is_empty() {
        return Ok(());
    }
    eprintln!("installing {}", packages.join(", "));
    let apt = |words: &[&str]| Run::new("apt-get").args(words).env("DEBIAN_FRONTEND", "noninteractive").bound(BOUND);
    let install = ["-q", "-y", "-o", "DPkg::Lock::Timeout=300", "install", "--no-install-recommends"];
    apt(&["-q", "update"])
        .output()
        .and_then(|_| apt(&install).args(&packages).output())
        .map(drop)
        .map_err(|failure| failure.help(format!("install them by hand: {}", packages.join(" "))))
}

/// Everything here needs root.
pub fn root() -> Result<(), Failure> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Failure::new("work on a testbed", "containers, bridges and mounts need root").help("run it as root"))
}
