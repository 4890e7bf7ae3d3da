//! What k3s puts into a new cluster: the objects of the real one by name and label, in pods of the testbed's images.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::write;
use super::node::{DNS, DOMAIN, Node};
use super::processes::program;
use super::say;
use super::server::own_kubeconfig;
use super::{DATA, Minor, addons};
use crate::container_images::{BUSYBOX_IMAGE, coredns_image};
use crate::template::filled;

/// How often applying is tried: the API server may not have made all namespaces yet.
const TRIES: u32 = 30;

fn directory() -> PathBuf {
    Path::new(DATA).join("server/manifests")
}

/// Writes them down, without those that are disabled.
pub fn write_all(node: &Node, minor: Minor, disabled: &[String]) -> Result<(), String> {
    let wanted = |name: &str| !disabled.iter().any(|other| other == name);
    let put = |name: &str, text: &str| write(&directory().join(name), text, 0o600);
    put("rolebindings.yaml", ROLES)?;
    put("ccm.yaml", &endpoints(node))?;
    if minor >= Minor::OF_TODAY {
        put("runtimes.yaml", &runtimes())?;
    }
    if wanted("coredns") {
        put("coredns.yaml", &coredns())?;
    }
    if wanted("local-storage") {
        put("local-storage.yaml", &local_storage())?;
    }
    if wanted("metrics-server") {
        put("metrics-server/metrics-server-deployment.yaml", &metrics_server())?;
    }
    Ok(())
}

/// Applies what lies there, what others have put there too.
pub fn apply(node: &str) {
    for _ in 0..TRIES {
        let mut kubectl = program("kubectl");
        kubectl.arg("--kubeconfig").arg(own_kubeconfig());
        kubectl.args(["apply", "--server-side", "--force-conflicts", "-R"]);
        kubectl.arg(format!("--field-manager=deploy@{node}")).arg("-f").arg(directory());
        match kubectl.output() {
            Ok(said) if said.status.success() => {
                say::info("Applied manifests");
                return addons::write_down(&directory());
            }
            Ok(said) => say::error(&format!("failed to apply: {}", String::from_utf8_lossy(&said.stderr).trim())),
            Err(why) => say::error(&format!("failed to apply: {why}")),
        }
        std::thread::sleep(Duration::from_secs(2));
    }
}

const ROLES: &str = include_str!("manifests/rolebindings.yaml");

/// Names of runtimes that pods may ask for, whether a node has them or not.
const RUNTIMES: [&str; 10] =
    ["crun", "lunatic", "nvidia", "nvidia-experimental", "slight", "spin", "wasmedge", "wasmer", "wasmtime", "wws"];

fn runtimes() -> String {
    let one = |name: &&str| filled(include_str!("manifests/runtime.yaml"), &[("NAME", name)]);
    RUNTIMES.iter().map(one).collect::<Vec<_>>().join("---\n")
}

/// Where pods find the API server: at the supervisor of this node.
fn endpoints(node: &Node) -> String {
    filled(include_str!("manifests/ccm.yaml"), &[("ADDRESS", &node.address)])
}

/// CoreDNS as the real one has it, in an image of the testbed's.
fn coredns() -> String {
    let image = coredns_image();
    let values = [("IMAGE", &*image), ("DOMAIN", DOMAIN), ("DNS", DNS)];
    filled(include_str!("manifests/coredns.yaml"), &values)
}

fn local_storage() -> String {
    let deployment = idle("local-path-provisioner", "app");
    filled(include_str!("manifests/local-storage.yaml"), &[("DEPLOYMENT", &deployment)])
}

fn metrics_server() -> String {
    idle("metrics-server", "k8s-app")
}

/// A Deployment that is there, is ready, and does nothing.
fn idle(name: &str, label: &str) -> String {
    filled(include_str!("manifests/idle.yaml"), &[("NAME", name), ("LABEL", label), ("IMAGE", BUSYBOX_IMAGE)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_a_manifest_has_its_value() {
        let node = Node { name: "node01".to_owned(), address: "10.97.1.11".to_owned() };
        for text in [ROLES.to_owned(), runtimes(), endpoints(&node), coredns(), local_storage(), metrics_server()] {
            assert!(!text.contains('@') && text.starts_with("apiVersion: ") && text.ends_with('\n'), "{text}");
        }
    }
}
