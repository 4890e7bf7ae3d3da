use serde_json::json;

use super::*;
use crate::contract::cluster;
use crate::resources::scripted::{Script, check};

#[test]
fn what_would_be_another_is_told_and_what_the_api_keeps_is_not() {
    let mut changes = Vec::new();
    let present = json!({"metadata": {"resourceVersion": "1", "managedFields": [], "labels": {"ours": "once"}},
        "spec": {"path": "a", "sources": [1], "theirs": 1}, "status": {"x": 1}});
    let after = json!({"metadata": {"resourceVersion": "2", "labels": {}},
        "spec": {"path": "b", "sources": [1], "new": true, "theirs": 1}});
    compare(Some(&present), Some(&after), &mut Vec::new(), &mut changes);
    let expected = vec![
        Change::new("metadata.labels.ours", "once", "(taken away)"),
        Change::new("spec.path", "a", "b"),
        Change::add("spec.new", "true"),
    ];
    assert_eq!(changes, expected);
}

#[test]
fn an_object_is_applied_where_nobody_else_minds() {
    let object = |force| AppliedObject {
        id: ObjectId {
            api_version: "v1".into(),
            kind: "Secret".into(),
            namespace: "ns".to_owned(),
            name: "x".to_owned(),
        },
        fields: json!({"data": {"a": "1"}}),
        defaults: json!({"data": {"b": "2"}}),
        force,
    };
    // What is applied is what the API said of the two: defaults that others own are left out of it.
    let applied = json!({"data": {"a": "1"}});
    let seen = |present: Option<&Value>, after: Option<&Value>| ForeseenState {
        present: present.cloned(),
        after: after.cloned(),
        fields: applied.clone(),
        conflicts: Vec::new(),
        kept: Vec::new(),
    };
    let owned = || vec![FieldConflict { field: ".data.a".to_owned(), managers: "helm".to_owned() }];
    let good = json!({"data": {"a": "1"}, "metadata": {"resourceVersion": "1"}});
    let other = json!({"data": {"a": "0"}, "metadata": {"resourceVersion": "0"}});
    let apply = &["cluster: apply Secret ns/x", "changed"][..];
    let blocked = "blocked: Secret ns/x: .data.a belongs to helm";
    let untold = "blocked: what would become of Secret ns/x cannot be told";
    for (what, force, state, plan, run) in [
        ("none", false, seen(None, Some(&good)), &["Secret ns/x: + made"][..], apply),
        ("none, and its namespace is to come", false, seen(None, None), &["Secret ns/x: + made"], apply),
        ("equal", false, seen(Some(&good), Some(&good)), &["in sync"], &["in sync"]),
        ("another", false, seen(Some(&other), Some(&good)), &["data.a: 0 → 1"], apply),
        ("another, forced", true, seen(Some(&other), Some(&good)), &["data.a: 0 → 1"], apply),
        ("its kind is gone", false, seen(Some(&good), None), &[untold], &[untold]),
        ("of others", false, ForeseenState { conflicts: owned(), ..seen(Some(&other), None) }, &[blocked], &[blocked]),
        (
            "a default of others",
            false,
            ForeseenState { kept: owned(), ..seen(Some(&good), Some(&good)) },
            &["note: FieldsKept", "in sync"],
            &["in sync"],
        ),
    ] {
        let is = |state: ForeseenState| says!(Cluster, object(force).question() => state.clone());
        let script = Script::new([is(state)]).once("apply Secret ns/x", [is(seen(Some(&good), Some(&good)))]);
        let told = check(what, object(force), script, plan, run);
        for action in told.done::<Cluster>() {
            let cluster::Action::ApplyObject(apply) = action else { panic!("{what}: {action}") };
            assert_eq!((&apply.fields, apply.force), (&applied, force), "{what}");
        }
    }
}
