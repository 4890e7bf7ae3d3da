//! Draining a node: its pods are evicted as `kubectl drain --ignore-daemonsets --delete-emptydir-data` does it, within
//! what disruption budgets let go.

use std::collections::BTreeMap;
use std::time::Duration;

use bringup_core::contract::world::{Progress, Unit};
use bringup_core::ids::{NodeName, Target};
use bringup_core::run::fault::{Cause, Fault};
use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::error::{ApiError, Refusal};
use super::nodes::{items, name};
use super::session::{Sent, Session};

/// Bounds of a drain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DrainBounds {
    /// How long a disruption budget is asked again.
    pub budget: Duration,
    /// How long pods may take to end, all in all.
    pub end: Duration,
    /// Between two looks.
    pub pause: Duration,
}

impl Default for DrainBounds {
    fn default() -> Self {
        // The action itself is bounded to ten minutes.
        Self { budget: Duration::from_secs(300), end: Duration::from_secs(540), pause: Duration::from_secs(2) }
    }
}

fn namespace(pod: &Value) -> &str {
    pod.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default()
}

fn full_name(pod: &Value) -> String {
    format!("{}/{}", namespace(pod), name(pod))
}

fn uid(pod: &Value) -> &str {
    pod.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default()
}

fn controller(pod: &Value) -> Option<&str> {
    let owners = pod.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().find(|owner| owner["controller"] == true)?["kind"].as_str()
}

/// Whether a pod has to go. Those of a DaemonSet would come back at once, a mirror pod is the kubelet's own, and one that
/// has ended does not run any more.
fn has_to_go(pod: &Value) -> bool {
    let mirror = pod["metadata"]["annotations"].get("kubernetes.io/config.mirror").is_some();
    let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    !mirror && !ended && controller(pod) != Some("DaemonSet")
}

async fn pods_to_go(session: &Session, node: &NodeName) -> Result<BTreeMap<String, Value>, ApiError> {
    let list = session.get(&format!("/api/v1/pods?fieldSelector=spec.nodeName%3D{node}")).await?;
    let pods = items(&list).filter(|pod| has_to_go(pod));
    Ok(pods.map(|pod| (uid(pod).to_owned(), pod.clone())).collect())
}

/// The budgets that a refusal names.
fn budgets(refusal: &Refusal) -> String {
    let named: Vec<&str> = refusal
        .causes
        .iter()
        .filter(|cause| cause.reason == "DisruptionBudget")
        .map(|cause| cause.message.as_str())
        .collect();
    if named.is_empty() { refusal.message.clone() } else { named.join("; ") }
}

/// What became of an attempt to evict a pod.
enum Evicted {
    /// It goes, or is gone.
    Goes,
    /// A disruption budget holds it.
    Held(String),
}

async fn evict(session: &Session, pod: &Value) -> Result<Evicted, ApiError> {
    let (namespace, name) = (namespace(pod), name(pod));
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction");
    let eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
        // Another pod of that name is none of those that we saw.
        "deleteOptions": {"preconditions": {"uid": uid(pod)}},
    });
    match session.send(Method::POST, &path, Sent::Object(eviction)).await {
        Ok(_) => Ok(Evicted::Goes),
        Err(trouble) if trouble.is_absence() || trouble.is_conflict() => Ok(Evicted::Goes),
        Err(ApiError::Refused(refusal)) if refusal.code == 429 => Ok(Evicted::Held(budgets(&refusal))),
        // A pod under two budgets cannot be evicted at all.
        Err(ApiError::Refused(refusal)) if refusal.code == 500 && refusal.message.contains("PodDisruptionBudget") => {
            Ok(Evicted::Held(refusal.message))
        }
        Err(trouble) => Err(trouble),
    }
}

/// Evicts all that has to go, and waits until it is gone.
pub(super) async fn drain(
    session: &Session,
    node: &NodeName,
    bounds: DrainBounds,
    doing: &str,
    progress: Progress<'_>,
) -> Result<(), Fault> {
    let fault = |cause| Fault::new(cause, Target::Cluster, doing);
    let began = Instant::now();
    let mut first = 0;
    let mut goes: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let pods = pods_to_go(session, node).await.map_err(|trouble| trouble.fault(doing))?;
        if pods.is_empty() {
            return Ok(());
        }
        if first == 0 {
            let lonely: Vec<String> = pods.values().filter(|pod| controller(pod).is_none()).map(full_name).collect();
            if !lonely.is_empty() {
                return Err(fault(Cause::Refused)
                    .said(format!("no controller would make these pods anew: {}", lonely.join(", ")))
                    .likely("they were made by hand, without a Deployment or the like")
                    .next("delete them, or let a Deployment make them; then run again"));
            }
            first = pods.len();
        }
        let gone = first.saturating_sub(pods.len());
        progress(u64::try_from(gone).unwrap_or(0), u64::try_from(first).unwrap_or(0), Unit::Pods);
        let mut held = Vec::new();
        for (uid, pod) in &pods {
            if goes.contains_key(uid) || pod["metadata"].get("deletionTimestamp").is_some() {
                continue;
            }
            match evict(session, pod).await.map_err(|trouble| trouble.fault(doing))? {
                Evicted::Goes => {
                    goes.insert(uid.clone(), full_name(pod));
                }
                Evicted::Held(budgets) => held.push(format!("{}: {budgets}", full_name(pod))),
            }
        }
        if !held.is_empty() && began.elapsed() >= bounds.budget {
            return Err(fault(Cause::Refused)
                .said(held.join("\n"))
                .likely("a disruption budget does not let its pods go")
                .next("give the workload another replica or a wider budget, then run again"));
        }
        if began.elapsed() >= bounds.end {
            let left: Vec<String> = pods.values().map(full_name).collect();
            return Err(fault(Cause::TimedOut)
                .said(format!("still there after {} s: {}", bounds.end.as_secs(), left.join(", ")))
                .likely("they do not end when they are told to, or a finalizer holds them")
                .next("see why: kubectl describe pod; then run again"));
        }
        tokio::time::sleep(bounds.pause).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::has_to_go;

    #[test]
    fn who_has_to_go() {
        let owned = |kind: &str| json!({"metadata": {"ownerReferences": [{"kind": kind, "controller": true}]}});
        let mirror: Value = json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}});
        for (what, pod, goes) in [
            ("a replica", owned("ReplicaSet"), true),
            ("one of a daemon set", owned("DaemonSet"), false),
            ("the kubelet's own", mirror, false),
            ("one that has ended", json!({"metadata": {}, "status": {"phase": "Succeeded"}}), false),
            ("one made by hand", json!({"metadata": {}, "status": {"phase": "Running"}}), true),
        ] {
            assert_eq!(has_to_go(&pod), goes, "{what}");
        }
    }
}
