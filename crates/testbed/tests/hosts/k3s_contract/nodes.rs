//! What the recording says of Nodes and of other objects of the cluster.

use std::time::Duration;

use serde_json::{Value, json};

use super::compare::differs;
use super::pattern::matches;
use super::stage::{BOUND, Stage};

const SECRET: &str = "--namespace=kube-system secret b.node-password.k3s";

/// Labels that releases of today have dropped.
const DROPPED: [&str; 2] = ["beta.kubernetes.io/instance-type", "node-role.kubernetes.io/master"];

/// Annotations of flannel's vxlan. The stand-in's pods have routes from node to node instead, as with `host-gw`.
const OF_VXLAN: &str = "flannel.alpha.coreos.com/backend-data";

/// What the real k3s applies of metrics-server in manifests of their own, the stand-in has in one.
pub const PARTS_OF_METRICS_SERVER: [&str; 6] = [
    "aggregated-metrics-reader",
    "auth-delegator",
    "auth-reader",
    "metrics-apiservice",
    "metrics-server-service",
    "resource-reader",
];

pub fn password(stage: &Stage, line: &Value) -> Vec<String> {
    let secret = stage.object(SECRET).unwrap_or_default();
    let names: Vec<&String> = secret["data"].as_object().into_iter().flat_map(|data| data.keys()).collect();
    let here = json!({
        "type": secret["type"], "immutable": secret["immutable"], "data": names,
        "ownerReferences": secret["metadata"]["ownerReferences"],
    });
    differs("the secret", &line["facts"], &here)
}

/// The secret goes with it, and the agent joins with its new password.
pub fn deleted_while_refused(stage: &Stage) -> Vec<String> {
    let before = stage.object(SECRET).unwrap_or_default();
    stage.bed.shell("a", "k3s kubectl delete node b");
    let renewed = |stage: &Stage| {
        let now = stage.object(SECRET).unwrap_or_default();
        !now.is_null() && now["metadata"]["uid"] != before["metadata"]["uid"] && stage.is_ready("b")
    };
    if stage.comes(BOUND, renewed) { Vec::new() } else { vec!["b was not let in again".to_owned()] }
}

/// Nothing brings it back but a restart. As long as it was watched, less half a minute.
pub fn deleted_while_healthy(stage: &Stage) -> Vec<String> {
    stage.bed.shell("a", "k3s kubectl delete node b");
    let mut different = Vec::new();
    if stage.comes(Duration::from_secs(12), |stage| stage.object("node b").is_some()) {
        different.push("b came back by itself".to_owned());
    }
    different.extend(differs("ActiveState", &"active".into(), &stage.property("b", "k3s-agent", "ActiveState").into()));
    stage.bed.shell("b", "systemctl restart k3s-agent");
    if !stage.comes(BOUND, |stage| stage.is_ready("b")) {
        different.push("b is not Ready although its agent was restarted".to_owned());
    }
    different
}

pub fn left_behind(stage: &Stage, line: &Value) -> Vec<String> {
    let conditions = |node: &Value| -> Value {
        let all = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
        all.iter().map(|one| json!([one["type"], one["status"], one["reason"]])).collect()
    };
    let sorted = |all: &Value| {
        let mut all: Vec<String> = all.as_array().unwrap().iter().map(ToString::to_string).collect();
        all.sort_unstable();
        all
    };
    let node = |stage: &Stage| stage.object("node b").unwrap_or_default();
    stage.comes(BOUND, |stage| sorted(&conditions(&node(stage))) == sorted(&line["conditions"]));
    let unreachable = |node: &Value| {
        let taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
        taints.iter().any(|one| one["key"] == "node.kubernetes.io/unreachable" && one["effect"] == "NoSchedule")
    };
    let mut different = Vec::new();
    if !stage.comes(BOUND, |stage| unreachable(&node(stage))) {
        different.push("it has no taint that says it is unreachable".to_owned());
    }
    let node = node(stage);
    let (recorded, here) = (sorted(&line["conditions"]), sorted(&conditions(&node)));
    different.extend(differs("conditions", &recorded.into(), &here.into()));
    different.extend(common(&node, line));
    for (name, recorded) in line["annotations"].as_object().unwrap() {
        let recorded = match name.as_str() {
            OF_VXLAN => continue,
            "flannel.alpha.coreos.com/backend-type" => "host-gw".to_owned(),
            "k3s.io/node-config-hash" => "…====".to_owned(),
            _ => stage.here(recorded.as_str().unwrap()).replace("cgroup-root=/kb", "max-pods=64"),
        };
        let here = node["metadata"]["annotations"][name].as_str().unwrap_or_default();
        if !matches(&recorded, here) {
            different.push(format!("{name}: {here}, recorded {recorded}"));
        }
    }
    different
}

pub fn server(stage: &Stage, line: &Value) -> Vec<String> {
    let node = stage.object("node a").unwrap_or_default();
    let mut different = common(&node, line);
    for name in line["annotation_names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()) {
        if name != OF_VXLAN && node["metadata"]["annotations"][name].is_null() {
            different.push(format!("it has no annotation {name}"));
        }
    }
    different
}

/// Labels, and what its specification says besides taints. Which network of pods it has is chance.
fn common(node: &Value, line: &Value) -> Vec<String> {
    let mut labels = line["labels"].clone();
    labels.as_object_mut().unwrap().retain(|name, _| !DROPPED.contains(&name.as_str()));
    let mut here = node["metadata"]["labels"].clone();
    here.as_object_mut().unwrap().retain(|name, _| !DROPPED.contains(&name.as_str()));
    let network = node["spec"]["podCIDR"].as_str().unwrap_or_default();
    let in_pods = network.starts_with("10.42.") && network.ends_with(".0/24");
    let mut different = differs("labels", &labels, &here);
    different.extend(differs("podCIDR", &true.into(), &in_pods.into()));
    different.extend(differs("podCIDRs", &json!([network]), &node["spec"]["podCIDRs"]));
    different.extend(differs("providerID", &line["spec"]["providerID"], &node["spec"]["providerID"]));
    different
}

/// One for each manifest. What the real one applies of metrics-server in seven, the stand-in has in one.
pub fn addons(stage: &Stage, line: &Value) -> Vec<String> {
    let list = stage.object("--namespace=kube-system addons.k3s.cattle.io").unwrap_or_default();
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let mut names: Vec<&Value> = items.iter().map(|item| &item["metadata"]["name"]).collect();
    names.sort_by_key(ToString::to_string);
    let mut recorded: Vec<&Value> = line["names"].as_array().unwrap().iter().collect();
    recorded.retain(|name| !PARTS_OF_METRICS_SERVER.iter().any(|part| *name == part));
    differs("names", &json!(recorded), &json!(names))
}
