use super::*;
use crate::contract::controller;
use crate::ids::Sha256;
use crate::resources::scripted::{Fact, RUN, Script, check, fails, file, k3s_state, node01};

fn keys() -> SealedKeysState {
    SealedKeysState { names: ["kube-system/key".to_owned()].into(), sha256: Sha256::of("keys") }
}

#[test]
fn keys_are_kept_or_given_up_with_leave() {
    for (what, recipients, seen, changes, hazards) in [
        ("none", vec![], Kept::NothingToLose, false, 0),
        ("nobody to keep them for", vec![], Kept::Keys(keys()), true, 1),
        ("kept", vec!["age1x".to_owned()], Kept::Keys(keys()), true, 0),
        ("a dead cluster", vec!["age1x".to_owned()], Kept::Unread, true, 1),
        ("kept before", vec![], Kept::SeenTo, false, 0),
    ] {
        let resource =
            SealedKeysKept { control_plane: NodeName::new("node01"), directory: "/kept".to_owned(), recipients };
        assert_eq!(resource.diff(&seen).changes(), changes, "{what}");
        assert_eq!(resource.hazards(Some(&seen)).len(), hazards, "{what}");
    }
}

#[test]
fn keys_come_back_where_they_can_be_read() {
    let backup = SealedKeysBackupState { path: "/kept/x.age".to_owned(), names: keys().names };
    let missing = || Missing { backup: Some(backup.clone()), names: keys().names };
    let none = Missing { backup: None, names: BTreeSet::new() };
    let with = |identity: Option<&str>| SealedKeysRestored {
        directory: "/kept".to_owned(),
        identity: identity.map(str::to_owned),
    };
    assert!(with(Some("/id")).diff(&missing()).changes());
    assert!(matches!(with(None).diff(&missing()), Diff::Blocked(_)));
    assert_eq!(with(None).diff(&none), Diff::InSync);
}

#[test]
fn keys_are_safe_before_k3s_goes() {
    let resource = |recipients: &[&str]| SealedKeysKept {
        control_plane: node01(),
        directory: "/kept".to_owned(),
        recipients: recipients.iter().map(|&one| one.to_owned()).collect(),
    };
    let k3s = |run: Option<&str>| {
        let state = run.map(|run| crate::contract::K3sState {
            run: Some(run.to_owned()),
            ..k3s_state(crate::contract::K3sRole::Server)
        });
        says!(node01(), K3s {} => state)
    };
    let has = |keys: SealedKeysState| says!(Cluster, SealedSecretsKeys {} => keys.clone());
    let silent = |cause| fails(&Cluster, SealedSecretsKeys {}, cause);
    let there = |path: &str, there: bool| -> Fact {
        says!(Controller, File { path: path.to_owned() } => there.then(|| file("x", 0o600)))
    };
    let backup = format!("/kept/{}", keys().file());
    let note = format!("/kept/sealed-secrets-keys-{}.given-up", keys().sha256.short());
    let run_note = format!("/kept/sealed-secrets-keys-{RUN}.given-up");
    let same = &["in sync"][..];
    let only = "sealed-secrets' keys: in the cluster only →";
    let (kept, nobody, unread) = (
        format!("{only} kept in {backup}"),
        format!("{only} given up: sealed_secrets_recipients names nobody"),
        format!("{only} given up: the cluster does not answer"),
    );
    let lose = "! lose sealed-secrets' keys, of which nobody has a copy: kube-system/key";
    let lose_unread = "! lose sealed-secrets' keys, if there are any: the cluster does not answer";
    let (make, write_note, write_run_note) = (
        "controller: make directory /kept",
        format!("controller: write {note}"),
        format!("controller: write {run_note}"),
    );
    let me = &["age1x"][..];
    for (what, recipients, facts, plan, run) in [
        ("no k3s", me, vec![k3s(None)], same, same),
        // It was reinstalled: what the cluster has now are its own keys.
        ("k3s of this run", me, vec![k3s(Some(RUN))], same, same),
        ("no keys", me, vec![k3s(Some("run1")), has(SealedKeysState::none())], same, same),
        ("kept before", me, vec![k3s(Some("run1")), has(keys()), there(&backup, true)], same, same),
        (
            "not kept",
            me,
            vec![k3s(Some("run1")), has(keys()), there(&backup, false)],
            &[kept.as_str()][..],
            &["cluster: back sealed-secrets' keys up to /kept", "changed"][..],
        ),
        (
            "nobody to keep them for",
            &[],
            vec![k3s(Some("run1")), has(keys()), there(&note, false)],
            &[&nobody, lose],
            &[make, &write_note, "changed"],
        ),
        ("given up before", &[], vec![k3s(Some("run1")), has(keys()), there(&note, true)], same, same),
        (
            "the cluster is silent",
            me,
            vec![k3s(Some("run1")), silent(Cause::Unreachable), there(&run_note, false)],
            &[&unread, lose_unread],
            &[make, &write_run_note, "changed"],
        ),
        (
            "the cluster is silent, and that was approved",
            me,
            vec![k3s(Some("run1")), silent(Cause::Silent), there(&run_note, true)],
            same,
            same,
        ),
        (
            "the cluster refuses",
            me,
            vec![k3s(Some("run1")), silent(Cause::Refused)],
            &["unreachable: read the keys of sealed-secrets on cluster: refused"],
            &["failed: read the keys of sealed-secrets on cluster: refused"],
        ),
    ] {
        let script = Script::new(facts)
            .once("back sealed-secrets' keys up to /kept", [there(&backup, true)])
            .once(&format!("write {note}"), [there(&note, true)])
            .once(&format!("write {run_note}"), [there(&run_note, true)]);
        let told = check(what, resource(recipients), script, plan, run);
        for action in told.done::<Controller>() {
            if let controller::Action::WriteFile(write) = action {
                assert_eq!(write.mode, 0o600, "{what}");
            }
        }
    }
}

#[test]
fn keys_come_back_before_what_reads_them() {
    let resource = |identity: Option<&str>| SealedKeysRestored {
        directory: "/kept".to_owned(),
        identity: identity.map(str::to_owned),
    };
    let backup = |names: &[&str]| {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        let state = SealedKeysBackupState { path: "/kept/x.age".to_owned(), names };
        says!(Controller, SealedKeysBackup { directory: "/kept".to_owned() } => Some(state.clone()))
    };
    let none = says!(Controller, SealedKeysBackup { directory: "/kept".to_owned() } => None);
    let has = |names: &[&str]| {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        says!(Cluster, SealedSecretsKeys {} => SealedKeysState { names, sha256: Sha256::of("keys") })
    };
    let same = &["in sync"][..];
    let lacks = "blocked: /kept/x.age has keys of sealed-secrets that the cluster lacks: ns/b";
    for (what, identity, facts, plan, run) in [
        // The cluster is not asked for what nobody has.
        ("no backup", Some("/id"), vec![none], same, same),
        ("all there, and newer ones", None, vec![backup(&["ns/a"]), has(&["ns/a", "ns/b"])], same, same),
        (
            "some missing",
            Some("/id"),
            vec![backup(&["ns/a", "ns/b"]), has(&["ns/a"])],
            &["Secret ns/b: + put back"][..],
            &["cluster: put sealed-secrets' keys back from /kept/x.age", "changed"][..],
        ),
        ("nobody can read them", None, vec![backup(&["ns/a", "ns/b"]), has(&["ns/a"])], &[lacks], &[lacks]),
    ] {
        let words = "put sealed-secrets' keys back from /kept/x.age";
        check(what, resource(identity), Script::new(facts).once(words, [has(&["ns/a", "ns/b"])]), plan, run);
    }
}
