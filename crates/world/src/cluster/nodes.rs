//! Nodes: what they say of themselves, and what we mark them with.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bringup_core::contract::KubeNodeState;
use bringup_core::ids::NodeName;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::error::ApiError;
use super::session::{FIELD_MANAGER, Sent, Session};

/// The annotation that is our mark of maintenance.
pub(super) const MAINTENANCE: &str = "bringup/maintenance";
/// Its value on a node that somebody else had cordoned before: that stays when we are done.
const CORDONED_BEFORE: &str = "cordoned-before";
/// Its value on a node that we cordoned.
const CORDONED: &str = "cordoned";

pub(super) const ALL: &str = "/api/v1/nodes";
/// Where kubelets renew their Leases.
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
/// From this age on a Lease is looked at once more. A kubelet renews its own every 10 s; of the real k3s 1.36 none was older
/// than 12 s while it lived.
const DOUBTED_FROM: SignedDuration = SignedDuration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_secs(1);

fn path(node: &NodeName) -> String {
    format!("{ALL}/{node}")
}

fn patch(node: &NodeName) -> String {
    format!("{ALL}/{node}?fieldManager={FIELD_MANAGER}")
}

/// The name of an object.
pub(super) fn name(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

/// The objects of a list.
pub(super) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

/// A map of texts.
fn texts(value: Option<&Value>) -> BTreeMap<String, String> {
    let fields = value.and_then(Value::as_object).into_iter().flatten();
    fields.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn mark(node: &Value) -> Option<&str> {
    node["metadata"]["annotations"][MAINTENANCE].as_str()
}

/// Whether a Node bears our mark of maintenance.
pub(super) fn is_in_maintenance(node: &Value) -> bool {
    mark(node).is_some()
}

fn is_unschedulable(node: &Value) -> bool {
    node.pointer("/spec/unschedulable") == Some(&Value::Bool(true))
}

/// Whether a condition of an object is true.
pub(super) fn is_true(object: &Value, condition: &str) -> bool {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|one| one["type"] == condition && one["status"] == "True")
}

/// The Leases of all kubelets; `None`: there are none.
pub(super) async fn all_leases(session: &Session) -> Result<Option<Value>, ApiError> {
    session.get_if_any(LEASES).await
}

/// When a Node's Lease was last renewed, in its own words.
fn renewed<'a>(leases: &'a Value, node: &str) -> Option<&'a str> {
    let lease = items(leases).find(|lease| name(lease) == node)?;
    lease.pointer("/spec/renewTime").and_then(Value::as_str)
}

/// What a Node's Lease tells of its kubelet.
#[derive(Clone, Debug)]
pub(super) struct Kubelet {
    /// It renews it, as far as anybody can tell: a Node without a Lease is young.
    pub renews: bool,
    /// When it last renewed it, in its own words.
    pub renewed: Option<String>,
}

impl Kubelet {
    /// Looks at a Node's Lease, and again at one that nobody seems to renew: the clock that wrote it may be wrong, and then
    /// the next renewal tells. That is waited for as long as `renewal` of the session's bounds says.
    pub async fn of(node: &Value, leases: Option<&Value>, session: &Session) -> Self {
        let (ready, node) = (is_true(node, "Ready"), name(node));
        let Some(first) = leases.and_then(|leases| renewed(leases, node)) else {
            return Self { renews: true, renewed: None };
        };
        let with = |renews, text: &str| Self { renews, renewed: Some(text.to_owned()) };
        let age = first.parse::<Timestamp>().map(|renewed| session.now().duration_since(renewed));
        // One that is not Ready needs no second look.
        if !ready || age.is_ok_and(|age| age.abs() <= DOUBTED_FROM) {
            return with(true, first);
        }
        let until = Instant::now() + session.renewal();
        while Instant::now() < until {
            tokio::time::sleep(LOOK_AGAIN).await;
            let Ok(now) = all_leases(session).await else { return with(true, first) };
            if let Some(next) = now.as_ref().and_then(|leases| renewed(leases, node)).filter(|next| *next != first) {
                return with(true, next);
            }
        }
        with(false, first)
    }
}

/// Reads a Node.
pub(super) fn state(node: &Value, kubelet: Kubelet) -> KubeNodeState {
    KubeNodeState {
        ready: is_true(node, "Ready"),
        renews: kubelet.renews,
        renewed: kubelet.renewed,
        boot_id: node.pointer("/status/nodeInfo/bootID").and_then(Value::as_str).unwrap_or_default().to_owned(),
        unschedulable: is_unschedulable(node),
        in_maintenance: is_in_maintenance(node),
        labels: texts(node.pointer("/metadata/labels")),
        taints: taints(node).map(taint_text).collect(),
    }
}

fn taints(node: &Value) -> impl Iterator<Item = &Value> {
    node.pointer("/spec/taints").and_then(Value::as_array).into_iter().flatten()
}

fn taint_text(taint: &Value) -> String {
    let word = |field: &str| taint[field].as_str().unwrap_or_default();
    match word("value") {
        "" => format!("{}:{}", word("key"), word("effect")),
        value => format!("{}={value}:{}", word("key"), word("effect")),
    }
}

/// `key=value:effect` or `key:effect` as the API has it.
fn taint(text: &str) -> Value {
    let (key, effect) = text.rsplit_once(':').unwrap_or((text, "NoSchedule"));
    match key.split_once('=') {
        Some((key, value)) => json!({"key": key, "value": value, "effect": effect}),
        None => json!({"key": key, "effect": effect}),
    }
}

/// One Node.
pub(super) async fn node(session: &Session, node: &NodeName) -> Result<Option<Value>, ApiError> {
    session.get_if_any(&path(node)).await
}

/// Cordons a node, with our mark, in one write.
pub(super) async fn cordon(session: &Session, node: &NodeName) -> Result<(), ApiError> {
    let seen = session.get(&path(node)).await?;
    if mark(&seen).is_some() && is_unschedulable(&seen) {
        return Ok(());
    }
    let theirs = mark(&seen).is_none() && is_unschedulable(&seen);
    let mark = if theirs { CORDONED_BEFORE } else { CORDONED };
    let fields = json!({
        "metadata": {"resourceVersion": seen["metadata"]["resourceVersion"], "annotations": {MAINTENANCE: mark}},
        "spec": {"unschedulable": true},
    });
    session.send(Method::PATCH, &patch(node), Sent::Merge(fields)).await.map(|_| ())
}

/// Takes our mark away, and the cordon if it is ours. Without our mark nothing is done.
pub(super) async fn uncordon(session: &Session, node: &NodeName) -> Result<(), ApiError> {
    let Some(seen) = session.get_if_any(&path(node)).await? else { return Ok(()) };
    let fields = match mark(&seen) {
        None => return Ok(()),
        Some(CORDONED_BEFORE) => json!({}),
        Some(_) => json!({"unschedulable": null}),
    };
    let fields = json!({
        "metadata": {"resourceVersion": seen["metadata"]["resourceVersion"], "annotations": {MAINTENANCE: null}},
        "spec": fields,
    });
    session.send(Method::PATCH, &patch(node), Sent::Merge(fields)).await.map(|_| ())
}

/// Sets labels and adds taints; those of others stay, and so does a taint of ours with another value.
pub(super) async fn set_marks(
    session: &Session,
    node: &NodeName,
    labels: &BTreeMap<String, String>,
    wanted: &BTreeSet<String>,
) -> Result<(), ApiError> {
    let seen = session.get(&path(node)).await?;
    let mut fields = json!({"metadata": {"resourceVersion": seen["metadata"]["resourceVersion"]}});
    if !labels.is_empty() {
        fields["metadata"]["labels"] = json!(labels);
    }
    let present: BTreeSet<String> = taints(&seen).map(taint_text).collect();
    if !wanted.is_subset(&present) {
        // A node has one taint of a key and an effect.
        let added: Vec<Value> = wanted.difference(&present).map(|text| taint(text)).collect();
        let same = |one: &Value, other: &Value| one["key"] == other["key"] && one["effect"] == other["effect"];
        let kept = taints(&seen).filter(|one| !added.iter().any(|other| same(one, other))).cloned();
        fields["spec"] = json!({"taints": kept.chain(added.iter().cloned()).collect::<Vec<_>>()});
    }
    session.send(Method::PATCH, &patch(node), Sent::Merge(fields)).await.map(|_| ())
}

/// Deletes a Node and, should it not go along with it, the secret with its password.
pub(super) async fn delete(session: &Session, node: &NodeName) -> Result<(), ApiError> {
    for path in [path(node), format!("/api/v1/namespaces/kube-system/secrets/{node}.node-password.k3s")] {
        match session.send(Method::DELETE, &path, Sent::Nothing).await {
            Err(trouble) if !trouble.is_absence() => return Err(trouble),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{taint, taint_text};

    #[test]
    fn taints_as_text_and_back() {
        for text in ["node-role.kubernetes.io/control-plane:NoSchedule", "workstation=true:NoSchedule", "a=b:NoExecute"]
        {
            assert_eq!(taint_text(&taint(text)), text);
        }
    }
}
