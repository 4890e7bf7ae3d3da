#![allow(clippy::cloned_ref_to_slice_refs, reason = "a row lists its keys alike, whether one or several")]

use super::*;
use crate::contract::bmc::FlashMark;
use crate::contract::{FlashMarkState, FlashPhase, controller};
use crate::ids::Sha256;
use crate::resources::scripted::{Fact, Script, check, converge, fails, node01};
use crate::run::hazard::Liveness;

#[test]
fn a_key_is_stale_by_its_kind_or_with_its_host() {
    let key = |kind: &str, word: &str| HostKey { kind: kind.to_owned(), base64: word.to_owned() };
    let (ed, new_ed, rsa) = (key("ssh-ed25519", "a"), key("ssh-ed25519", "b"), key("ssh-rsa", "c"));
    for (recorded, shown, stale) in [
        (vec![&ed, &rsa], &ed, vec![]),
        (vec![&ed, &new_ed, &rsa], &new_ed, vec![&ed]),
        (vec![&ed, &rsa], &new_ed, vec![&ed, &rsa]),
        (vec![&rsa], &ed, vec![&rsa]),
        (vec![], &ed, vec![]),
    ] {
        let recorded: Vec<HostKey> = recorded.into_iter().cloned().collect();
        let shown = [shown.clone()];
        let found: Vec<&HostKey> = recorded.iter().filter(|key| is_stale(key, &recorded, &shown)).collect();
        assert_eq!(found, stale, "{recorded:?} {shown:?}");
    }
}

const FILE: &str = "/home/me/.ssh/known_hosts";
const KEEP: &[&str] = &["in sync"];

fn key(number: u8) -> HostKey {
    HostKey::ed25519(&[number; 32])
}

/// The same bytes as a key of another kind.
fn rsa() -> HostKey {
    HostKey { kind: "ssh-rsa".to_owned(), base64: key(9).base64 }
}

fn resource() -> KnownHost {
    KnownHost {
        leads_to_cluster: false,
        owner: Host::Node(node01()),
        host: "node01".to_owned(),
        port: 22,
        file: FILE.to_owned(),
        pinned: Vec::new(),
        made_at: None,
        accept_changed: false,
    }
}

fn shown(keys: &[HostKey]) -> Fact {
    says!(node01(), node::HostKeys {} => keys.to_vec())
}

fn recorded(of_name: &[HostKey], of_address: &[HostKey]) -> Fact {
    let names = ["node01", "10.0.0.1"].map(str::to_owned);
    let keys = [(names[0].clone(), of_name.to_vec()), (names[1].clone(), of_address.to_vec())];
    let state = KnownHostsState { keys: keys.into(), version: "seen".to_owned() };
    says!(Controller, KnownHostLines { path: FILE.to_owned(), names: names.to_vec() } => state.clone())
}

fn board() -> BoardName {
    BoardName::new("board1")
}

/// What the BMC says of the key that was made for a node.
fn made(node: &str, key: HostKey) -> Fact {
    let mark = FlashMarkState {
        node: NodeName::new(node),
        phase: FlashPhase::Booting,
        was: Liveness::Idle,
        image_sha256: Sha256::of("image"),
        instance_id: "order".to_owned(),
        host_key: Some(key),
        run: "run1".to_owned(),
    };
    says!(board(), FlashMark { slot: Slot::new(1).unwrap() } => Some(mark.clone()))
}

#[test]
fn a_key_is_recorded_by_who_vouches_for_it() {
    let (k1, k2) = (key(1).fingerprint(), key(2).fingerprint());
    let both = |from: Option<&str>, to: &str| {
        ["node01", "10.0.0.1"].map(|name| match from {
            Some(from) => format!("host key of {name}: {from} → {to}"),
            None => format!("host key of {name}: + {to}"),
        })
    };
    let trust = |key: &str| format!("! trust node01, which shows the host key {key}");
    let pinned = |to: &str| KnownHost { pinned: vec![to.to_owned()], ..resource() };
    let flashed = || KnownHost { made_at: Some((board(), Slot::new(1).unwrap())), ..resource() };
    let accepting = || KnownHost { accept_changed: true, ..resource() };
    let changed = |name: &str| {
        vec![format!("blocked: the host key of node01 changed: known_hosts has {k2} for {name}, it shows {k1}")]
    };
    let in_sync = || vec!["in sync".to_owned()];
    let with = |lines: [String; 2], more: Option<String>| lines.into_iter().chain(more).collect::<Vec<_>>();
    let (one, other) = (key(1), key(2));
    for (what, resource, known, answers, plan) in [
        ("new", resource(), recorded(&[], &[]), vec![], with(both(None, &k1), Some(trust(&k1)))),
        ("new, and pinned", pinned(&k1), recorded(&[], &[]), vec![], both(None, &k1).into()),
        (
            "new, and made for it",
            flashed(),
            recorded(&[], &[]),
            vec![made("node01", one.clone())],
            both(None, &k1).into(),
        ),
        (
            "new, and made for another",
            flashed(),
            recorded(&[], &[]),
            vec![made("node09", one.clone())],
            with(both(None, &k1), Some(trust(&k1))),
        ),
        ("known", resource(), recorded(&[one.clone()], &[one.clone()]), vec![], in_sync()),
        (
            "known by its name",
            resource(),
            recorded(&[one.clone()], &[]),
            vec![],
            vec![format!("host key of 10.0.0.1: + {k1}")],
        ),
        // Its address was another machine's before.
        (
            "known by its name, its address for another",
            resource(),
            recorded(&[one.clone()], &[other.clone()]),
            vec![],
            vec![format!("host key of 10.0.0.1: {k2} → {k1}")],
        ),
        ("changed", resource(), recorded(&[other.clone()], &[other.clone()]), vec![], changed("node01")),
        ("changed, known by its address", resource(), recorded(&[], &[other.clone()]), vec![], changed("10.0.0.1")),
        (
            "changed, and accepted",
            accepting(),
            recorded(&[other.clone()], &[other.clone()]),
            vec![],
            with(both(Some(&k2), &k1), Some(trust(&k1))),
        ),
        (
            "changed, and pinned",
            pinned(&k1),
            recorded(&[other.clone()], &[other.clone()]),
            vec![],
            both(Some(&k2), &k1).into(),
        ),
        (
            "changed, and made for it",
            flashed(),
            recorded(&[other.clone()], &[other.clone()]),
            vec![made("node01", one.clone())],
            both(Some(&k2), &k1).into(),
        ),
        (
            "changed, and the BMC is silent",
            flashed(),
            recorded(&[other.clone()], &[other.clone()]),
            vec![fails(&board(), FlashMark { slot: Slot::new(1).unwrap() }, Cause::Unreachable)],
            changed("node01"),
        ),
        // A pin stands above what was recorded, and above a wish to accept.
        (
            "known, and another is pinned",
            KnownHost { accept_changed: true, ..pinned(&k2) },
            recorded(&[one.clone()], &[one.clone()]),
            vec![],
            vec![format!("blocked: node01 shows {k1}; the site pins {k2}")],
        ),
        (
            "one of another kind is known",
            resource(),
            recorded(&[rsa()], &[rsa()]),
            vec![],
            vec![format!(
                "blocked: the host key of node01 changed: known_hosts has {} for node01, it shows {k1}",
                rsa().fingerprint()
            )],
        ),
        (
            "known, with one of another kind",
            resource(),
            recorded(&[one.clone(), rsa()], &[one.clone(), rsa()]),
            vec![],
            in_sync(),
        ),
        (
            "it shows none",
            resource(),
            recorded(&[one.clone()], &[]),
            vec![shown(&[])],
            vec!["blocked: node01 shows no host key".to_owned()],
        ),
    ] {
        let script =
            Script::new([shown(&[one.clone()]), says!(node01(), node::Addresses {} => vec!["10.0.0.1".to_owned()])])
                .with([known])
                .with(answers)
                .once("record the host keys of 10.0.0.1, node01", [recorded(&[one.clone()], &[one.clone()])])
                .once("record the host keys of 10.0.0.1", [recorded(&[one.clone()], &[one.clone()])]);
        let plan: Vec<&str> = plan.iter().map(String::as_str).collect();
        let record = match plan[0] {
            line if line.starts_with("host key of node01") => "controller: record the host keys of 10.0.0.1, node01",
            _ => "controller: record the host keys of 10.0.0.1",
        };
        let (take, release) = ("take controller/known_hosts", "release controller/known_hosts");
        let writes = [take, record, release, "changed"];
        let run: &[&str] = match plan[0] {
            "in sync" => KEEP,
            line if line.starts_with("blocked") => &plan,
            _ => &writes,
        };
        let told = check(what, resource, script, &plan, run);
        for action in told.done::<Controller>() {
            let controller::Action::EditKnownHosts(edit) = action else { panic!("{what}: {action}") };
            assert_eq!(edit.expect.as_deref(), Some("seen"), "{what}");
            assert!(edit.add.iter().all(|(_, key)| *key == one), "{what}");
        }
    }
}

#[test]
fn a_host_that_nobody_reaches_is_told() {
    let told = |cause, words: &str| (cause, format!("see its host key on node01: {words}"));
    for (cause, said) in [told(Cause::Unasked, "could not be asked"), told(Cause::Unreachable, "no answer")] {
        let script = Script::new([fails(&node01(), node::HostKeys {}, cause)]);
        let plan = format!("unreachable: {said}");
        check("silent", resource(), script, &[&plan], &[&format!("again after: {said}")]);
    }
}

/// Another program wrote the file between the look and the write.
#[test]
fn a_file_that_changes_is_looked_at_again() {
    let script = Script::new([
        shown(&[key(1)]),
        says!(node01(), node::Addresses {} => vec!["10.0.0.1".to_owned()]),
        recorded(&[], &[]),
    ])
    .refuse("record the host keys of 10.0.0.1, node01", Cause::Stale);
    let told = converge("it changes for ever", resource(), script);
    let record = "controller: record the host keys of 10.0.0.1, node01";
    let mut run = vec!["take controller/known_hosts"];
    run.extend([record; 6]);
    run.extend([
        "release controller/known_hosts",
        "again after: record the host keys of 10.0.0.1, node01 on controller: changed meanwhile",
    ]);
    assert_eq!(told.run, run);
}
