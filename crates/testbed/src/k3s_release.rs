//! Releases of k3s as a mirror has them: the install script, and for each version the program, the archive of images and
//! their sums, in the layout that GitHub gives to releases. All of it is the testbed's own; see `docs/TESTBED-K3S-INSTALL.md`.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::container_images;
use crate::failure::{Failure, Tried};
use crate::go_programs::K3S_VERSION;
use crate::k3s;
use crate::places::{self, Lock};
use crate::records::write_whole;
use crate::run::Run;
use crate::testbed::{REPOSITORY_PORT, Testbed};

const INSTALL: &str = include_str!("../guest/k3s/install.sh");
const KILLALL: &str = include_str!("../guest/k3s/killall.sh");
const UNINSTALL: &str = include_str!("../guest/k3s/uninstall.sh");

/// Others beside the one that sites name, older and newer: the same program, which says that it is another one. The first
/// and the last were recorded; those below 1.24 are installed as the first was.
pub const OTHER_VERSIONS: [&str; 4] = ["v1.21.2+k3s1", "v1.34.6+k3s1", "v1.35.5+k3s1", "v1.36.3+k3s1"];

/// The images that every node wants, which an archive of images has.
const IMAGES: &str = "testbed-base.tar";

/// The first word of their addresses' paths.
const SHELF: &str = "/k3s/";

/// Raise this when something changes that the hash does not see.
const EDITION: &str = "1";

const BOUND: std::time::Duration = std::time::Duration::from_secs(300);

/// What one install script does otherwise than another.
#[derive(Clone, Copy, Debug)]
enum Generation {
    /// Since February 2026 (k3s 702aba6f3).
    Today,
    /// Before.
    Of2025,
}

/// The script that installs: with the scripts in it that it leaves.
fn script(generation: Generation) -> String {
    let generation = match generation {
        Generation::Today => "today",
        Generation::Of2025 => "2025",
    };
    INSTALL
        .replace("@VERSION@", K3S_VERSION)
        .replace("@GENERATION@", generation)
        .replace("@KILLALL@\n", KILLALL)
        .replace("@UNINSTALL@\n", UNINSTALL)
}

/// Sees to it that the releases are in the cache; where they are.
pub fn provide() -> Result<PathBuf, Failure> {
    let (cache, images) = (places::cache(), container_images::provide()?);
    let mut hash = Sha256::new();
    let images_name = images.to_string_lossy();
    let programs = versions().map(k3s::artifact).collect::<String>();
    for part in [EDITION, &script(Generation::Today), &programs, &images_name, architecture()] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let hex = hex::encode(&hash.finalize()[..8]);
    let directory = cache.join(format!("k3s-releases-{hex}"));
    if directory.is_dir() {
        return Ok(directory);
    }
    let _lock = places::lock(&cache, "k3s-releases", Lock::Alone, BOUND)?;
    if directory.is_dir() {
        return Ok(directory);
    }
    let unfinished = cache.join(".unfinished-k3s-releases");
    // Nobody else is at work on it while the lock is held: this is what a crash has left.
    let _ = fs::remove_dir_all(&unfinished);
    fs::create_dir_all(&unfinished).tried(|| format!("make {}", unfinished.display()))?;
    write_whole(&unfinished.join("install.sh"), script(Generation::Today).as_bytes())?;
    write_whole(&unfinished.join("install-2025.sh"), script(Generation::Of2025).as_bytes())?;
    let packed = unfinished.join("images.tar.zst");
    Run::new("zstd").args(["-q", "-3", "-o"]).arg(&packed).arg(images.join(IMAGES)).bound(BOUND).output()?;
    for version in versions() {
        release(&unfinished.join("releases/download").join(version), version, &packed)?;
    }
    fs::rename(&unfinished, &directory).tried(|| format!("name {} as finished", directory.display()))?;
    Ok(directory)
}

fn versions() -> impl Iterator<Item = &'static str> {
    [K3S_VERSION].into_iter().chain(OTHER_VERSIONS)
}

fn release(directory: &Path, version: &str, images: &Path) -> Result<(), Failure> {
    let architecture = architecture();
    let program = if architecture == "amd64" { "k3s".to_owned() } else { format!("k3s-{architecture}") };
    write_whole(&directory.join(&program), k3s::artifact(version).as_bytes())?;
    let archive = format!("k3s-airgap-images-{architecture}.tar.zst");
    fs::hard_link(images, directory.join(&archive)).tried(|| format!("link {archive}"))?;
    let mut sums = String::new();
    for name in [&archive, &program] {
        let path = directory.join(name);
        let bytes = fs::read(&path).tried(|| format!("read {}", path.display()))?;
        let sum = hex::encode(Sha256::digest(bytes));
        // Writing to a text cannot fail.
        let _ = writeln!(sums, "{sum}  {name}");
    }
    write_whole(&directory.join(format!("sha256sum-{architecture}.txt")), sums.as_bytes())
}

/// Where the releases are among the shelves of the web server.
pub fn shelf() -> Result<(String, PathBuf), Failure> {
    Ok((SHELF.to_owned(), provide()?))
}

/// What the site says of them. Over plain http a list of sums beside a file proves nothing, so it states the lists' own.
pub fn settings(testbed: &Testbed) -> Result<String, Failure> {
    let releases = provide()?;
    let list = |version: &str| releases.join(format!("releases/download/{version}/sha256sum-{}.txt", architecture()));
    let lists = versions().map(|version| container_images::sum(&list(version))).collect::<Result<Vec<_>, _>>()?;
    Ok(text(testbed, &container_images::sum(&releases.join("install.sh"))?, &lists))
}

/// That, with the sums of the script and of each version's list.
pub fn text(testbed: &Testbed, script: &str, lists: &[String]) -> String {
    let mirror = format!("http://{}:{REPOSITORY_PORT}{SHELF}", testbed.gateway());
    format!(
        "k3s_version: {K3S_VERSION}\nk3s_install_url: {mirror}install.sh\nk3s_install_sha256: {script}\n\
         k3s_artifact_url: {mirror}releases\nk3s_artifact_sha256: [{}]\n",
        lists.join(", ")
    )
}

/// What releases call this machine's processor.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shells that a host's `/bin/sh` may be.
    const SHELLS: [&str; 2] = ["dash", "bash"];

    #[test]
    fn the_script_holds_the_scripts_that_it_leaves_and_is_shell() {
        let script = script(Generation::Today);
        for left in ["@VERSION@", "@GENERATION@", "@KILLALL@", "@UNINSTALL@"] {
            assert!(!script.contains(left), "{left}");
        }
        assert!(script.contains(KILLALL) && script.contains(UNINSTALL));
        for shell in SHELLS {
            for text in [script.as_str(), KILLALL, UNINSTALL] {
                Run::new(shell).arg("-n").input(text).output().unwrap();
            }
        }
    }

    #[test]
    fn a_release_is_laid_out_as_on_github_and_its_sums_are_right() {
        let directory = tempfile::tempdir().unwrap();
        let images = directory.path().join("images");
        fs::write(&images, "images").unwrap();
        let release_of = |version: &str| directory.path().join(version);
        for version in versions() {
            release(&release_of(version), version, &images).unwrap();
            let sums = format!("sha256sum-{}.txt", architecture());
            Run::new("sha256sum").args(["--check", "--strict", &sums]).within(release_of(version)).output().unwrap();
        }
        let program = |version| fs::read_to_string(release_of(version).join("k3s")).unwrap();
        assert_ne!(program(K3S_VERSION), program(OTHER_VERSIONS[0]));
    }
}
