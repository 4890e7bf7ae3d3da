//! The cluster against a real API server: what the rest of the program relies on.

mod hostile;
pub mod rig;
mod stories;

use bringup_core::contract::cluster::{Action, ApiReady};
use bringup_core::contract::{self, Question};
use bringup_core::run::fault::{Cause, Fault};

use self::rig::Rig;
use super::access::Access;
use super::{Cluster, DrainBounds};

/// A cluster that does not wait for long.
fn impatient() -> Cluster {
    use std::time::Duration;
    let mut cluster = Cluster::new("no-helm".into());
    cluster.drain =
        DrainBounds { budget: Duration::from_secs(2), end: Duration::from_secs(20), pause: Duration::from_millis(200) };
    cluster.defined_within = Duration::from_secs(20);
    cluster.bounds.renewal = Duration::from_secs(3);
    cluster
}

async fn ask<Q: Question<Of = contract::Cluster>>(
    cluster: &Cluster,
    access: &dyn Access,
    question: Q,
) -> Result<Q::Answer, Fault> {
    let answer = cluster.ask(access, &[question.into()]).await.remove(0)?;
    Ok(Q::read(answer).unwrap())
}

async fn act(cluster: &Cluster, access: &dyn Access, action: impl Into<Action>) -> Result<(), Fault> {
    cluster.act(access, &action.into(), &|_, _, _| {}).await
}

/// One server for all of them: each starts in half a minute of work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes' API server and etcd, which scripts/test provides"]
async fn against_a_real_api_server() {
    let rig = Rig::start().await;
    stories::trust::all(&rig).await;
    stories::nodes::all(&rig).await;
    stories::objects::all(&rig).await;
    stories::releases::all(&rig).await;
    stories::lease::all(&rig).await;
    stories::sealed_keys::all(&rig).await;
    stories::drain::all(&rig).await;
}

#[tokio::test]
async fn a_server_that_is_down_or_says_nothing_is_named() {
    use std::time::Duration;
    let authority = rig::Authority::new("nobody");
    let user = authority.sign("me", "us", &[], 4000);
    let mut cluster = impatient();
    let server = format!("https://127.0.0.1:{}", rig::free_port());
    let access = rig::Told::once(rig::kubeconfig(&server, &authority.pem, &user));
    let fault = ask(&cluster, &access, ApiReady {}).await.unwrap_err();
    assert_eq!(fault.cause, Cause::Unreachable);
    assert!(fault.said.join(" ").contains(&server), "{fault:?}");
    assert!(fault.next.is_some());

    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("https://{}", silent.local_addr().unwrap());
    let access = rig::Told::once(rig::kubeconfig(&server, &authority.pem, &user));
    cluster = impatient();
    cluster.bounds.connect = Duration::from_secs(60);
    cluster.bounds.answer = Duration::from_millis(500);
    let fault = ask(&cluster, &access, ApiReady {}).await.unwrap_err();
    assert_eq!(fault.cause, Cause::Silent);
    assert!(fault.said.join(" ").contains("no answer"), "{fault:?}");
    drop(silent);
}
