//! Nodes: read, marked, cordoned, deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bringup_core::contract::cluster::{
    Cordon, DeleteNode, InMaintenance, KubeNode, MarkNode, Question, ReadyNodes, Uncordon,
};
use bringup_core::ids::NodeName;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::cluster::session::{Sent, Session};
use crate::cluster::tests::rig::{Rig, Told};
use crate::cluster::tests::{act, ask, impatient};

/// Makes a Node as a kubelet would.
pub async fn make(session: &Session, name: &str, ready: bool) {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"theirs": "1"}}});
    session.send(Method::POST, "/api/v1/nodes", Sent::Object(node)).await.unwrap();
    let status = if ready { "True" } else { "False" };
    let status = json!({"status": {"conditions": [{"type": "Ready", "status": status}], "nodeInfo": {"bootID": format!("boot of {name}")}}});
    session.send(Method::PATCH, &format!("/api/v1/nodes/{name}/status"), Sent::Merge(status)).await.unwrap();
}

pub async fn all(rig: &Rig) {
    let session = rig.session().await;
    make(&session, "one", true).await;
    make(&session, "two", false).await;
    let (access, cluster) = (Told::once(rig.admin()), impatient());
    let one = NodeName::new("one");
    let node = || KubeNode { name: one.clone() };

    // What is asked of nodes in one trip costs two requests: for the Nodes, and for their Leases.
    let questions: Vec<Question> = vec![node().into(), ReadyNodes {}.into(), InMaintenance {}.into()];
    assert!(cluster.ask(&access, &questions).await.iter().all(Result::is_ok));
    assert_eq!(cluster.requests(), 2);
    assert_eq!(ask(&cluster, &access, ReadyNodes {}).await.unwrap(), BTreeSet::from([one.clone()]));
    assert!(ask(&cluster, &access, KubeNode { name: NodeName::new("none") }).await.unwrap().is_none());
    assert_eq!(cluster.requests(), 6);

    assert_eq!(ask(&cluster, &access, node()).await.unwrap().unwrap().boot_id, "boot of one");

    who_renews_no_lease_is_not_ready(&session, &access, &cluster).await;

    let labels = BTreeMap::from([("node-type".to_owned(), "rk1".to_owned())]);
    let taints = BTreeSet::from(["workstation=true:NoSchedule".to_owned()]);
    act(&cluster, &access, MarkNode { node: one.clone(), labels, taints: taints.clone() }).await.unwrap();
    let state = ask(&cluster, &access, node()).await.unwrap().unwrap();
    assert_eq!((state.labels["node-type"].as_str(), state.labels["theirs"].as_str()), ("rk1", "1"));
    assert!(state.taints.is_superset(&taints));

    // Our own cordon, tried twice, and taken back.
    for _ in 0..2 {
        act(&cluster, &access, Cordon { node: one.clone() }).await.unwrap();
    }
    let state = ask(&cluster, &access, node()).await.unwrap().unwrap();
    assert!(state.unschedulable && state.in_maintenance);
    assert_eq!(ask(&cluster, &access, InMaintenance {}).await.unwrap(), BTreeSet::from([one.clone()]));
    for _ in 0..2 {
        act(&cluster, &access, Uncordon { node: one.clone() }).await.unwrap();
    }
    let state = ask(&cluster, &access, node()).await.unwrap().unwrap();
    assert!(!state.unschedulable && !state.in_maintenance && state.taints.is_superset(&taints));

    // The operator's cordon stays, whatever we did in between; and without our mark nothing is done.
    let cordon: Value = json!({"spec": {"unschedulable": true}});
    session.send(Method::PATCH, "/api/v1/nodes/one", Sent::Merge(cordon)).await.unwrap();
    act(&cluster, &access, Uncordon { node: one.clone() }).await.unwrap();
    for _ in 0..2 {
        act(&cluster, &access, Cordon { node: one.clone() }).await.unwrap();
    }
    act(&cluster, &access, Uncordon { node: one.clone() }).await.unwrap();
    let state = ask(&cluster, &access, node()).await.unwrap().unwrap();
    assert!(state.unschedulable && !state.in_maintenance);

    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "one.node-password.k3s"}});
    let secrets = "/api/v1/namespaces/kube-system/secrets";
    session.send(Method::POST, secrets, Sent::Object(secret)).await.unwrap();
    for _ in 0..2 {
        act(&cluster, &access, DeleteNode { node: one.clone() }).await.unwrap();
    }
    assert!(ask(&cluster, &access, node()).await.unwrap().is_none());
    assert!(session.get_if_any(&format!("{secrets}/one.node-password.k3s")).await.unwrap().is_none());
    cluster.close().await;
}

/// The Node of a kubelet that is gone has the condition Ready for another 50 s. A clock that is wrong tells nothing.
async fn who_renews_no_lease_is_not_ready(session: &Session, access: &Told, cluster: &Cluster) {
    let (all, one) = ("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", NodeName::new("one"));
    let at = |time: Timestamp| json!({"spec": {"holderIdentity": "one", "renewTime": format!("{time:.6}")}});
    let hours_ago = Timestamp::now() - SignedDuration::from_hours(5);
    let mut lease = at(hours_ago);
    lease["metadata"] = json!({"name": "one"});
    session.send(Method::POST, all, Sent::Object(lease)).await.unwrap();
    let renew = async |time| session.send(Method::PATCH, &format!("{all}/one"), Sent::Merge(at(time))).await.unwrap();
    let node = async || ask(cluster, access, KubeNode { name: one.clone() }).await.unwrap().unwrap();

    let gone = node().await;
    assert!(gone.ready && !gone.is_up());
    assert!(ask(cluster, access, ReadyNodes {}).await.unwrap().is_empty());
    let renewing = async {
        for second in 1.. {
            renew(hours_ago + SignedDuration::from_secs(second)).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let state = tokio::select! {
        state = node() => state,
        () = renewing => unreachable!("it renews for ever"),
    };
    assert!(state.is_up() && state.renewed.is_some());
    renew(Timestamp::now()).await;
    let later = node().await;
    assert!(later.is_up() && later.renewed != state.renewed);
}
