//! Deployments and other workloads: whether they are up, since when, and starting their pods anew.

use std::collections::BTreeSet;
use std::time::Duration;

use bringup_core::ids::Target;
use bringup_core::run::fault::{Cause, Fault};
use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::error::ApiError;
use super::nodes::{items, name};
use super::objects::seconds;
use super::session::{FIELD_MANAGER, Sent, Session};

const RESTARTED: &str = "bringup/restarted-at";

fn number(object: &Value, path: &str) -> i64 {
    object.pointer(path).and_then(Value::as_i64).unwrap_or(0)
}

/// Whether all replicas run what is wanted now, and nothing else does.
fn is_rolled_out(workload: &Value) -> bool {
    let wanted = workload.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    number(workload, "/status/observedGeneration") >= number(workload, "/metadata/generation")
        && number(workload, "/status/updatedReplicas") >= wanted
        && number(workload, "/status/readyReplicas") >= wanted
        && number(workload, "/status/replicas") <= wanted
}

/// Those of these Deployments that have all their replicas ready.
pub(super) async fn ready_deployments(
    session: &Session,
    namespace: &str,
    names: &BTreeSet<String>,
) -> Result<BTreeSet<String>, ApiError> {
    let list = session.get(&format!("/apis/apps/v1/namespaces/{namespace}/deployments")).await?;
    let ready = items(&list).filter(|deployment| {
        let wanted = deployment.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
        names.contains(name(deployment)) && number(deployment, "/status/readyReplicas") >= wanted
    });
    Ok(ready.map(|deployment| name(deployment).to_owned()).collect())
}

fn selector(label: &str) -> String {
    format!("labelSelector=app.kubernetes.io%2Fname%3D{label}")
}

/// When the oldest pod of a workload started. One that is on its way out does not count.
pub(super) async fn pods_since(session: &Session, namespace: &str, label: &str) -> Result<Option<u64>, ApiError> {
    let list = session.get(&format!("/api/v1/namespaces/{namespace}/pods?{}", selector(label))).await?;
    let pods = items(&list).filter(|pod| pod["metadata"].get("deletionTimestamp").is_none());
    let since = pods.filter_map(|pod| {
        let started = pod.pointer("/status/startTime").or_else(|| pod.pointer("/metadata/creationTimestamp"));
        seconds(started?.as_str()?)
    });
    Ok(since.min())
}

/// Starts the pods of a workload anew, as `kubectl rollout restart` does, and waits until that has come about.
pub(super) async fn restart(
    session: &Session,
    namespace: &str,
    label: &str,
    within: Duration,
    doing: &str,
) -> Result<(), Fault> {
    let to_fault = |trouble: ApiError| trouble.fault(doing);
    let mut paths = Vec::new();
    for kind in ["statefulsets", "deployments", "daemonsets"] {
        let all = format!("/apis/apps/v1/namespaces/{namespace}/{kind}");
        let list = session.get(&format!("{all}?{}", selector(label))).await.map_err(to_fault)?;
        paths.extend(items(&list).map(|workload| format!("{all}/{}", name(workload))));
    }
    if paths.is_empty() {
        return Err(Fault::new(Cause::Failed, Target::Cluster, doing)
            .said(format!("no workload in {namespace} bears app.kubernetes.io/name={label}"))
            .next("see what the release brought: kubectl get all"));
    }
    let at = session.now().to_string();
    let change = json!({"spec": {"template": {"metadata": {"annotations": {RESTARTED: at}}}}});
    for path in &paths {
        let path = format!("{path}?fieldManager={FIELD_MANAGER}");
        session.send(Method::PATCH, &path, Sent::Merge(change.clone())).await.map_err(to_fault)?;
    }
    let began = Instant::now();
    loop {
        let mut left = Vec::new();
        for path in &paths {
            let workload = session.get(path).await.map_err(to_fault)?;
            if !is_rolled_out(&workload) {
                left.push(name(&workload).to_owned());
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        if began.elapsed() >= within {
            return Err(Fault::new(Cause::TimedOut, Target::Cluster, doing)
                .said(format!("not up again after {} s: {}", within.as_secs(), left.join(", ")))
                .next(format!("see why: kubectl -n {namespace} describe pods")));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::is_rolled_out;

    #[test]
    fn a_rollout_ends_when_only_the_new_runs() {
        let of = |generation: i64, updated: i64, ready: i64, all: i64| {
            json!({"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": {"observedGeneration": generation,
                "updatedReplicas": updated, "readyReplicas": ready, "replicas": all}})
        };
        for (what, workload, over) in [
            ("not seen yet", of(1, 2, 2, 2), false),
            ("half-way", of(2, 1, 2, 2), false),
            ("an old one left", of(2, 2, 2, 3), false),
            ("one not ready", of(2, 2, 1, 2), false),
            ("over", of(2, 2, 2, 2), true),
        ] {
            assert_eq!(is_rolled_out(&workload), over, "{what}");
        }
    }
}
