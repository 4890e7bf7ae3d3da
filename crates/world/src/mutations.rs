//! Recordings with mistakes in them, the same ones each time. Whoever reads what a machine says has to bear them: an error
//! is fine, a panic or a wait is not.

use bringup_core::text::document::Document;
use bringup_core::text::k3s_config::{self, Setting};
use bringup_core::text::k3s_journal;
use bringup_core::text::known_hosts::KnownHosts;
use bringup_core::text::kubeconfig::ClusterAccess;

/// What is put where it does not belong.
const PIECES: [&[u8]; 14] = [
    b"",
    b"\0",
    b"\n",
    b"\n\n\n",
    b"../../../",
    b"-1",
    b"18446744073709551616",
    b"9999999999999999999999999999",
    b"\"",
    b"{{{{[[[[",
    b"\x1b[2J",
    b"\xff\xfe",
    "\u{202e}\u{200b}".as_bytes(),
    b": &a [*a, *a]\n- - - - ",
];

/// So many variants of a text.
pub(crate) fn of(original: &[u8], variants: u64) -> impl Iterator<Item = Vec<u8>> {
    (0..variants).map(move |seed| {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = original.to_vec();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(0..=bytes.len());
            let end = random.usize(at..=bytes.len());
            match random.u8(0..5) {
                0 => bytes.truncate(at),
                1 => drop(bytes.drain(at..end)),
                2 => {
                    let again = bytes[at..end].to_vec();
                    bytes.splice(at..at, again);
                }
                3 => drop(bytes.splice(at..at, PIECES[random.usize(0..PIECES.len())].iter().copied())),
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << random.u8(0..8);
                    }
                }
            }
        }
        bytes
    })
}

/// The same, as text.
pub(crate) fn of_text(original: &str, variants: u64) -> impl Iterator<Item = String> {
    of(original.as_bytes(), variants).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[test]
fn files_of_a_target_are_read_or_refused() {
    let authority = crate::cluster::tests::rig::Authority::new("kubernetes");
    let user = authority.sign("system:admin", "system:masters", &[], 4000);
    let kubeconfig = crate::cluster::tests::rig::kubeconfig("https://127.0.0.1:6443", &authority.pem, &user);
    let config =
        "token: 'abc'\ndisable:\n- traefik\nkubelet-arg: [max-pods=99, \"v=1\"]\nnode-label: &l {a: b}\nx: *l\n";
    let wanted = [("cluster-init", Setting::Yes), ("tls-san", Setting::List(vec!["node01.lan".to_owned()]))];
    let known_hosts = "node01.lan,10.0.0.1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ\n\
                       |1|0t8jBbTZ1kxqQLUVPFp7mwMxYxA=|2NbFjwGqG0hEmNSzQjEJcAvZ4lE= ssh-rsa AAAA\n@revoked * ssh-rsa AAAA\n";
    let journal = "time=\"2026-01-01T00:00:00Z\" level=error msg=\"Failed to validate connection to cluster at https://10.0.0.1:6443\"";
    let (mut read, mut refused) = (0, 0);
    let mut count = |good: bool| if good { read += 1 } else { refused += 1 };
    for text in of_text(kubeconfig.expose(), 1000) {
        count(ClusterAccess::parse(&text).is_ok());
    }
    for text in of_text(config, 2000) {
        count(Document::of_target(&text).is_ok());
        count(k3s_config::merge(&text, &wanted).is_ok());
    }
    for text in of_text(known_hosts, 2000) {
        let known = KnownHosts::parse(&text);
        count(known.keys_for("node01.lan").is_empty());
        assert_eq!(known.render(), text, "what is not ours stays as it is");
    }
    for text in of_text(journal, 500) {
        count(k3s_journal::StartFailure::of(&text).is_some());
    }
    assert!(read > 100 && refused > 100, "{read} read, {refused} refused: the mistakes are too few, or too bad");
}
