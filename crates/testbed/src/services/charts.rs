//! Charts of Argo CD: ours, made around the manifests that are in Argo CD's own Go module.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::REGISTRY_PORT;
use crate::failure::{Failure, Tried};
use crate::go_programs::{CHART, HELM, go};
use crate::places::{self, Lock};
use crate::run::Run;
use crate::testbed::Testbed;

/// The version that bringup installs by default, and a newer one that somebody else may have installed.
const VERSIONS: [&str; 2] = ["7.8.3", "7.8.28"];

/// Where charts lie in the registry: as in the published one.
const PATH: &str = "argoproj/argo-helm";

/// Raise this when something changes that the hash does not see.
const EDITION: &str = "1";

/// Sees to it that the charts are in the cache; the directory that they are in.
pub fn provide() -> Result<PathBuf, Failure> {
    let maker = CHART.provide()?;
    let cache = places::cache();
    let made_by = maker.file_name().unwrap_or_default().to_string_lossy();
    let hash = Sha256::digest([&made_by, EDITION, &VERSIONS.join(",")].join("\0"));
    let hex = hex::encode(&hash[..8]);
    let directory = cache.join(format!("charts-{hex}"));
    if directory.is_dir() {
        return Ok(directory);
    }
    let _lock = places::lock(&cache, "charts", Lock::Alone, Duration::from_secs(600))?;
    if directory.is_dir() {
        return Ok(directory);
    }
    let unfinished = cache.join(".unfinished-charts");
    let _ = fs::remove_dir_all(&unfinished);
    let packages = unfinished.join("packages");
    fs::create_dir_all(&packages).tried(|| format!("make {}", packages.display()))?;
    let manifests = manifests(&unfinished.join("source"))?;
    for version in VERSIONS {
        let chart = unfinished.join(version).join("argo-cd");
        Run::new(CHART.path()?).arg(&manifests).arg(version).arg(&chart).output()?;
        helm(&unfinished)?.arg("package").arg(&chart).arg("--destination").arg(&packages).output()?;
    }
    fs::rename(&packages, &directory).tried(|| format!("name {} as finished", directory.display()))?;
    fs::remove_dir_all(&unfinished).tried(|| format!("remove {}", unfinished.display()))?;
    Ok(directory)
}

/// Where the release's manifests are in the folder of Argo CD's module.
fn manifests(source: &Path) -> Result<PathBuf, Failure> {
    CHART.write_source(source)?;
    let said = go(source)?.args(["mod", "download", "-json", "github.com/argoproj/argo-cd/v2"]).output()?;
    let said: Value = serde_json::from_str(&said).tried(|| "understand what go says of a module".to_owned())?;
    let folder = said["Dir"].as_str().ok_or_else(|| Failure::new("find the folder of Argo CD's module", &said))?;
    Ok(Path::new(folder).join("manifests/core-install.yaml"))
}

/// helm, with its own things in a directory and none of this machine's.
fn helm(home: &Path) -> Result<Run, Failure> {
    let helm = Run::new(HELM.path()?);
    Ok(["CACHE", "CONFIG", "DATA"].iter().fold(helm, |helm, kind| helm.env(&format!("HELM_{kind}_HOME"), home)))
}

/// Puts them into a testbed's registry. Those that are there already are put there again, which changes nothing.
pub fn push(testbed: &Testbed) -> Result<(), Failure> {
    let directory = provide()?;
    let to = format!("oci://{}:{REGISTRY_PORT}/{PATH}", testbed.gateway());
    let home = tempfile::tempdir().tried(|| "make a temporary directory".to_owned())?;
    for version in VERSIONS {
        let package = directory.join(format!("argo-cd-{version}.tgz"));
        helm(home.path())?.arg("push").arg(&package).arg(&to).arg("--plain-http").output()?;
    }
    Ok(())
}

/// Where the registry has them: a scheme is to be put before it.
pub fn address(testbed: &Testbed) -> String {
    format!("http://{}:{REGISTRY_PORT}/{PATH}/argo-cd", testbed.gateway())
}
