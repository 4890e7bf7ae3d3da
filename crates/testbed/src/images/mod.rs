//! Images to flash: partitioned as those of the modules are, with the base system as their root, compressed with xz.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::failure::{Failure, Tried};
use crate::places;
use crate::records::write_whole;
use crate::run::Run;
use crate::testbed::{REPOSITORY_PORT, Testbed};

const SCRIPT: &str = include_str!("../../guest/image.sh");

/// Raise this when something changes that the hash does not see.
const EDITION: &str = "1";

const BOUND: Duration = Duration::from_secs(900);

/// Kinds of modules, and what their images are called.
pub const KINDS: [(&str, &str); 2] = [
    ("rk1", "ubuntu-24.04-preinstalled-server-arm64-turing-rk1.img.xz"),
    ("cm4", "ubuntu-24.04.4-preinstalled-server-arm64+raspi.img.xz"),
];

/// Sees to it that the images over a base system are in the cache; the name of their directory there.
pub fn provide(base: &str) -> Result<String, Failure> {
    let cache = places::cache();
    let hash = Sha256::digest([base, SCRIPT, EDITION].join("\0"));
    let hex = hex::encode(&hash[..8]);
    let name = format!("images-{hex}");
    let directory = cache.join(&name);
    for (kind, file) in KINDS {
        let is_whole = || sum_of(&directory, kind).exists();
        if is_whole() {
            continue;
        }
        let making = places::making(&format!("{name}-{kind}"), BOUND)?;
        if is_whole() {
            continue;
        }
        let unfinished = &making.unfinished;
        eprintln!("making the image {} (half a minute, once)", directory.join(file).display());
        let begun = Instant::now();
        make(&cache.join(base).join("root"), unfinished, kind, file)?;
        fs::create_dir_all(&directory).tried(|| format!("make {}", directory.display()))?;
        // The sum comes last: with it, the image is whole.
        for (from, to) in
            [(unfinished.join(file), directory.join(file)), (sum_of(unfinished, kind), sum_of(&directory, kind))]
        {
            fs::rename(&from, &to).tried(|| format!("name {} as finished", to.display()))?;
        }
        fs::remove_dir_all(unfinished).tried(|| format!("remove {}", unfinished.display()))?;
        eprintln!("made it in {:.0?}", begun.elapsed());
    }
    Ok(name)
}

/// Where the sum of an image is.
fn sum_of(directory: &Path, kind: &str) -> PathBuf {
    directory.join(format!("{kind}.sha256"))
}

fn make(base: &Path, into: &Path, kind: &str, file: &str) -> Result<(), Failure> {
    let work = into.join("work");
    fs::create_dir_all(&work).tried(|| format!("make {}", work.display()))?;
    Run::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-e", "-s", "--"])
        .args([base, work.as_path()])
        .arg(kind)
        .input(SCRIPT)
        .bound(BOUND)
        .output()?;
    let image = into.join(file);
    fs::rename(work.join("image.xz"), &image).tried(|| format!("put {} in its place", image.display()))?;
    write_whole(&sum_of(into, kind), sum(&image)?.as_bytes())?;
    fs::remove_dir_all(&work).tried(|| format!("remove {}", work.display()))
}

fn sum(path: &Path) -> Result<String, Failure> {
    let mut hash = Sha256::new();
    let tried = || format!("read {}", path.display());
    io::copy(&mut File::open(path).tried(tried)?, &mut hash).tried(tried)?;
    Ok(hex::encode(hash.finalize()))
}

/// Where a testbed's images are.
pub fn directory(testbed: &Testbed) -> PathBuf {
    places::cache().join(&testbed.images)
}

/// Where an image is had, and its sum.
pub fn address(testbed: &Testbed, kind: &str, file: &str) -> (String, String) {
    let sum = fs::read_to_string(sum_of(&directory(testbed), kind)).unwrap_or_default();
    (format!("http://{}:{REPOSITORY_PORT}/images/{file}", testbed.gateway()), sum)
}
