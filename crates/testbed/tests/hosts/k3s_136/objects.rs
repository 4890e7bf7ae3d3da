//! What the cluster has: Nodes, their leases and passwords, and what comes with k3s.

use serde_json::{Value, json};

use super::stage::Stage;
use super::{lines, noted, unless};
use crate::k3s_contract::nodes::PARTS_OF_METRICS_SERVER;
use crate::wait;

const OBJECTS: &str = include_str!("../../contract/k3s-1.36/objects.jsonl");
const DELETED: &str = include_str!("../../contract/k3s-1.36/node-deleted.jsonl");

/// Annotations that the stand-in has not: of flannel's vxlan, and of etcd's snapshots, which are no objects here.
const NOT_ANNOTATED: [&str; 2] =
    ["flannel.alpha.coreos.com/backend-data", "etcd.k3s.cattle.io/local-snapshots-timestamp"];

/// The real one writes that a server is a voter of etcd; the stand-in that the network is there, as 1.21 did.
const OTHER_CONDITIONS: [&str; 2] = ["EtcdIsVoter", "NetworkUnavailable"];

fn differs(what: &str, recorded: &Value, here: &Value) -> Vec<String> {
    unless(recorded == here, || format!("{what}: {here}, recorded {recorded}"))
}

pub fn all(stage: &Stage) -> Vec<String> {
    let mut different = Vec::new();
    for line in lines(OBJECTS) {
        let kube = line["kube"].as_str().unwrap_or_default();
        let (kind, name) = kube.split_once(' ').unwrap_or((kube, ""));
        let of = match kind {
            "Node" => node(stage, name, &line),
            "Lease" if name.starts_with("kube-node-lease/") => lease(stage, name, &line),
            "Secret" if name.ends_with(".node-password.k3s") => password(stage, name, &line),
            "EndpointSlice" => endpoints(stage, name, &line),
            _ => continue,
        };
        different.extend(of.into_iter().map(|what| format!("{kube}: {what}")));
    }
    let names = |what: &str| -> Vec<Value> {
        let list = stage.object(what).unwrap_or_default();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.iter().map(|item| item["metadata"]["name"].clone()).collect()
    };
    let recorded: Vec<Value> = noted(OBJECTS, "Addon")
        .iter()
        .map(|line| line["kube"].as_str().unwrap().replace("Addon kube-system/", "").into())
        .filter(|name| !PARTS_OF_METRICS_SERVER.iter().any(|part| *name == *part))
        .collect();
    different.extend(stage.comes("the addons that were recorded", |_| {
        let here = names("--namespace=kube-system addons.k3s.cattle.io");
        wait::so(here == recorded, || format!("{here:?}, recorded {recorded:?}"))
    }));
    for (note, what) in [("RuntimeClasses", "runtimeclasses"), ("StorageClasses", "storageclasses")] {
        let recorded = &noted(OBJECTS, note)[0]["names"];
        let recorded: Vec<Value> = recorded.as_array().unwrap().iter().map(|one| one[0].clone()).collect();
        different.extend(differs(note, &recorded.into(), &names(what).into()));
    }
    different
}

fn node(stage: &Stage, name: &str, line: &Value) -> Vec<String> {
    // What the control plane says of a Node comes some seconds after it.
    stage.comes("it to be as recorded", |stage| {
        let here = stage.node(name);
        let different = node_now(stage, &here, line);
        wait::so(different.is_empty(), || different.join("; "))
    })
}

fn node_now(stage: &Stage, here: &Value, line: &Value) -> Vec<String> {
    let keys =
        |map: &Value| -> Vec<String> { map.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect() };
    let mut annotations = keys(&line["metadata"]["annotations"]);
    annotations.retain(|name| !NOT_ANNOTATED.contains(&name.as_str()));
    let types = |all: &Value| -> Vec<String> {
        let all = all.as_array().cloned().unwrap_or_default();
        let all = all.iter().filter(|one| !OTHER_CONDITIONS.iter().any(|other| one["type"] == *other));
        all.map(|one| format!("{} {} {}", one["type"], one["status"], one["reason"])).collect()
    };
    let recorded_addresses: Value = serde_json::from_str(&stage.here(&line["addresses"].to_string())).unwrap();
    [
        differs("annotations", &annotations.into(), &keys(&here["metadata"]["annotations"]).into()),
        differs("labels", &line["metadata"]["labels"], &here["metadata"]["labels"]),
        differs("providerID", &line["spec"]["providerID"], &here["spec"]["providerID"]),
        differs("taints", &Value::Null, &here["spec"]["taints"]),
        differs("conditions", &types(&line["conditions"]).into(), &types(&here["status"]["conditions"]).into()),
        differs("addresses", &recorded_addresses, &here["status"]["addresses"]),
    ]
    .concat()
}

fn lease(stage: &Stage, name: &str, line: &Value) -> Vec<String> {
    let name = name.rsplit('/').next().unwrap();
    let here = stage.object(&format!("--namespace=kube-node-lease lease {name}")).unwrap_or_default();
    let owners: Value = owners(&here).as_array().unwrap().iter().map(|one| json!([one["kind"], one["name"]])).collect();
    let mut different = differs("owners", &line["ownerReferences"], &owners);
    for field in ["holderIdentity", "leaseDurationSeconds"] {
        different.extend(differs(field, &line["spec"][field], &here["spec"][field]));
    }
    different
}

fn owners(object: &Value) -> Value {
    object["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default().into()
}

fn password(stage: &Stage, name: &str, line: &Value) -> Vec<String> {
    let name = name.rsplit('/').next().unwrap();
    let node = name.split('.').next().unwrap();
    let here = stage.object(&format!("--namespace=kube-system secret {name}")).unwrap_or_default();
    let mut recorded = line["ownerReferences"].clone();
    recorded[0]["uid"] = stage.node(node)["metadata"]["uid"].clone();
    let keys: Value = here["data"].as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect();
    [
        differs("type", &line["type"], &here["type"]),
        differs("immutable", &line["immutable"], &here["immutable"]),
        differs("data", &line["data"], &keys),
        differs("owners", &recorded, &owners(&here)),
    ]
    .concat()
}

fn endpoints(stage: &Stage, name: &str, line: &Value) -> Vec<String> {
    let (namespace, name) = name.split_once('/').unwrap();
    let here = stage.object(&format!("--namespace={namespace} endpointslice {name}")).unwrap_or_default();
    let addresses: Value =
        here["endpoints"].as_array().into_iter().flatten().map(|one| one["addresses"].clone()).collect();
    let recorded: Value = serde_json::from_str(&stage.here(&line["addresses"].to_string())).unwrap();
    [differs("addresses", &recorded, &addresses), differs("ports", &line["ports"], &here["ports"])].concat()
}

/// Under an agent that is refused it comes back by itself, with a new secret; under a healthy one it stays away until the
/// agent is restarted, and the secret with it.
pub fn deleted(stage: &Stage) -> Vec<String> {
    let secret = "--namespace=kube-system secret node02.node-password.k3s";
    let gone = |recording: &str, what: &str| noted(recording, what).iter().any(|line| line["node02"] == "no such Node");
    assert!(
        gone(DELETED, "Node deleted while its agent is refused") && gone(DELETED, "Node deleted under a healthy agent")
    );
    let uid = |object: &Option<Value>| object.as_ref().map(|object| object["metadata"]["uid"].clone());
    let password = "/etc/rancher/node/password";

    stage.start_agent_with(&format!("tr 0-9a-f 1-9a-f0 < {password} > p; cat p > {password}; rm p"));
    let mut different = stage.comes("the agent to be refused", |stage| {
        let said = stage.said("node02");
        wait::so(said.iter().any(|line| line.contains("Node password rejected")), || format!("{said:#?}"))
    });
    let (node, before) = (uid(&Some(stage.node("node02"))), uid(&stage.object(secret)));
    stage.bed.shell("node01", "k3s kubectl delete node node02 --wait=false");
    different.extend(stage.comes("another Node and another secret", |stage| {
        let (now, object) = (stage.node("node02"), stage.object(secret));
        let others = uid(&Some(now.clone())) != node && object.is_some() && uid(&object) != before;
        wait::so(others && Stage::ready(&now) == "True", || format!("{now:#}"))
    }));
    stage.watched("node02");
    let active = |stage: &Stage| {
        let state = stage.property("node02", "ActiveState");
        wait::so(state == "active", || state)
    };
    different.extend(stage.comes("the agent to be active", active));
    // As it was when the recorded one was deleted.
    different.extend(stage.comes("the secret to belong to the Node", |stage| {
        let object = stage.object(secret).unwrap_or_default();
        wait::so(owners(&object)[0]["uid"] == stage.node("node02")["metadata"]["uid"], || format!("{object:#}"))
    }));

    stage.bed.shell("node01", "k3s kubectl delete node node02 --wait=false");
    different.extend(stage.comes("the Node's secret to go with it", |stage| {
        let left: Vec<&str> = ["node node02", secret].into_iter().filter(|what| stage.object(what).is_some()).collect();
        wait::so(left.is_empty(), || format!("{left:?} is there"))
    }));
    // It was watched for 37 s there.
    let back = wait::comes(std::time::Duration::from_secs(12), || {
        wait::so(stage.object("node node02").is_some(), || "no Node".to_owned())
    });
    different.extend(unless(back.is_err(), || "the Node came back by itself".to_owned()));
    different.extend(unless(active(stage).is_ok(), || "the agent is not active".to_owned()));
    stage.bed.shell("node02", "systemctl restart --no-block k3s-agent");
    stage.until_ready("node02");
    different
}
