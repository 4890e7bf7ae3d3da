//! The package repositories: two flat ones, signed with one key that is thrown away afterwards.

use std::fs;
use std::path::Path;

use super::debs::{DEBS, Place, build};
use crate::container_images;
use crate::failure::{Failure, Tried};
use crate::records::write_whole;
use crate::run::Run;

/// Makes `/apt` and `/nvidia` in a directory, and `key.gpg` beside them.
pub fn make(directory: &Path, architecture: &str) -> Result<(), Failure> {
    // The agent's socket lies in it, and the path of a socket must be short.
    let home = tempfile::Builder::new().prefix("tb-gpg").tempdir_in("/tmp").tried(|| "make a key ring".to_owned())?;
    let signed = sign_all(directory, architecture, home.path());
    // The agent was started by gpg for this key ring alone.
    let ended = Run::new("gpgconf").arg("--homedir").arg(home.path()).args(["--kill", "all"]).output();
    signed.and(ended.map(drop))
}

/// The sum of the key that signs NVIDIA's repository, as it is served; `base` is the directory of a base system.
pub fn key_sum(base: &Path) -> Result<String, Failure> {
    container_images::sum(&base.join("repository/nvidia/gpgkey"))
}

fn sign_all(directory: &Path, architecture: &str, home: &Path) -> Result<(), Failure> {
    let gpg = || Run::new("gpg").arg("--homedir").arg(home).args(["--batch", "--quiet", "--yes"]);
    gpg().args(["--passphrase", "", "--quick-gen-key", "testbed", "ed25519", "sign", "never"]).output()?;
    let apt = directory.join("apt");
    let nvidia = directory.join("nvidia/stable/deb").join(architecture);
    for (place, directory) in [(Place::Repository, &apt), (Place::Nvidia, &nvidia)] {
        fs::create_dir_all(directory).tried(|| format!("make {}", directory.display()))?;
        for deb in DEBS.iter().filter(|deb| deb.place == place) {
            build(deb, directory)?;
        }
        let archive = |words: &[&str]| Run::new("apt-ftparchive").args(words).within(directory).output();
        write_whole(&directory.join("Packages"), archive(&["packages", "."])?.as_bytes())?;
        let suite = ["-o", "APT::FTPArchive::Release::Suite=stable", "-o", "APT::FTPArchive::Release::Label=testbed"];
        let release = archive(&[&suite[..], &["release", "."]].concat())?;
        write_whole(&directory.join("Release"), release.as_bytes())?;
        gpg().args(["--clearsign", "--output", "InRelease", "Release"]).within(directory).output()?;
    }
    gpg().arg("--output").arg(directory.join("key.gpg")).arg("--export").output()?;
    gpg().arg("--output").arg(directory.join("nvidia/gpgkey")).args(["--armor", "--export"]).output()?;
    Ok(())
}
