//! What k3s writes down of each manifest that it applies: an Addon, a kind of its own.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::processes::program;
use super::say;
use super::server::own_kubeconfig;

/// How often it is tried: the kind is there only a moment after it was made.
const TRIES: u32 = 10;

const KIND: &str = "addons.k3s.cattle.io";

/// Writes down all that lies below a directory.
pub fn write_down(directory: &Path) {
    let objects: Vec<Value> =
        [kind()].into_iter().chain(manifests(directory).iter().filter_map(|path| addon(path))).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    let mut why = String::new();
    for _ in 0..TRIES {
        match apply(&list) {
            Ok(()) => return,
            Err(said) => why = said,
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    say::error(&format!("Failed to write down addons: {why}"));
}

fn apply(list: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("run kubectl: {error}");
    let mut kubectl = program("kubectl");
    kubectl.arg("--kubeconfig").arg(own_kubeconfig());
    kubectl.args(["apply", "--server-side", "--force-conflicts", "-f", "-"]);
    kubectl.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = kubectl.spawn().map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(list.as_bytes()).map_err(failed)?;
    }
    let said = child.wait_with_output().map_err(failed)?;
    if said.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&said.stderr).trim().to_owned()) }
}

fn kind() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": KIND},
        "spec": {
            "group": "k3s.cattle.io",
            "names": {"kind": "Addon", "plural": "addons", "singular": "addon"},
            "scope": "Namespaced",
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                }},
            }],
        },
    })
}

/// Files of manifests, in the order of their names.
fn manifests(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    let below = |path: PathBuf| if path.is_dir() { manifests(&path) } else { vec![path] };
    paths.into_iter().flat_map(below).filter(|path| path.extension().is_some_and(|kind| kind == "yaml")).collect()
}

fn addon(path: &Path) -> Option<Value> {
    let checksum = hex::encode(Sha256::digest(fs::read(path).ok()?));
    Some(json!({
        "apiVersion": "k3s.cattle.io/v1",
        "kind": "Addon",
        "metadata": {"name": path.file_stem()?.to_str()?, "namespace": "kube-system"},
        "spec": {"source": path, "checksum": checksum},
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_manifest_is_an_addon_called_after_its_file() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("metrics-server")).unwrap();
        for name in ["coredns.yaml", "metrics-server/metrics-server-service.yaml", "note.txt"] {
            fs::write(directory.path().join(name), name).unwrap();
        }
        let addons: Vec<Value> = manifests(directory.path()).iter().filter_map(|path| addon(path)).collect();
        let names: Vec<&Value> = addons.iter().map(|addon| &addon["metadata"]["name"]).collect();
        assert_eq!(names, ["coredns", "metrics-server-service"]);
    }
}
