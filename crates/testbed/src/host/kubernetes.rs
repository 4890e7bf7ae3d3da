//! What a host is given so that it can be a node of a real cluster: rights, and the parts that k3s carries with itself.
//!
//! They are the same files in each host, at one place, and no host can change them.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use sha2::{Digest, Sha256};

use crate::failure::{Failure, Tried};
use crate::go_programs::KUBERNETES;
use crate::places::{self, Lock};
use crate::run::Run;
use crate::testbed::{Host, Place, Testbed};
use crate::{base, container_images};

/// Where the parts are in a host.
pub const PARTS: &str = "/usr/libexec/testbed/k3s";

/// Where a host whose root is an overlay has room that is none: containerd lays overlays of its own, and the kernel
/// refuses one over another.
pub const STORAGE: &str = "/var/lib/testbed/k3s-storage";

/// What comes from Debian.
const PACKAGES: &str =
    "containerd,runc,containernetworking-plugins,etcd-server,etcd-client,iptables,nftables,conntrack,zstd";

/// What of it stays away.
const LEFT_OUT: [&str; 5] =
    ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/perl*", "/usr/lib/*/perl*"];

/// What is bound into the parts, and whether it is a directory.
const BOUND_IN: [(&str, bool); 3] = [("kube", true), ("images", true), ("k3s", false)];

/// Names that Debian gives to these programs when it installs them, which is not done here.
const ALTERNATIVES: [&str; 6] =
    ["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"];

/// Raise this when something changes that the hash does not see.
const EDITION: &str = "1";

/// Sees to it that all of it is there, before any host starts.
pub fn provide(testbed: &Testbed) -> Result<(), Failure> {
    debian()?;
    KUBERNETES.provide()?;
    container_images::provide()?;
    let program = program(testbed);
    if !program.exists() {
        let directory = testbed.directory().join("bin");
        fs::create_dir_all(&directory).tried(|| format!("make {}", directory.display()))?;
        let me = std::env::current_exe().tried(|| "find my own program".to_owned())?;
        fs::copy(&me, &program).tried(|| format!("copy {}", me.display()))?;
    }
    Ok(())
}

/// The program `k3s`: a copy, as the one that runs may be built anew.
fn program(testbed: &Testbed) -> PathBuf {
    testbed.directory().join("bin/k3s")
}

/// What nspawn is told besides what each host has.
pub fn words(testbed: &Testbed, host: &Host) -> Result<Vec<String>, Failure> {
    if !testbed.kubernetes || host.place == Place::Bmc {
        return Ok(Vec::new());
    }
    let mut words = vec![
        "--capability=all".to_owned(),
        // runc gives each pod a keyring of its own.
        "--system-call-filter=@keyring".to_owned(),
        "--bind=/dev/kmsg".to_owned(),
        format!("--bind-ro={}:{PARTS}", debian()?.display()),
        format!("--bind-ro={}:{PARTS}/kube", KUBERNETES.provide()?.display()),
        format!("--bind-ro={}:{PARTS}/images", container_images::provide()?.display()),
        format!("--bind-ro={}:{PARTS}/k3s", program(testbed).display()),
    ];
    if host.place == Place::Alone && !testbed.disks {
        let storage = testbed.host_directory(host).join("k3s-storage");
        fs::create_dir_all(&storage).tried(|| format!("make {}", storage.display()))?;
        words.push(format!("--bind={}:{STORAGE}", storage.display()));
    }
    Ok(words)
}

/// Debian's programs with the libraries that they need, in the cache.
pub fn debian() -> Result<PathBuf, Failure> {
    let (cache, suite) = (places::cache(), base::suite());
    let mut hash = Sha256::new();
    for part in [&suite, PACKAGES, EDITION].into_iter().chain(LEFT_OUT).chain(ALTERNATIVES) {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let hex = hex::encode(&hash.finalize()[..8]);
    let directory = cache.join(format!("k3s-parts-{hex}"));
    if directory.is_dir() {
        return Ok(directory);
    }
    let _lock = places::lock(&cache, "k3s-parts", Lock::Alone, base::BOUND)?;
    if directory.is_dir() {
        return Ok(directory);
    }
    eprintln!("unpacking containerd, etcd and others for nodes of a cluster (a minute, once)");
    let begun = Instant::now();
    let unfinished = cache.join(".unfinished-k3s-parts");
    // Nobody else is at work on it while the lock is held: this is what a crash has left.
    let _ = fs::remove_dir_all(&unfinished);
    fs::create_dir_all(&unfinished).tried(|| format!("make {}", unfinished.display()))?;
    base::extract(&suite, PACKAGES, &LEFT_OUT, &unfinished.join("debian"))?;
    for name in ALTERNATIVES {
        let (nft, link) = (name.replacen("tables", "tables-nft", 1), unfinished.join("debian/usr/sbin").join(name));
        std::os::unix::fs::symlink(&nft, &link).tried(|| format!("link {name} to {nft}"))?;
    }
    for (name, is_directory) in BOUND_IN {
        let path = unfinished.join(name);
        let made = if is_directory { fs::create_dir(&path) } else { fs::write(&path, b"") };
        made.tried(|| format!("make {}", path.display()))?;
    }
    Run::new("chmod").arg("0755").arg(&unfinished).output()?;
    fs::rename(&unfinished, &directory).tried(|| format!("name {} as finished", directory.display()))?;
    eprintln!("made it in {:.0?}", begun.elapsed());
    Ok(directory)
}
