//! Stage `k3s`: Kubernetes on the nodes.

use std::collections::{BTreeMap, BTreeSet};

use super::Wanted;
use super::lanes::SiteLanes;
use crate::contract::K3sRole;
use crate::engine::Need;
use crate::ids::{Sha256, StageName};
use crate::resources::{
    ArtifactSource, FetchedFile, K3sAgent, K3sServer, K3sWanted, KernelReady, Kubeconfig, MadeDirectory,
    MaintenanceEnded, NodeMarks, SealedKeysKept, SystemDeployments,
};
use crate::site::{Kind, Node, Settings};
use crate::text::k3s_config::Setting;

const STAGE: StageName = StageName::K3s;

/// Where k3s' releases are.
const RELEASES: &str = "https://github.com/k3s-io/k3s/releases";

/// What an uninstallation would take along although a person may have put it there: files, and directories with all that is
/// in them. Certificates, tokens, snapshots, manifests and the volumes of pods are the cluster's, and go.
const KEPT: [&str; 10] = [
    "/etc/rancher/k3s/config.yaml",
    "/etc/rancher/k3s/config.yaml.d",
    "/etc/rancher/k3s/registries.yaml",
    "/etc/rancher/node",
    "/var/lib/rancher/k3s/agent/images",
    "/var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl",
    "/var/lib/rancher/k3s/agent/etc/containerd/config.toml.d",
    "/var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.tmpl",
    "/var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.d",
    "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d",
];

pub(super) fn place(wanted: &Wanted<'_>, lanes: &mut SiteLanes) {
    let settings = &wanted.site.settings;
    let Some(control_plane) = wanted.control_plane() else { return };
    // Named by where it comes from: sites with other addresses may use the same cache at the same moment.
    let source = Sha256::of(&settings.k3s_install_url).short();
    let script = format!("{}/k3s-install-{}-{source}.sh", wanted.options.cache, settings.k3s_version.value);
    let mut script_fetched = None;
    if wanted.nodes().next().is_some() {
        let url = settings.k3s_install_url.clone();
        let (sha256, path) = (settings.k3s_install_sha256, script.clone());
        let fetched = FetchedFile { purpose: "k3s_script", url, sha256, path };
        let lane = lanes.add_controller_lane("k3s");
        script_fetched = Some(lanes.push(lane, STAGE, fetched).id());
    }
    // The control plane first: the others name its step.
    let is_control_plane = |node: &&Node| node.name == control_plane.name;
    let agents = wanted.nodes().filter(|node| !is_control_plane(node));
    for node in wanted.nodes().filter(is_control_plane).chain(agents) {
        let Some(lane) = lanes.node(&node.name) else { continue };
        let is_server = node.name == control_plane.name;
        lanes.push(lane, STAGE, KernelReady { node: node.name.clone() });
        let role = if is_server { K3sRole::Server } else { K3sRole::Agent };
        let k3s = K3sWanted {
            node: node.name.clone(),
            role,
            version: settings.k3s_version.clone(),
            script: script.clone(),
            releases: ArtifactSource {
                url: settings.k3s_artifact_url.clone().unwrap_or_else(|| RELEASES.to_owned()),
                sums: settings.k3s_artifact_sha256.clone(),
                cache: wanted.options.cache.clone(),
            },
            handed: settings.k3s_airgap,
            config: configuration(node, role),
            force: settings.k3s_force,
            kept: KEPT.map(str::to_owned).into(),
        };
        let fetched = script_fetched.map(Need::Held);
        if is_server && settings.k3s_force {
            let (directory, recipients) = (wanted.sealed_keys(), settings.sealed_secrets_recipients.clone());
            let kept = SealedKeysKept { control_plane: node.name.clone(), directory, recipients };
            lanes.sealed_keys = Some(lanes.push(lane, STAGE, kept).id());
        }
        if is_server {
            lanes.server = Some(lanes.push(lane, STAGE, K3sServer { wanted: k3s }).needing(fetched).id());
        } else {
            let control_plane_ip = control_plane.node_ip.clone();
            let agent = K3sAgent { wanted: k3s, control_plane: control_plane.name.clone(), control_plane_ip };
            let server = lanes.server.map(Need::Held);
            lanes.push(lane, STAGE, agent).needing(fetched).needing(server);
        }
        lanes.push(lane, STAGE, MaintenanceEnded { node: node.name.clone() });
        if node.kind == Kind::Rk1 {
            let (node, path) = (node.name.clone(), "/opt/rkllama/models".to_owned());
            lanes.push(lane, STAGE, MadeDirectory { node, purpose: "rkllama_models", path });
        }
        if let Some(marks) = marks(node) {
            lanes.push(lane, STAGE, marks);
        }
    }
    place_access(wanted, lanes, control_plane, settings);
}

/// The user's way in, and what k3s itself brings.
fn place_access(wanted: &Wanted<'_>, lanes: &mut SiteLanes, control_plane: &Node, settings: &Settings) {
    if !wanted.scope.controller && !wanted.scope.nodes.contains(&control_plane.name) {
        return;
    }
    let lane = lanes.cluster();
    let kubeconfig = Kubeconfig {
        path: settings.kubeconfig.clone(),
        context: settings.kubeconfig_context.clone(),
        set_current: settings.kubeconfig_set_current,
        control_plane: control_plane.name.clone(),
        control_plane_ip: control_plane.node_ip.clone(),
    };
    let server = lanes.server.map(Need::Held);
    lanes.push(lane, STAGE, kubeconfig).needing(server);
    let names: BTreeSet<String> = ["coredns", "local-path-provisioner", "metrics-server"].map(str::to_owned).into();
    lanes.push(lane, STAGE, SystemDeployments { namespace: "kube-system", names });
}

/// What we set in k3s's configuration file: a file shows drift, flags in a unit do not.
fn configuration(node: &Node, role: K3sRole) -> Vec<(&'static str, Setting)> {
    let mut settings = Vec::new();
    if role == K3sRole::Server {
        // An ingress controller of the site's own takes Traefik's place; cluster-init makes etcd the store.
        settings.push(("disable", Setting::List(vec!["traefik".to_owned()])));
        settings.push(("cluster-init", Setting::Yes));
        settings.push(("write-kubeconfig-mode", Setting::Text("0600".to_owned())));
        // The API's certificate is for its own name and for the way in that the site names.
        settings.push(("tls-san", Setting::List(vec![node.connection.host.clone()])));
    }
    for (key, value) in [("node-ip", &node.node_ip), ("flannel-iface", &node.flannel_iface)] {
        if let Some(value) = value {
            settings.push((key, Setting::Text(value.clone())));
        }
    }
    settings
}

/// Labels and taints of a node, if it has any.
fn marks(node: &Node) -> Option<NodeMarks> {
    let mut marks = NodeMarks {
        node: node.name.clone(),
        purpose: "marks",
        labels: BTreeMap::new(),
        labels_if_absent: BTreeMap::new(),
        taints: BTreeSet::new(),
    };
    if node.kind == Kind::Rk1 {
        marks.labels.insert("node-type".to_owned(), "rk1".to_owned());
    }
    if node.nvidia_gpu_node {
        marks.labels_if_absent.insert("nvidia.com/gpu.present".to_owned(), "true".to_owned());
    }
    if node.workstation {
        marks.labels.insert("node-role".to_owned(), "workstation".to_owned());
        marks.taints.insert("workstation=true:NoSchedule".to_owned());
    }
    let empty = marks.labels.is_empty() && marks.labels_if_absent.is_empty() && marks.taints.is_empty();
    (!empty).then_some(marks)
}
