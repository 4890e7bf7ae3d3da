//! sealed-secrets' keys: away and back.

use age::secrecy::ExposeSecret;
use bringup_core::contract::cluster::{BackUpSealedKeys, RestoreSealedKeys, SealedSecretsKeys};
use http::Method;
use serde_json::json;

use crate::cluster::session::Sent;
use crate::cluster::tests::rig::{Rig, Told};
use crate::cluster::tests::{act, ask, impatient};

pub async fn all(rig: &Rig) {
    let session = rig.session().await;
    let (access, cluster) = (Told::once(rig.admin()), impatient());
    assert!(ask(&cluster, &access, SealedSecretsKeys {}).await.unwrap().names.is_empty());
    let key = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "sealed-secrets-keyabc", "labels": {"sealedsecrets.bitnami.com/sealed-secrets-key": "active"}},
        "data": {"tls.crt": "Y2VydA==", "tls.key": "a2V5"},
    });
    let secrets = "/api/v1/namespaces/kube-system/secrets";
    session.send(Method::POST, secrets, Sent::Object(key)).await.unwrap();
    let seen = ask(&cluster, &access, SealedSecretsKeys {}).await.unwrap();
    assert_eq!(seen.names.iter().collect::<Vec<_>>(), ["kube-system/sealed-secrets-keyabc"]);

    let directory = tempfile::tempdir().unwrap();
    let identity = age::x25519::Identity::generate();
    let identity_file = directory.path().join("identity");
    std::fs::write(&identity_file, identity.to_string().expose_secret()).unwrap();
    let to = directory.path().join("kept");
    let recipients = vec![identity.to_public().to_string()];
    act(&cluster, &access, BackUpSealedKeys { to: to.display().to_string(), recipients }).await.unwrap();
    let backup = crate::cluster::sealed_keys_backup(&to).unwrap().unwrap();
    assert_eq!(backup.names, seen.names);
    assert!(!std::fs::read_to_string(&backup.path).unwrap().contains("a2V5"));

    session.send(Method::DELETE, &format!("{secrets}/sealed-secrets-keyabc"), Sent::Nothing).await.unwrap();
    for _ in 0..2 {
        let identity = identity_file.display().to_string();
        act(&cluster, &access, RestoreSealedKeys { from: backup.path.clone(), identity }).await.unwrap();
    }
    assert_eq!(ask(&cluster, &access, SealedSecretsKeys {}).await.unwrap(), seen);
    cluster.close().await;
}
