//! The k3s of the tables.

use crate::contract::cluster::KubeNode;
use crate::contract::node::{K3s, K3sBefore, K3sConfig, K3sTrouble};
use crate::contract::{Cluster, K3sRole, K3sState, KubeNodeState};
use crate::ids::NodeName;
use crate::resources::node::k3s::artifacts::ArtifactSource;
use crate::resources::node::k3s::install::K3sWanted;
use crate::resources::scripted::{Fact, RUN, Script, k3s_state, kube_node, node01};
use crate::site::Stated;
use crate::text::k3s_config::{self, Setting};
use crate::text::k3s_journal::{Said, StartFailure};
use crate::text::secret::Secret;
use crate::version::Version;

/// The release that the site names.
pub(super) fn named() -> Version {
    Version::of_k3s(1, 34, 1, 1)
}

/// An older one.
pub(super) fn older() -> Version {
    Version::of_k3s(1, 33, 5, 1)
}

pub(super) fn wanted(role: K3sRole, stated: bool) -> K3sWanted {
    K3sWanted {
        node: node01(),
        role,
        version: Stated { value: named(), stated },
        script: "/cache/install.sh".to_owned(),
        releases: ArtifactSource { url: "https://a.example".to_owned(), sums: Vec::new(), cache: "/cache".to_owned() },
        handed: false,
        config: vec![("node-ip", Setting::Text("10.0.0.1".to_owned()))],
        force: false,
        kept: vec!["/etc/rancher/node".to_owned()],
    }
}

/// The user's text with ours in it.
pub(super) fn config_with(users: &str) -> String {
    k3s_config::merge(users, &wanted(K3sRole::Server, true).config).unwrap().text
}

pub(super) fn installed(node: &NodeName, state: Option<K3sState>) -> Fact {
    says!(*node, K3s {} => state)
}

pub(super) fn config(text: Option<&str>) -> Fact {
    says!(node01(), K3sConfig {} => text.map(Secret::new))
}

pub(super) fn kube(state: Option<KubeNodeState>) -> Fact {
    says!(Cluster, KubeNode { name: node01() } => state.clone())
}

pub(super) fn before(version: Option<Version>) -> Fact {
    says!(node01(), K3sBefore {} => version)
}

pub(super) fn trouble(trouble: Option<StartFailure>) -> Fact {
    let said = trouble.map(|trouble| Said { message: "its words".to_owned(), trouble: Some(trouble) });
    says!(node01(), K3sTrouble {} => said)
}

/// A Node whose kubelet was heard again.
pub(super) fn renewed() -> Fact {
    let later = KubeNodeState { renewed: Some("later".to_owned()), ..kube_node() };
    says!(Cluster, KubeNode { name: node01() } => Some(kube_node()), Some(later.clone()))
}

/// A node with k3s in this role as it should be; what installs it, starts it or takes it away.
pub(super) fn world(role: K3sRole) -> Script {
    let state = || K3sState { run: Some(RUN.to_owned()), ..k3s_state(role) };
    let word = role.word();
    let old = K3sState { version: older(), ..state() };
    Script::new([installed(&node01(), Some(k3s_state(role))), config(Some(&config_with(""))), kube(Some(kube_node()))])
        .once(
            &format!("install k3s v1.34.1+k3s1 as {word}"),
            [installed(&node01(), Some(state())), config(Some(&config_with(""))), renewed()],
        )
        .once(
            &format!("install k3s v1.33.5+k3s1 as {word}"),
            [installed(&node01(), Some(old)), config(Some(&config_with(""))), renewed()],
        )
        .once(&format!("start {}", role.unit()), [installed(&node01(), Some(k3s_state(role))), renewed()])
        .once(&format!("uninstall k3s {word}"), [installed(&node01(), None)])
        .once("delete Node node01 and its node-password secret", [kube(None)])
}

/// A node that never had k3s.
pub(super) fn bare(role: K3sRole) -> Script {
    world(role).with([installed(&node01(), None), config(None), before(None), kube(None)])
}
