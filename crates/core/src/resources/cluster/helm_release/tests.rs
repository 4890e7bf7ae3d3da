use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{HelmReleaseInstalled, Seen};
use crate::contract::Cluster;
use crate::contract::ReleaseState;
use crate::contract::cluster::{self, HelmRelease};
use crate::engine::resource::Resource;
use crate::ids::Sha256;
use crate::resources::scripted::{RUN, Script, check};
use crate::run::change::Diff;
use crate::site::Stated;
use crate::text::value_sums::value_sums;
use crate::version::Version;

fn wanted(version: Option<&str>, values: Value) -> HelmReleaseInstalled {
    HelmReleaseInstalled {
        namespace: "argo-cd".to_owned(),
        name: "argocd".to_owned(),
        chart: "oci://charts/argo-cd".to_owned(),
        version: Stated { stated: version.is_some(), value: Version::parse(version.unwrap_or("7.8.3")).unwrap() },
        values,
        force: false,
    }
}

fn seen(version: &str, status: &str, values: &Value) -> Seen {
    let release = ReleaseState {
        version: Version::parse(version).unwrap(),
        status: status.to_owned(),
        values: value_sums(values),
        run: None,
    };
    Seen { release: Some(release), forced_already: false }
}

#[test]
fn what_is_installed_stays_unless_the_site_states_another() {
    let dex = json!({"configs": {"cm": {"dex.config": "theirs"}}, "server": {"replicas": 2}});
    for (what, wanted, seen, expected) in [
        ("newer, unstated", wanted(None, json!({})), seen("9.1.0", "deployed", &dex), "in sync"),
        ("newer, stated", wanted(Some("7.8.3"), json!({})), seen("9.1.0", "deployed", &dex), "blocked"),
        ("older, stated", wanted(Some("9.1.0"), json!({})), seen("7.8.3", "deployed", &dex), "1 changes"),
        (
            "a value of ours",
            wanted(None, json!({"server": {"replicas": 2}})),
            seen("9.1.0", "deployed", &dex),
            "in sync",
        ),
        (
            "others",
            wanted(None, json!({"server": {"replicas": 1, "x": []}})),
            seen("9.1.0", "deployed", &dex),
            "2 changes",
        ),
        ("failed", wanted(None, json!({})), seen("7.8.3", "failed", &dex), "1 changes"),
        ("stuck", wanted(None, json!({})), seen("7.8.3", "pending-install", &dex), "blocked"),
    ] {
        let told = match wanted.diff(&seen) {
            Diff::InSync => "in sync".to_owned(),
            Diff::Change(changes) => format!("{} changes", changes.len()),
            Diff::Blocked(_) => "blocked".to_owned(),
        };
        assert_eq!(told, expected, "{what}");
    }
}

#[test]
fn the_order_of_keys_says_nothing() {
    let one: Value = serde_json::from_str(r#"{"a": [{"x": 1, "y": 2}], "b": {}}"#).unwrap();
    let other: Value = serde_json::from_str(r#"{"b": {}, "a": [{"y": 2, "x": 1}]}"#).unwrap();
    assert_eq!(value_sums(&one), value_sums(&other));
    assert_eq!(value_sums(&json!({})), BTreeMap::new());
}

/// What a run does, and with which version and mark.
#[test]
fn a_release_is_brought_to_what_the_site_states_and_forced_once() {
    let values = json!({"a": 1});
    let release = |version: &str, status: &str, run: Option<&str>| {
        Some(ReleaseState {
            version: Version::parse(version).unwrap(),
            status: status.to_owned(),
            values: value_sums(&json!({"a": 1, "theirs": true})),
            run: run.map(str::to_owned),
        })
    };
    let forced = |version| HelmReleaseInstalled { force: true, ..wanted(version, values.clone()) };
    let free = |version| wanted(version, values.clone());
    let question = || HelmRelease { namespace: "argo-cd".to_owned(), name: "argocd".to_owned() };
    let has = |release: Option<ReleaseState>| says!(Cluster, question() => release.clone());
    let other_value = release("7.8.3", "deployed", None)
        .map(|release| ReleaseState { values: [("a".to_owned(), Sha256::of("another"))].into(), ..release });
    let install = |version: &str| format!("cluster: install release argo-cd/argocd {version}");
    let (old, new) = (install("7.8.3"), install("9.1.0"));
    let uninstall = "cluster: uninstall release argo-cd/argocd";
    let anew = "release argo-cd/argocd: installed → installed anew (cluster_force)";
    let delete = "! delete release argo-cd/argocd";
    let same = &["in sync"][..];
    let stuck = "blocked: release argo-cd/argocd is pending-upgrade: a helm is at work on it, or died at it";
    let back = "blocked: release argo-cd/argocd has chart 9.1.0, the site states the older 7.8.3";
    for (what, wanted, present, plan, run, mark) in [
        (
            "none",
            free(None),
            None,
            &["release argo-cd/argocd: + oci://charts/argo-cd 7.8.3"][..],
            &[old.as_str(), "changed"][..],
            None,
        ),
        ("deployed", free(None), release("7.8.3", "deployed", None), same, same, None),
        ("newer, and no version stated", free(None), release("9.1.0", "deployed", None), same, same, None),
        (
            "older than stated",
            free(Some("9.1.0")),
            release("7.8.3", "deployed", None),
            &["version of release argo-cd/argocd: 7.8.3 → 9.1.0"],
            &[&new, "changed"],
            None,
        ),
        ("newer than stated", free(Some("7.8.3")), release("9.1.0", "deployed", None), &[back], &[back], None),
        ("at work", free(None), release("7.8.3", "pending-upgrade", None), &[stuck], &[stuck], None),
        ("at work, forced", forced(None), release("7.8.3", "pending-upgrade", None), &[stuck], &[stuck], None),
        // It keeps the version that it has: nobody stated another.
        (
            "failed",
            free(None),
            release("9.1.0", "failed", None),
            &["status of release argo-cd/argocd: failed → deployed"],
            &[&new, "changed"],
            None,
        ),
        (
            "uninstalled, forced",
            forced(None),
            release("7.8.3", "uninstalled", None),
            &["status of release argo-cd/argocd: uninstalled → deployed"],
            &[&old, "changed"],
            Some(RUN),
        ),
        (
            "another value",
            free(None),
            other_value,
            &["a of release argo-cd/argocd: another → as the site has it"],
            &[&old, "changed"],
            None,
        ),
        (
            "forced",
            forced(None),
            release("9.1.0", "deployed", Some("run1")),
            &[anew, delete],
            &[uninstall, &new, "changed"],
            Some(RUN),
        ),
        ("forced by this run", forced(None), release("7.8.3", "deployed", Some(RUN)), same, same, None),
    ] {
        let script = Script::new([has(present)])
            .once(&old["cluster: ".len()..], [has(release("7.8.3", "deployed", mark))])
            .once(&new["cluster: ".len()..], [has(release("9.1.0", "deployed", mark))]);
        let told = check(what, wanted, script, plan, run);
        for action in told.done::<Cluster>() {
            if let cluster::Action::InstallRelease(install) = action {
                assert_eq!((&install.values, install.run.as_deref()), (&values, mark), "{what}");
            }
        }
    }
}
