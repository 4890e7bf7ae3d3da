//! From empty slots, or hosts, to a cluster that Argo CD keeps.

use super::{BARE, Cluster, did_as_planned, text};
use crate::boards::{SLOTS, are_ours, believed};

const ROOT: [&str; 4] = ["-n", "argo-cd", "get", "application/all-cluster-services"];
const STATE: &str = "jsonpath={.status.sync.status} {.status.health.status}";

pub(super) fn is_whole(cluster: &Cluster, nodes: usize) {
    let names = cluster.kubectl(&["get", "nodes", "-o", "name"]);
    assert_eq!(names.lines().count(), nodes, "{names}");
    let ready = "jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}";
    assert_eq!(cluster.kubectl(&["get", "nodes", "-o", ready]), ["True"].repeat(nodes).join(" "));
    let taint =
        cluster.kubectl(&["get", "node/node01", "-o", "jsonpath={.spec.taints[*].key}:{.spec.taints[*].effect}"]);
    assert_eq!(taint, "node-role.kubernetes.io/control-plane:NoSchedule");
    let releases = cluster.tool("helm", &["list", "-A", "-o", "json"]);
    assert!(releases.contains(r#""name":"argocd","namespace":"argo-cd""#), "{releases}");
    assert_eq!(cluster.kubectl(&[&ROOT[..], &["-o", STATE]].concat()), "Synced Healthy");
    let project = ["-n", "argo-cd", "get", "appproject/kubernetes", "-o", "name"];
    assert_eq!(cluster.kubectl(&project), "appproject.argoproj.io/kubernetes");
    // The children have no part in the root's health; the controller brings them all the same.
    cluster.until(&["-n", "hello", "get", "deployment/hello", "-o", "jsonpath={.status.readyReplicas}"], "1");
}

#[test]
#[ignore = "needs root and real hosts"]
fn a_board_of_empty_slots_becomes_a_cluster() {
    let cluster = Cluster::of("cluster-board", &["--nodes", "0", "--boards", "1", "--slots", "4"], &SLOTS, "");
    let ran = cluster.apply(&["-e", "do_flash=true"]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    assert_eq!(believed(&ran), [""; 0]);
    did_as_planned(&ran);
    are_ours(&cluster.bed, &cluster.controller, &SLOTS);
    is_whole(&cluster, 4);
    let rk1 = cluster.kubectl(&["get", "nodes", "-l", "node-type=rk1", "-o", "name"]);
    assert_eq!(rk1.lines().count(), 4, "{rk1}");
    let again = cluster.controller.command(&["apply", "-y", "-e", "do_flash=true"]).output().unwrap();
    let said = String::from_utf8(again.stdout).unwrap();
    assert!(again.status.success() && said.starts_with("Nothing to change"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

/// The cluster still has its Node, and the password of the system that was there before.
#[test]
#[ignore = "needs root and real hosts"]
fn a_node_that_is_flashed_again_joins_again() {
    let up = ["--nodes", "0", "--boards", "1", "--slots", "2"];
    let cluster = Cluster::of("cluster-again", &up, &SLOTS[..2], BARE);
    let ran = cluster.apply(&["-e", "do_flash=true"]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    let uid = || cluster.kubectl(&["get", "node/node02", "-o", "jsonpath={.metadata.uid}"]);
    let before = uid();
    let flashed = cluster.apply(&["-e", "do_flash=true", "-e", "flash_force=true", "--limit", "node02"]);
    assert!(flashed.converged(), "{:#?}\n{}", flashed.troubles(), flashed.stderr);
    let ran = cluster.apply(&[]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    assert_ne!(uid(), before);
    cluster.changes_nothing();
}

#[test]
#[ignore = "needs root and real hosts"]
fn a_repository_that_breaks_is_told_of() {
    let hosts = [super::THREE[0], super::THREE[1], ("node03", "workstation: true")];
    let cluster = Cluster::of("cluster-git", &["--nodes", "3"], &hosts, "");
    let ran = cluster.apply(&[]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    did_as_planned(&ran);
    is_whole(&cluster, 3);
    let marks =
        "jsonpath={.metadata.labels.node-role} {.spec.taints[*].key}={.spec.taints[*].value}:{.spec.taints[*].effect}";
    let marks = cluster.kubectl(&["get", "node/node03", "-o", marks]);
    assert_eq!(marks, "workstation workstation=true:NoSchedule");
    cluster.changes_nothing();
    for (what, state, words) in [
        ("image", "Synced Degraded", "Deployment broken"),
        ("chart", "Unknown Healthy", "ComparisonError"),
        ("object", "OutOfSync Healthy", "ConfigMap"),
    ] {
        cluster.bed.run(&["git-commit", "--break", what]);
        cluster.until(&[&ROOT[..], &["-o", STATE]].concat(), state);
        let ran = cluster.apply(&[]);
        let fault = ran.fault("cluster/all-cluster-services-healthy", &["failed", "timed_out"]);
        assert!(text(&fault["said"]).contains(words), "{what}: {fault:#}");
        cluster.bed.run(&["git-commit"]);
        cluster.until(&[&ROOT[..], &["-o", STATE]].concat(), "Synced Healthy");
        cluster.changes_nothing();
    }
}
