//! Who believes whom.

use bringup_core::contract::cluster::ApiReady;
use bringup_core::run::fault::Cause;

use crate::cluster::tests::rig::{Authority, Rig, Told, kubeconfig};
use crate::cluster::tests::{ask, impatient};

pub async fn all(rig: &Rig) {
    let good = || rig.admin();
    let user = || rig.authority.sign("system:admin", "system:masters", &[], 4000);
    let elsewhere = format!("https://localhost:{}", rig.port);
    let stranger = Authority::new("another");
    for (what, bad, cause, words, next) in [
        (
            "a certificate for another address",
            kubeconfig(&elsewhere, &rig.authority.pem, &user()),
            Cause::Mismatch,
            "not valid for name",
            "tls-san: [localhost]",
        ),
        (
            "another authority",
            kubeconfig(&rig.server(), &stranger.pem, &user()),
            Cause::Mismatch,
            "invalid peer certificate",
            "restart k3s",
        ),
        (
            "an expired certificate of ours",
            kubeconfig(
                &rig.server(),
                &rig.authority.pem,
                &rig.authority.sign("system:admin", "system:masters", &[], 2020),
            ),
            Cause::Refused,
            "expired at 2020-01-01T00:00:00Z",
            "restart k3s",
        ),
    ] {
        let fault = ask(&impatient(), &Told::once(bad.clone()), ApiReady {}).await.unwrap_err();
        assert_eq!(fault.cause, cause, "{what}: {fault:?}");
        assert!(fault.said.join(" ").contains(words), "{what}: {fault:?}");
        assert!(fault.next.as_ref().unwrap().contains(next), "{what}: {fault:?}");
        // The control plane was made anew meanwhile: what it has now is believed, and read once.
        let cluster = impatient();
        assert!(ask(&cluster, &Told::each([bad, good()]), ApiReady {}).await.unwrap(), "{what}");
        assert_eq!(cluster.requests(), 2, "{what}");
    }
    let nobody = kubeconfig(&rig.server(), &rig.authority.pem, &rig.authority.sign("nobody", "none", &[], 4000));
    let question = bringup_core::contract::cluster::ReadyNodes {};
    let fault = ask(&impatient(), &Told::once(nobody), question).await.unwrap_err();
    assert_eq!(fault.cause, Cause::Refused);
    assert!(fault.said.join(" ").contains("forbidden"), "{fault:?}");
}
