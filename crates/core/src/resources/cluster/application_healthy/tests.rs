use serde_json::json;

use super::*;
use crate::resources::scripted::{Script, check, fails};

fn root(status: &Value) -> Value {
    json!({"metadata": {"name": "root"}, "status": status})
}

#[test]
fn what_gets_well_by_itself_and_what_does_not() {
    for (what, status, stuck) in [
        ("on its way", json!({"sync": {"status": "OutOfSync"}, "health": {"status": "Progressing"}}), false),
        ("missing yet", json!({"health": {"status": "Missing"}, "operationState": {"phase": "Running"}}), false),
        ("degraded", json!({"sync": {"status": "Synced"}, "health": {"status": "Degraded"}}), true),
        ("no repository", json!({"conditions": [{"type": "ComparisonError", "message": "x"}]}), true),
        ("not synced", json!({"operationState": {"phase": "Failed"}}), true),
        ("syncing", json!({"operationState": {"phase": "Running", "retryCount": 0}}), false),
        ("retrying", json!({"operationState": {"phase": "Running", "retryCount": 1}}), true),
        ("warned", json!({"conditions": [{"type": "OrphanedResourceWarning", "message": "x"}]}), false),
    ] {
        assert_eq!(is_stuck(&root(&status)), stuck, "{what}");
    }
}

#[test]
fn time_in_trouble_adds_up_over_syncs_that_begin_again() {
    let begin = Instant::now();
    // Ten seconds apart: Failed, and Running in every second look.
    let mut trouble = TimeInTrouble::default();
    let enough = (0..100).find(|look| {
        let now = begin + Duration::from_secs(look * 10);
        trouble.look(now, look % 2 == 0) >= GRACE
    });
    assert_eq!(enough, Some(23));
    // Nobody could look for an hour.
    let mut trouble = TimeInTrouble::default();
    trouble.look(begin, true);
    assert!(trouble.look(begin + Duration::from_secs(3600), true) < GRACE);
}

#[test]
fn what_is_not_well_is_named_with_its_words() {
    let application = root(&json!({
        "sync": {"status": "OutOfSync"}, "health": {"status": "Degraded"},
        "conditions": [{"type": "ComparisonError", "message": "no such path"}],
        "operationState": {"phase": "Failed", "message": "one or more objects failed to apply"},
        "resources": [
            {"kind": "Application", "namespace": "argo-cd", "name": "web", "status": "OutOfSync"},
            {"kind": "Deployment", "name": "x", "status": "Synced",
                "health": {"status": "Degraded", "message": "no image"}},
            {"kind": "Service", "name": "y", "status": "Synced", "health": {"status": "Healthy"}},
        ],
    }));
    assert_eq!(
        said(&application),
        [
            "Application root: OutOfSync, Degraded",
            "ComparisonError: no such path",
            "one or more objects failed to apply",
        ]
    );
    let id = ObjectId {
        api_version: "argoproj.io/v1alpha1".into(),
        kind: "Application".into(),
        namespace: "argo-cd".to_owned(),
        name: "root".to_owned(),
    };
    let found = ailing(&application, &id);
    assert_eq!(found[0].0, "Application web: OutOfSync, ?");
    assert_eq!(found[0].1.as_ref().map(|id| id.name.as_str()), Some("web"));
    assert_eq!(found[1], ("Deployment x: Synced, Degraded: no image".to_owned(), None));
    assert_eq!(found.len(), 2);
}

fn application() -> ObjectId {
    ObjectId {
        api_version: "argoproj.io/v1alpha1".into(),
        kind: "Application".into(),
        namespace: "argo-cd".to_owned(),
        name: "root".to_owned(),
    }
}

#[test]
fn an_application_is_waited_for_as_long_as_it_may_get_well() {
    let is = |value: Option<Value>| value.map(|value| ObjectState { value: root(&value), modified: 1 });
    let status = |sync: &str, health: &str| json!({"sync": {"status": sync}, "health": {"status": health}});
    let healthy = status("Synced", "Healthy");
    let progressing = status("OutOfSync", "Progressing");
    let degraded = status("Synced", "Degraded");
    let question = || KubeObject { id: application() };
    let wait = "wait for Application argo-cd/root to be Synced and Healthy";
    for (what, answers, plan, run) in [
        ("healthy", says!(Cluster, question() => is(Some(healthy.clone()))), &["in sync"][..], &["in sync"][..]),
        (
            "not there",
            says!(Cluster, question() => is(None), is(None), is(Some(healthy.clone()))),
            &["sync: unknown → Synced", "health: unknown → Healthy"],
            &[wait, "changed"],
        ),
        (
            "on its way",
            says!(Cluster, question() => is(Some(progressing.clone())), is(Some(progressing.clone())), is(Some(healthy.clone()))),
            &["sync: OutOfSync → Synced", "health: Progressing → Healthy"],
            &[wait, "changed"],
        ),
        // Trouble that passes within its time.
        (
            "degraded for a while",
            says!(Cluster, question() => is(Some(degraded.clone())), is(Some(degraded.clone())), is(Some(healthy))),
            &["health: Degraded → Healthy"],
            &[wait, "changed"],
        ),
        (
            "degraded for good",
            says!(Cluster, question() => is(Some(degraded))),
            &["health: Degraded → Healthy"],
            &[
                wait,
                "failed: wait for Application argo-cd/root to be Synced and Healthy on cluster: failed \
                 (Application root: Synced, Degraded)",
            ],
        ),
        (
            "on its way for ever",
            says!(Cluster, question() => is(Some(progressing))),
            &["sync: OutOfSync → Synced", "health: Progressing → Healthy"],
            &[
                wait,
                "failed: wait for Application argo-cd/root to be Synced and Healthy on cluster: took too long \
                 (Application root: OutOfSync, Progressing)",
            ],
        ),
    ] {
        let resource = ApplicationHealthy { id: application() };
        let told = check(what, resource, Script::new([answers]), plan, run);
        assert!(told.done::<Cluster>().is_empty());
    }
    let silent = Script::new([fails(&Cluster, question(), Cause::Refused)]);
    let said = "read Application argo-cd/root on cluster: refused";
    let resource = ApplicationHealthy { id: application() };
    check("nobody says", resource, silent, &[&format!("unreachable: {said}")], &[&format!("failed: {said}")]);
}
