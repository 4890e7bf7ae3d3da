//! SSH against a real sshd on loopback.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod sshd;

use std::sync::atomic::{AtomicU64, Ordering};

use bringup_core::text::known_hosts::{HostKey, KnownHosts};
use bringup_core::text::secret::Secret;
use bringup_world::ssh::{Failure, Logins, Route, Session, Upload};
use sshd::Sshd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn logins() -> Logins {
    let mut logins = Logins::of_user("/nonexistent", None, Box::new(|_| None));
    logins.usual_keys.clear();
    logins
}

impl Sshd {
    fn route(&self) -> Route {
        Route {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            user: self.user.clone(),
            names: vec![self.name()],
            known_hosts: Vec::new(),
            key_files: vec![self.file("key")],
            only_key_files: false,
            agent: None,
            via: None,
            password: None,
            become_password: None,
        }
    }

    fn name(&self) -> String {
        format!("[127.0.0.1]:{}", self.port)
    }

    fn known(&self) -> KnownHosts {
        KnownHosts::parse(&format!("{} {}", self.name(), self.host_key()))
    }

    fn host_key(&self) -> HostKey {
        HostKey::parse(&std::fs::read_to_string(self.file("host.pub")).unwrap()).unwrap()
    }

    async fn session(&self) -> Session {
        Session::open(self.route(), &self.known(), &logins()).await.unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn commands_run_many_at_once_over_one_connection() {
    let sshd = Sshd::start("");
    let session = sshd.session().await;
    let runs = (0..24).map(|number| {
        let session = &session;
        async move {
            let script = format!("echo out {number}; echo err >&2; exit {number}");
            let output = session.run("/bin/sh", script.as_bytes()).await.unwrap();
            assert!(text(&output.out).ends_with(&format!("out {number}\n")));
            // A login shell may have said something of its own before.
            assert!(text(&output.err).ends_with("err\n"));
            assert_eq!(output.status, Some(number));
        }
    });
    futures_util::future::join_all(runs).await;
    let long = session.run("/bin/sh", b"head -c 3000000 /dev/zero | tr '\\0' x").await.unwrap();
    assert_eq!(long.out.len(), 3_000_000);
    let endless = session.run("/bin/sh", b"head -c 9000000 /dev/zero").await.unwrap();
    assert_eq!(endless.out.len(), 4 << 20, "what nobody asked for is not kept");
}

#[tokio::test]
async fn nobody_is_trusted_whom_known_hosts_does_not_have() {
    let sshd = Sshd::start("");
    let key = sshd.host_key();
    let open = async |known: &str| {
        let known = KnownHosts::parse(&known.replace("NAME", &sshd.name()));
        Session::open(sshd.route(), &known, &logins()).await.map(|_| ())
    };
    assert!(matches!(open("").await, Err(Failure::UnknownKey(shown)) if shown == key));
    let other = HostKey::ed25519(&[9; 32]);
    assert!(matches!(
        open(&format!("NAME {other}")).await,
        Err(Failure::ChangedKey { shown, recorded }) if shown == key && recorded == [other.clone()]
    ));
    let revoked = open(&format!("NAME {key}\n@revoked * {key}")).await;
    assert!(matches!(revoked, Err(Failure::Contradicted { .. })), "{revoked:?}");
    assert!(open(&format!("NAME {other}\nNAME {key}")).await.is_ok());
}

#[tokio::test]
async fn a_login_says_what_it_tried() {
    let sshd = Sshd::start("");
    let mut route = sshd.route();
    route.key_files = vec![sshd.file("other"), sshd.file("missing")];
    let denied = Session::open(route, &sshd.known(), &logins()).await.err();
    let Some(Failure::Denied { tried, .. }) = denied else { panic!("{denied:?}") };
    assert!(tried[0].ends_with("other: not accepted"), "{tried:?}");
    assert!(tried[1].contains("missing: "), "{tried:?}");
}

#[tokio::test]
async fn a_passphrase_is_asked_for_once() {
    let sshd = Sshd::start("");
    static ASKED: AtomicU64 = AtomicU64::new(0);
    let mut logins = Logins::of_user(
        "/nonexistent",
        None,
        Box::new(|_| {
            ASKED.fetch_add(1, Ordering::SeqCst);
            Some(Secret::new("open sesame"))
        }),
    );
    logins.usual_keys = vec![sshd.file("sealed")];
    for _ in 0..2 {
        let route = Route { key_files: Vec::new(), ..sshd.route() };
        Session::open(route, &sshd.known(), &logins).await.unwrap();
    }
    assert_eq!(ASKED.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_agent_signs() {
    let sshd = Sshd::start("");
    let agent = sshd.agent(&["other", "key"]);
    let route = Route { key_files: Vec::new(), agent: Some(agent.socket.clone()), ..sshd.route() };
    let session = Session::open(route, &sshd.known(), &logins()).await.unwrap();
    assert_eq!(session.run("/bin/sh", b"exit 7").await.unwrap().status, Some(7));
}

#[tokio::test]
async fn a_connection_that_breaks_is_lost_and_a_port_without_sshd_is_odd() {
    let sshd = Sshd::start("");
    let session = sshd.session().await;
    let broken = session.run("/bin/sh", b"kill -9 $(ps -o ppid= -p $$)").await;
    assert!(matches!(broken, Err(Failure::Lost(_))), "{broken:?}");

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });
    let odd = Session::open(Route { port, ..sshd.route() }, &KnownHosts::default(), &logins()).await;
    served.await.unwrap();
    assert!(matches!(odd, Err(Failure::Odd(_) | Failure::Unreachable(_))), "{odd:?}");
    // The listener is gone: nobody is there any more.
    let gone = Session::open(Route { port, ..sshd.route() }, &KnownHosts::default(), &logins()).await;
    assert!(matches!(gone, Err(Failure::Unreachable(_))), "{gone:?}");
    let nowhere = Route { host: "no-such-host.invalid".to_owned(), ..sshd.route() };
    assert!(matches!(Session::open(nowhere, &KnownHosts::default(), &logins()).await, Err(Failure::Unresolved { .. })));
}

#[tokio::test]
async fn a_file_arrives_whole_or_not_at_all() {
    let sshd = Sshd::start("");
    let session = sshd.session().await;
    let bytes: Vec<u8> = (0..5_000_000u32).map(|number| (number % 251) as u8).collect();
    let (from, to) = (sshd.file("from"), sshd.file("it's there"));
    std::fs::write(&from, &bytes).unwrap();
    let sha256 = bringup_core::ids::Sha256::of(&bytes);
    let upload = Upload { from: &from, to: to.to_str().unwrap(), sha256, mode: 0o640 };
    // What an earlier try left of it is gone on with.
    let part = format!("{}.{}.part", to.display(), sha256.short());
    std::fs::write(&part, &bytes[..2_000_000]).unwrap();
    let least = AtomicU64::new(u64::MAX);
    session
        .upload(upload, &|done, _| {
            least.fetch_min(done, Ordering::SeqCst);
        })
        .await
        .unwrap();
    assert_eq!(std::fs::read(&to).unwrap(), bytes);
    assert!(least.into_inner() > 2_000_000);
    assert!(!std::path::Path::new(&part).exists());
    session.upload(upload, &|_, _| {}).await.unwrap();

    // A part with other bytes is found out, and the next try begins anew.
    std::fs::remove_file(&to).unwrap();
    std::fs::write(&part, vec![0; 1000]).unwrap();
    let wrong = session.upload(upload, &|_, _| {}).await;
    assert!(wrong.is_err(), "{wrong:?}");
    assert!(!to.exists());
    session.upload(upload, &|_, _| {}).await.unwrap();
    assert_eq!(std::fs::read(&to).unwrap(), bytes);

    let nowhere = Upload { to: "/nonexistent/there", ..upload };
    assert!(session.upload(nowhere, &|_, _| {}).await.is_err());
}

#[tokio::test]
async fn a_port_of_the_far_side_is_reached() {
    let sshd = Sshd::start("");
    let session = sshd.session().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut word = [0; 4];
        stream.read_exact(&mut word).await.unwrap();
        stream.write_all(&word).await.unwrap();
    });
    let mut stream = session.forward("127.0.0.1", port).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    let mut word = [0; 4];
    stream.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"ping");
    server.await.unwrap();
}

#[tokio::test]
async fn a_jump_host_is_checked_like_any_other() {
    let (jump, sshd) = (Sshd::start(""), Sshd::start(""));
    let both = format!("{} {}\n{} {}\n", jump.name(), jump.host_key(), sshd.name(), sshd.host_key());
    let route = || Route { via: Some(Box::new(jump.route())), ..sshd.route() };
    let session = Session::open(route(), &KnownHosts::parse(&both), &logins()).await.unwrap();
    assert_eq!(session.host_key(), &sshd.host_key());
    assert_eq!(session.run("/bin/sh", b"exit 5").await.unwrap().status, Some(5));
    let refused = Session::open(route(), &sshd.known(), &logins()).await;
    assert!(matches!(&refused, Err(Failure::Jump { said, .. }) if said.contains("127.0.0.1")), "{refused:?}");
}
