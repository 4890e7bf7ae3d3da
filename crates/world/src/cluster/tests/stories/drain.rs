//! Drains, and budgets that hold them up.

use bringup_core::contract::cluster::Drain;
use bringup_core::ids::NodeName;
use bringup_core::run::fault::Cause;
use http::Method;
use serde_json::{Value, json};

use super::nodes::make;
use crate::cluster::nodes::items;
use crate::cluster::session::{Sent, Session};
use crate::cluster::tests::rig::{Rig, Told, until};
use crate::cluster::tests::{act, impatient};

const PODS: &str = "/api/v1/namespaces/drained/pods";
const BUDGETS: &str = "/apis/policy/v1/namespaces/drained/poddisruptionbudgets";

/// A pod that runs on the node, of this controller.
async fn pod(session: &Session, name: &str, controller: Option<&str>) {
    let owners: Vec<Value> = controller
        .map(|kind| json!({"apiVersion": "apps/v1", "kind": kind, "name": "x", "uid": "x", "controller": true}))
        .into_iter()
        .collect();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "web"}, "ownerReferences": owners},
        "spec": {"nodeName": "drained", "terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "i"}],
            "volumes": [{"name": "scratch", "emptyDir": {}}]},
    });
    session.send(Method::POST, PODS, Sent::Object(pod)).await.unwrap();
    let status = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    session.send(Method::PATCH, &format!("{PODS}/{name}/status"), Sent::Merge(status)).await.unwrap();
}

async fn names(session: &Session) -> Vec<String> {
    let list = session.get(PODS).await.unwrap();
    items(&list).map(|pod| crate::cluster::nodes::name(pod).to_owned()).collect()
}

pub async fn all(rig: &Rig) {
    let session = rig.session().await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "drained"}});
    session.send(Method::POST, "/api/v1/namespaces", Sent::Object(namespace)).await.unwrap();
    make(&session, "drained", true).await;
    let (access, cluster) = (Told::once(rig.admin()), impatient());
    let drain = || Drain { node: NodeName::new("drained") };

    pod(&session, "web", Some("ReplicaSet")).await;
    pod(&session, "logs", Some("DaemonSet")).await;
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web-stays"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}},
    });
    session.send(Method::POST, BUDGETS, Sent::Object(budget)).await.unwrap();
    until("the budget is counted", async || {
        let budget = session.get(&format!("{BUDGETS}/web-stays")).await.unwrap();
        budget["status"]["observedGeneration"] == budget["metadata"]["generation"]
    })
    .await;
    let fault = act(&cluster, &access, drain()).await.unwrap_err();
    assert_eq!(fault.cause, Cause::Refused);
    assert!(fault.said.join(" ").contains("drained/web: The disruption budget web-stays"), "{fault:?}");
    assert_eq!(names(&session).await, ["logs", "web"]);

    // Without the budget it goes, with what lies in its empty directory; the daemon set's stays.
    session.send(Method::DELETE, &format!("{BUDGETS}/web-stays"), Sent::Nothing).await.unwrap();
    act(&cluster, &access, drain()).await.unwrap();
    assert_eq!(names(&session).await, ["logs"]);

    // Nobody would make it anew: not ours to lose.
    pod(&session, "alone", None).await;
    let fault = act(&cluster, &access, drain()).await.unwrap_err();
    assert_eq!(fault.cause, Cause::Refused);
    assert!(fault.said.join(" ").contains("drained/alone"));
    assert_eq!(names(&session).await, ["alone", "logs"]);
    cluster.close().await;
}
