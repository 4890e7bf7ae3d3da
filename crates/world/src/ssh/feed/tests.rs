//! Against a real sshd on loopback.

use std::sync::atomic::{AtomicU64, Ordering};

use bringup_core::ids::Sha256;
use bringup_core::text::known_hosts::{HostKey, KnownHosts};

use super::super::{Logins, Route};
use super::*;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../tests/sshd/mod.rs"]
mod sshd;

/// A session as root: whoever runs this is root, or has it free.
async fn session(sshd: &sshd::Sshd) -> Option<Arc<Session>> {
    if sshd.user != "root" {
        return None;
    }
    let name = format!("[127.0.0.1]:{}", sshd.port);
    let key = HostKey::parse(&std::fs::read_to_string(sshd.file("host.pub")).unwrap()).unwrap();
    let route = Route {
        host: "127.0.0.1".to_owned(),
        port: sshd.port,
        user: sshd.user.clone(),
        names: vec![name.clone()],
        known_hosts: Vec::new(),
        key_files: vec![sshd.file("key")],
        only_key_files: true,
        agent: None,
        via: None,
        password: None,
        become_password: None,
    };
    let logins = Logins::of_user("/nonexistent", None, Box::new(|_| None));
    let session = Session::open(route, &KnownHosts::parse(&format!("{name} {key}")), &logins).await.unwrap();
    session.piece("true").await.unwrap();
    Some(Arc::new(session))
}

#[tokio::test]
async fn a_command_lasts_as_long_as_it_is_held() {
    let sshd = sshd::Sshd::start("");
    let Some(session) = session(&sshd).await else { return };
    let log = sshd.file("held");
    let command = format!(
        "echo noise; echo bringup held; while read -r line; do echo beat >> {0}; done; echo over >> {0}",
        log.display()
    );
    let (said, hold) = session.hold(&command, Duration::from_millis(50)).await.unwrap();
    assert_eq!(said, "held");
    let text = || std::fs::read_to_string(&log).unwrap_or_default();
    while text().lines().count() < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(hold.lasts() && !text().contains("over"));
    drop(hold);
    while !text().ends_with("over\n") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (said, hold) = session.hold("echo 'bringup busy someone'", Duration::from_secs(5)).await.unwrap();
    assert_eq!(said, "busy someone");
    while hold.lasts() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(session.hold("exit 3", Duration::from_secs(5)).await.is_err());
}

#[tokio::test]
async fn bytes_go_there_and_come_back() {
    let sshd = sshd::Sshd::start("");
    let Some(session) = session(&sshd).await else { return };
    let bytes: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
    let sent = AtomicU64::new(0);
    let told = |done| sent.store(done, Ordering::Relaxed);
    let output = session.feed("sha256sum", &mut bytes.as_slice(), &told).await.unwrap();
    assert!(String::from_utf8_lossy(&output.out).contains(&Sha256::of(&bytes).to_string()));
    assert_eq!(sent.load(Ordering::Relaxed), 4_000_000);
    let early = session.feed("echo full >&2; exit 7", &mut bytes.as_slice(), &|_| {}).await.unwrap();
    assert_eq!((early.status, early.err.ends_with(b"full\n")), (Some(7), true));
    let path = sshd.file("bytes");
    std::fs::write(&path, &bytes).unwrap();
    let (pieces, mut queue) = mpsc::channel(4);
    let command = format!("cat {}", path.display());
    let (poured, got) = tokio::join!(session.pour(&command, pieces), async {
        let mut got = Vec::new();
        while let Some(piece) = queue.recv().await {
            got.extend_from_slice(&piece);
        }
        got
    });
    poured.unwrap();
    assert!(got == bytes);
    // Nobody wants more of what would never end.
    let (pieces, mut queue) = mpsc::channel(1);
    let (poured, _) = tokio::join!(session.pour("cat /dev/zero", pieces), async move { queue.recv().await });
    poured.unwrap();
}
