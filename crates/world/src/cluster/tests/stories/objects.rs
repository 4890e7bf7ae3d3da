//! Objects: what is foreseen is what comes about, and what others own stays theirs.

use std::time::Duration;

use bringup_core::contract::cluster::{ApplyObject, ForeseenObject, KubeObject};
use bringup_core::contract::{Fields, ForeseenState, ObjectId};
use bringup_core::run::fault::Cause;
use http::Method;
use serde_json::{Value, json};

use crate::cluster::session::{Sent, Session};
use crate::cluster::tests::rig::{Rig, Told, definition, until};
use crate::cluster::tests::{act, ask, impatient};
use crate::cluster::{Cluster, nodes};

const NAMESPACE: &str = "objects";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

fn id(api_version: &'static str, kind: &'static str, name: &str) -> ObjectId {
    ObjectId {
        api_version: api_version.into(),
        kind: kind.into(),
        namespace: NAMESPACE.to_owned(),
        name: name.to_owned(),
    }
}

fn foreseen(id: &ObjectId, fields: &Value, defaults: &Value, force: bool) -> ForeseenObject {
    ForeseenObject { id: id.clone(), fields: Fields::new(fields), defaults: Fields::new(defaults), force }
}

fn data(state: &ForeseenState) -> (Option<Value>, Option<Value>) {
    let data = |object: &Option<Value>| object.as_ref().map(|object| object["data"].clone());
    (data(&state.present), data(&state.after))
}

async fn apply(cluster: &Cluster, access: &Told, id: &ObjectId, fields: &Value, force: bool) {
    let action = ApplyObject { id: id.clone(), fields: fields.clone(), force };
    act(cluster, access, action).await.unwrap();
}

/// Somebody else applies something.
async fn theirs(session: &Session, path: &str, object: Value) {
    session
        .send(Method::PATCH, &format!("{path}?fieldManager=somebody&force=true"), Sent::Apply(object))
        .await
        .unwrap();
}

pub async fn all(rig: &Rig) {
    fields(rig).await;
    definitions(rig).await;
    admission(rig).await;
}

async fn fields(rig: &Rig) {
    let session = rig.session().await;
    let (access, cluster) = (Told::once(rig.admin()), impatient());
    let map = id("v1", "ConfigMap", "map");
    let path = format!("/api/v1/namespaces/{NAMESPACE}/configmaps/map");
    let none = json!({});
    let ours = json!({"data": {"a.b": "ours"}});

    // Its namespace is not there: nothing can be tried, and that is no fault of a plan.
    let state = ask(&cluster, &access, foreseen(&map, &ours, &none, false)).await.unwrap();
    assert_eq!(data(&state), (None, None));
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    session.send(Method::POST, "/api/v1/namespaces", Sent::Object(namespace)).await.unwrap();

    // Foreseen is what comes about, and then nothing is left.
    let state = ask(&cluster, &access, foreseen(&map, &ours, &none, false)).await.unwrap();
    assert_eq!(data(&state), (None, Some(json!({"a.b": "ours"}))));
    assert!(session.get_if_any(&path).await.unwrap().is_none(), "a look made it");
    apply(&cluster, &access, &map, &state.fields, false).await;
    let state = ask(&cluster, &access, foreseen(&map, &ours, &none, false)).await.unwrap();
    assert_eq!(data(&state), (Some(json!({"a.b": "ours"})), Some(json!({"a.b": "ours"}))));
    let object = ask(&cluster, &access, KubeObject { id: map.clone() }).await.unwrap().unwrap();
    assert!(object.modified > 1_700_000_000);

    // Others' fields stay; one that they took over is shown with its owner, and only force takes it back.
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map"},
        "data": {"a.b": "theirs", "c": "theirs"}});
    theirs(&session, &path, object).await;
    let state = ask(&cluster, &access, foreseen(&map, &ours, &none, false)).await.unwrap();
    assert_eq!((state.conflicts[0].field.as_str(), state.conflicts[0].managers.as_str()), (".data.a.b", "somebody"));
    let action = ApplyObject { id: map.clone(), fields: ours.clone(), force: false };
    let fault = act(&cluster, &access, action).await.unwrap_err();
    assert_eq!(fault.cause, Cause::Refused);
    assert!(fault.said.join(" ").contains("somebody") && fault.next.unwrap().contains("--force-conflicts"));
    let state = ask(&cluster, &access, foreseen(&map, &ours, &none, true)).await.unwrap();
    assert_eq!(data(&state).1, Some(json!({"a.b": "ours", "c": "theirs"})));
    apply(&cluster, &access, &map, &state.fields, true).await;
    assert_eq!(session.get(&path).await.unwrap()["data"], json!({"a.b": "ours", "c": "theirs"}));

    // What is only our default gives way.
    let defaults = json!({"data": {"c": "default", "d": "default"}});
    let state = ask(&cluster, &access, foreseen(&map, &ours, &defaults, false)).await.unwrap();
    assert_eq!(state.fields, json!({"data": {"a.b": "ours", "d": "default"}}));
    assert_eq!((state.conflicts.len(), state.kept[0].field.as_str()), (0, ".data.c"));
    assert_eq!(data(&state).1, Some(json!({"a.b": "ours", "c": "theirs", "d": "default"})));

    // An object that was there before us, with what we want, is none that we changed.
    let before = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "before"}, "data": {"x": "1"}});
    theirs(&session, &format!("/api/v1/namespaces/{NAMESPACE}/configmaps/before"), before).await;
    let before = id("v1", "ConfigMap", "before");
    let state = ask(&cluster, &access, foreseen(&before, &json!({"data": {"x": "1"}}), &none, false)).await.unwrap();
    assert_eq!(data(&state).0, data(&state).1);
    assert_eq!(ask(&cluster, &access, KubeObject { id: before }).await.unwrap().unwrap().modified, 0);
    cluster.close().await;
}

async fn definitions(rig: &Rig) {
    let session = rig.session().await;
    let (access, mut cluster) = (Told::once(rig.admin()), impatient());
    let root = id("argoproj.io/v1alpha1", "Application", "root");
    let wanted = json!({"spec": {"project": "kubernetes"}});
    assert!(ask(&cluster, &access, KubeObject { id: root.clone() }).await.unwrap().is_none());
    let state = ask(&cluster, &access, foreseen(&root, &wanted, &json!({}), false)).await.unwrap();
    assert!(state.present.is_none() && state.after.is_none());

    cluster.defined_within = Duration::ZERO;
    let action = ApplyObject { id: root.clone(), fields: wanted.clone(), force: false };
    let fault = act(&cluster, &access, action.clone()).await.unwrap_err();
    assert!(fault.said.join(" ").contains("applications.argoproj.io is not there"), "{fault:?}");
    assert!(fault.next.unwrap().contains("crds"));

    // Its kind comes while it is waited for.
    cluster.defined_within = Duration::from_secs(30);
    let waiting = act(&cluster, &access, action);
    let defining = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        session.send(Method::POST, DEFINITIONS, Sent::Object(definition("Application"))).await.unwrap();
    };
    let (waited, ()) = tokio::join!(waiting, defining);
    waited.unwrap();
    let state = ask(&cluster, &access, foreseen(&root, &wanted, &json!({}), false)).await.unwrap();
    let (mut present, mut after) = (state.present.unwrap(), state.after.unwrap());
    for object in [&mut present, &mut after] {
        object["metadata"].as_object_mut().unwrap().remove("managedFields");
    }
    assert_eq!(present, after);

    let status = json!({"status": {"sync": {"status": "OutOfSync"}, "health": {"status": "Degraded"}}});
    let path = format!("/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/applications/root");
    session.send(Method::PATCH, &path, Sent::Merge(status)).await.unwrap();
    let seen = ask(&cluster, &access, KubeObject { id: root }).await.unwrap().unwrap();
    assert_eq!(seen.value["status"]["health"]["status"], "Degraded");
    cluster.close().await;
}

async fn admission(rig: &Rig) {
    let session = rig.session().await;
    let (access, cluster) = (Told::once(rig.admin()), impatient());
    let rules = "/apis/admissionregistration.k8s.io/v1";
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "no-secrets-here"},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"],
                "operations": ["CREATE", "UPDATE"]}]},
            "validations": [{"expression": "!has(object.data) || !('forbidden' in object.data)",
                "message": "this cluster forbids it"}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "no-secrets-here"},
        "spec": {"policyName": "no-secrets-here", "validationActions": ["Deny"]},
    });
    for (kind, object) in [("validatingadmissionpolicies", policy), ("validatingadmissionpolicybindings", binding)] {
        session.send(Method::POST, &format!("{rules}/{kind}"), Sent::Object(object)).await.unwrap();
    }
    let map = id("v1", "ConfigMap", "refused");
    let wanted = json!({"data": {"forbidden": "1"}});
    // The API server takes a moment to follow a new policy.
    until("the policy", async || {
        let asked = ask(&cluster, &access, foreseen(&map, &wanted, &json!({}), false)).await;
        let Err(fault) = asked else { return false };
        assert_eq!(fault.cause, Cause::Refused);
        assert!(fault.said.join(" ").contains("this cluster forbids it"), "{fault:?}");
        assert!(fault.likely.unwrap().contains("admission"));
        true
    })
    .await;
    let action = ApplyObject { id: map, fields: wanted, force: false };
    assert_eq!(act(&cluster, &access, action).await.unwrap_err().cause, Cause::Refused);
    let rejected = session.get(&format!("{rules}/validatingadmissionpolicies")).await.unwrap();
    assert_eq!(nodes::items(&rejected).count(), 1);
    cluster.close().await;
}
