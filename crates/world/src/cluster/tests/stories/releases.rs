//! Helm's releases, as the secrets that Helm keeps.

use bringup_core::contract::cluster::{HelmRelease, InstallRelease, UninstallRelease};
use bringup_core::run::fault::Cause;
use http::Method;
use serde_json::{Value, json};

use crate::cluster::release::tests::encode;
use crate::cluster::session::{Sent, Session};
use crate::cluster::tests::rig::{Rig, Told};
use crate::cluster::tests::{act, ask, impatient};

const SECRETS: &str = "/api/v1/namespaces/releases/secrets";

async fn revision(session: &Session, number: u32, status: &str, manifest: &str) {
    let release = json!({
        "name": "argocd", "namespace": "releases", "version": number, "manifest": manifest,
        "info": {"status": status, "description": "Install complete"},
        "chart": {"metadata": {"name": "argo-cd", "version": format!("7.8.{number}")}},
        "config": {"server": {"replicas": number}},
    });
    let secret: Value = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
        "metadata": {"name": format!("sh.helm.release.v1.argocd.v{number}"), "labels": {"owner": "helm",
            "name": "argocd", "status": status, "version": number.to_string()}},
        "data": {"release": encode(&release)},
    });
    session.send(Method::POST, SECRETS, Sent::Object(secret)).await.unwrap();
}

pub async fn all(rig: &Rig) {
    let session = rig.session().await;
    let (access, cluster) = (Told::once(rig.admin()), impatient());
    let question = || HelmRelease { namespace: "releases".to_owned(), name: "argocd".to_owned() };
    assert!(ask(&cluster, &access, question()).await.unwrap().is_none());
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "releases"}});
    session.send(Method::POST, "/api/v1/namespaces", Sent::Object(namespace)).await.unwrap();

    // The tenth revision comes after the ninth, not after the first.
    for number in [1, 9, 10] {
        revision(&session, number, if number == 10 { "deployed" } else { "superseded" }, "").await;
    }
    let before = cluster.requests();
    let release = ask(&cluster, &access, question()).await.unwrap().unwrap();
    assert_eq!((release.version.as_str(), release.status.as_str()), ("7.8.10", "deployed"));
    assert_eq!(cluster.requests() - before, 2);
    revision(&session, 11, "pending-upgrade", "").await;
    assert_eq!(ask(&cluster, &access, question()).await.unwrap().unwrap().status, "pending-upgrade");

    // Uninstalling what would take every Application along is refused before helm is called.
    let manifest = "---\n# Source: a\nkind: CustomResourceDefinition\nmetadata:\n  name: applications.argoproj.io\n";
    revision(&session, 12, "deployed", manifest).await;
    let uninstall = UninstallRelease {
        namespace: "releases".to_owned(),
        name: "argocd".to_owned(),
        chart: "x".to_owned(),
        version: bringup_core::version::Version::parse("1.0.0").unwrap(),
    };
    let fault = act(&cluster, &access, uninstall).await.unwrap_err();
    assert_eq!(fault.cause, Cause::NotAllowed);
    assert!(fault.said.join(" ").contains("applications.argoproj.io"));

    let install = InstallRelease {
        namespace: "releases".to_owned(),
        name: "argocd".to_owned(),
        chart: "x".to_owned(),
        version: bringup_core::version::Version::parse("1.0.0").unwrap(),
        values: json!({}),
        run: None,
    };
    let fault = act(&cluster, &access, install).await.unwrap_err();
    assert!(fault.next.unwrap().contains("stage tools"));
    cluster.close().await;
}
