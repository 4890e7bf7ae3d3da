//! The parsers of what an API server says; see [`crate::fuzzing`].

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::nodes::Kubelet;
use super::{certificate as our_certificate, definitions, nodes, release};

/// What stands in the secret of a release, without the two layers of base64 around it.
pub(crate) fn helm_release(bytes: &[u8]) -> bool {
    let packed = STANDARD.encode(STANDARD.encode(bytes));
    release::decode(&json!({"data": {"release": packed}})).map(|release| release.state()).is_ok()
}

/// The manifest of a release.
pub(crate) fn manifest(bytes: &[u8]) -> bool {
    definitions::lost(&String::from_utf8_lossy(bytes)).is_ok_and(|lost| !lost.is_empty())
}

/// A list of nodes.
pub(crate) fn kube_objects(bytes: &[u8]) -> bool {
    let Ok(list) = serde_json::from_slice::<Value>(bytes) else { return false };
    let kubelet = || Kubelet { renews: true, renewed: None };
    let nodes: Vec<_> = nodes::items(&list).map(|node| nodes::state(node, kubelet())).collect();
    !nodes.is_empty()
}

/// A client's certificate in PEM.
pub(crate) fn certificate(bytes: &[u8]) -> bool {
    our_certificate::valid(bytes).is_some()
}
