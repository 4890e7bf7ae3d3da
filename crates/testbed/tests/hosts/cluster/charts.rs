//! What keeps Argo CD from coming, or from being as the site has it.

use super::making::is_whole;
use super::{Cluster, THREE};

const ROOT: &str = "application/all-cluster-services";

/// A release whose helm died while it installed.
fn pending(cluster: &Cluster) {
    let release = serde_json::json!({
        "name": "argocd", "namespace": "argo-cd", "version": 1, "manifest": "",
        "info": {"status": "pending-install", "description": "Initial install underway"},
        "chart": {"metadata": {"name": "argo-cd", "version": "7.8.3"}}, "config": {},
    });
    let path = cluster.controller.file("release.json");
    std::fs::write(&path, release.to_string()).unwrap();
    let encoded = std::process::Command::new("base64").arg("-w0").arg(&path).output().unwrap();
    cluster.write(&format!(
        "{{apiVersion: v1, kind: Namespace, metadata: {{name: argo-cd}}}}\n---\n\
         {{apiVersion: v1, kind: Secret, type: helm.sh/release.v1, stringData: {{release: {}}}, metadata: {{name: \
         sh.helm.release.v1.argocd.v1, namespace: argo-cd, labels: {{owner: helm, name: argocd, status: pending-install, \
         version: '1'}}}}}}",
        String::from_utf8(encoded.stdout).unwrap()
    ));
}

#[test]
#[ignore = "needs root and real hosts"]
fn what_keeps_argo_cd_from_being_as_the_site_has_it_is_told() {
    let cluster = Cluster::of("cluster-charts", &["--nodes", "2"], &THREE[..2], "");
    let nowhere = format!("argocd_chart=oci+http://{}:1/charts/argo-cd", cluster.bed.gateway());
    let ran = cluster.apply(&["-e", &nowhere]);
    let fault = ran.fault("cluster/argocd-release", &["unreachable"]);
    assert!(fault["likely"].to_string().contains("registry"), "{fault:#}");

    pending(&cluster);
    let ran = cluster.apply(&[]);
    assert_eq!(ran.outcome("cluster/argocd-release"), "blocked", "{:#?}", ran.troubles());
    let reason = ran.carried("cluster/argocd-release");
    assert!(reason["why"].to_string().contains("pending-install"), "{reason:#}");
    let next = "-n argo-cd delete secret -l owner=helm,name=argocd,status=pending-install";
    assert!(reason["next"].to_string().contains(next), "{reason:#}");
    cluster.kubectl(&next.split(' ').collect::<Vec<_>>());
    let ran = cluster.apply(&[]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    is_whole(&cluster, 2);

    // What is not there cannot take the place of what is.
    let ran = cluster.apply(&["-e", "cluster_force=true", "-e", &nowhere]);
    ran.fault("cluster/argocd-release", &["unreachable"]);
    is_whole(&cluster, 2);

    // A field that somebody else took stays theirs until we are told to take it.
    let branch = || cluster.kubectl(&["-n", "argo-cd", "get", ROOT, "-o", "jsonpath={.spec.source.targetRevision}"]);
    let ours = branch();
    let patch = r#"{"spec": {"source": {"targetRevision": "theirs"}}}"#;
    cluster.kubectl(&["-n", "argo-cd", "patch", ROOT, "--type", "merge", "--field-manager", "somebody", "-p", patch]);
    let ran = cluster.apply(&[]);
    let step = "cluster/application-all-cluster-services";
    assert_eq!(ran.outcome(step), "blocked", "{:#?}", ran.troubles());
    let reason = ran.carried(step);
    assert!(reason["why"].to_string().contains("targetRevision belongs to somebody"), "{reason:#}");
    assert!(reason["next"].to_string().contains("--force-conflicts"), "{reason:#}");
    assert_eq!(branch(), "theirs");
    let ran = cluster.apply(&["--force-conflicts"]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    assert_eq!(branch(), ours);
    cluster.changes_nothing();
}
