//! One writer at a time.

use bringup_core::contract::cluster::{Cordon, Uncordon};
use bringup_core::ids::NodeName;
use bringup_core::run::fault::Cause;
use http::Method;
use serde_json::{Value, json};

use super::nodes::make;
use crate::cluster::session::{Sent, Session};
use crate::cluster::tests::rig::{Rig, Told};
use crate::cluster::tests::{act, impatient};

const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/bringup";

async fn held_by(session: &Session, holder: &str, renewed: &str) {
    let fields = json!({"spec": {"holderIdentity": holder, "renewTime": renewed, "acquireTime": renewed,
        "leaseDurationSeconds": 60}});
    session.send(Method::PATCH, PATH, Sent::Merge(fields)).await.unwrap();
}

async fn holder(session: &Session) -> Value {
    session.get(PATH).await.unwrap()["spec"]["holderIdentity"].clone()
}

pub async fn all(rig: &Rig) {
    let session = rig.session().await;
    make(&session, "leased", true).await;
    let access = Told::once(rig.admin());
    let cordon = || Cordon { node: NodeName::new("leased") };

    // Held while something is changed, and let go.
    let cluster = impatient();
    act(&cluster, &access, cordon()).await.unwrap();
    assert_eq!(holder(&session).await, json!(super::super::super::lease::holder()));
    let before = cluster.requests();
    act(&cluster, &access, cordon()).await.unwrap();
    assert_eq!(cluster.requests() - before, 1, "a lease that stands is not taken anew");
    cluster.close().await;
    assert_eq!(holder(&session).await, json!(""));

    // Held by another run: refused, naming it, and nothing is done.
    let now = session.now().strftime("%Y-%m-%dT%H:%M:%S.000000Z").to_string();
    held_by(&session, "she@there, pid 7", &now).await;
    let cluster = impatient();
    let fault = act(&cluster, &access, Uncordon { node: NodeName::new("leased") }).await.unwrap_err();
    assert_eq!(fault.cause, Cause::Refused);
    assert!(fault.said.join(" ").contains(&format!("she@there, pid 7 holds this cluster's lease since {now}")));
    let node = session.get("/api/v1/nodes/leased").await.unwrap();
    assert_eq!(node["spec"]["unschedulable"], true);

    // Ended: taken over.
    held_by(&session, "she@there, pid 7", "2026-01-01T00:00:00.000000Z").await;
    act(&cluster, &access, Uncordon { node: NodeName::new("leased") }).await.unwrap();
    cluster.close().await;
}
