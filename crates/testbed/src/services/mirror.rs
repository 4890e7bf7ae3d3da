//! A mirror of the downloads of tools, laid out as their own projects do it.
//!
//! What is in it is real and built here, so its sums are not the published ones; helm-diff alone stands in.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::architecture;
use crate::container_images::sum;
use crate::failure::{Failure, Tried};
use crate::go_programs::{HELM, HELM_VERSION, KUBECTL, KUBECTL_VERSION, KUBESEAL, KUBESEAL_VERSION, Program};
use crate::places::{self, Lock};
use crate::records::write_whole;
use crate::run::Run;

/// The version that the plugin gives itself.
pub const HELM_DIFF_VERSION: &str = "3.14.1";

/// The plugin cannot be had from the module proxy.
const HELM_DIFF: [(&str, &str, u32); 2] = [
    ("diff/plugin.yaml", include_str!("../../guest/helm-diff.yaml"), 0o644),
    ("diff/bin/diff", include_str!("../../guest/helm-diff.sh"), 0o755),
];

/// Raise this when something changes that the hash does not see.
const EDITION: &str = "1";

/// Sees to it that the mirror is in the cache; where it is.
pub fn provide() -> Result<PathBuf, Failure> {
    let programs = [HELM.provide()?, KUBECTL.provide()?, KUBESEAL.provide()?];
    let cache = places::cache();
    let mut hash = Sha256::new();
    let named = programs.iter().filter_map(|path| path.file_name()?.to_str());
    for part in named.chain([HELM_DIFF_VERSION, EDITION]).chain(HELM_DIFF.map(|(_, text, _)| text)) {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let hex = hex::encode(&hash.finalize()[..8]);
    let directory = cache.join(format!("mirror-{hex}"));
    if directory.is_dir() {
        return Ok(directory);
    }
    let _lock = places::lock(&cache, "mirror", Lock::Alone, Duration::from_secs(600))?;
    if directory.is_dir() {
        return Ok(directory);
    }
    let unfinished = cache.join(".unfinished-mirror");
    let _ = fs::remove_dir_all(&unfinished);
    let files = unfinished.join("files");
    make(&files, &unfinished)?;
    fs::rename(&files, &directory).tried(|| format!("name {} as finished", directory.display()))?;
    fs::remove_dir_all(&unfinished).tried(|| format!("remove {}", unfinished.display()))?;
    Ok(directory)
}

fn make(mirror: &Path, work: &Path) -> Result<(), Failure> {
    let architecture = architecture();

    let platform = format!("linux-{architecture}");
    let helm = format!("helm-v{HELM_VERSION}-{platform}.tar.gz");
    let to = mirror.join("helm");
    put(&HELM, &work.join("helm").join(&platform).join("helm"))?;
    pack(&work.join("helm"), &platform, &to.join(&helm))?;
    sums(&to, &[&helm], &format!("{helm}.sha256sum"))?;

    let kubectl = mirror.join("kubectl/release");
    write_whole(&kubectl.join("stable.txt"), format!("v{KUBECTL_VERSION}").as_bytes())?;
    let kubectl = kubectl.join(format!("v{KUBECTL_VERSION}/bin/linux/{architecture}"));
    put(&KUBECTL, &kubectl.join("kubectl"))?;
    // Kubernetes publishes a bare sum.
    write_whole(&kubectl.join("kubectl.sha256"), sum(&kubectl.join("kubectl"))?.as_bytes())?;

    let kubeseal = format!("kubeseal-{KUBESEAL_VERSION}-{platform}.tar.gz");
    let to = mirror.join(format!("kubeseal/v{KUBESEAL_VERSION}"));
    put(&KUBESEAL, &work.join("kubeseal/kubeseal"))?;
    pack(&work.join("kubeseal"), "kubeseal", &to.join(&kubeseal))?;
    sums(&to, &[&kubeseal], &format!("sealed-secrets_{KUBESEAL_VERSION}_checksums.txt"))?;

    let plugin = format!("helm-diff-{platform}.tgz");
    let to = mirror.join(format!("helm-diff/v{HELM_DIFF_VERSION}"));
    for (path, text, mode) in HELM_DIFF {
        let path = work.join("helm-diff").join(path);
        write_whole(&path, text.replace("VERSION", HELM_DIFF_VERSION).as_bytes())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))
            .tried(|| format!("set the mode of {}", path.display()))?;
    }
    pack(&work.join("helm-diff"), "diff", &to.join(&plugin))?;
    sums(&to, &[&plugin], &format!("helm-diff_{HELM_DIFF_VERSION}_checksums.txt"))
}

/// The sums of what bringup fetches from it, for the site: over plain http a list beside a file proves nothing.
pub fn stated_sums(mirror: &Path) -> Result<Vec<(&'static str, String)>, Failure> {
    let architecture = architecture();
    let platform = format!("linux-{architecture}");
    let sum = |path: String| sum(&mirror.join(path));
    Ok(vec![
        ("helm_sha256", sum(format!("helm/helm-v{HELM_VERSION}-{platform}.tar.gz"))?),
        ("kubectl_sha256", sum(format!("kubectl/release/v{KUBECTL_VERSION}/bin/linux/{architecture}/kubectl"))?),
        (
            "kubeseal_sha256",
            sum(format!("kubeseal/v{KUBESEAL_VERSION}/kubeseal-{KUBESEAL_VERSION}-{platform}.tar.gz"))?,
        ),
        ("helm_diff_sha256", sum(format!("helm-diff/v{HELM_DIFF_VERSION}/helm-diff-{platform}.tgz"))?),
    ])
}

fn put(program: &Program, to: &Path) -> Result<(), Failure> {
    let tried = || format!("copy {} to {}", program.name, to.display());
    if let Some(directory) = to.parent() {
        fs::create_dir_all(directory).tried(tried)?;
    }
    fs::copy(program.path()?, to).map(drop).tried(tried)
}

fn pack(from: &Path, what: &str, to: &Path) -> Result<(), Failure> {
    if let Some(directory) = to.parent() {
        fs::create_dir_all(directory).tried(|| format!("make {}", directory.display()))?;
    }
    let fast = ["--use-compress-program", "gzip -1n", "--sort=name", "--mtime=@0", "--owner=0", "--group=0"];
    Run::new("tar").arg("--create").args(fast).arg("--file").arg(to).arg("--directory").arg(from).arg(what).output()?;
    Ok(())
}

/// Writes sums as `sha256sum` does.
fn sums(directory: &Path, files: &[&str], to: &str) -> Result<(), Failure> {
    let mut text = String::new();
    for file in files {
        text.push_str(&format!("{}  {file}\n", sum(&directory.join(file))?));
    }
    write_whole(&directory.join(to), text.as_bytes())
}
