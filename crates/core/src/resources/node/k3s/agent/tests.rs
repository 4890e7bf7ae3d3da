use super::*;
use crate::contract::controller::{FetchedSum, File, WebText};
use crate::contract::node::{self, System};
use crate::contract::{Controller, K3sRole, K3sState, KubeNodeState, SystemState};
use crate::ids::Sha256;
use crate::resources::node::k3s::samples::{bare, config, installed, kube, older, trouble, wanted, world};
use crate::resources::scripted::{Fact, RUN, check, converge, fails, file, k3s_state, kube_node, node01};
use crate::text::secret::Secret;

const FETCH: &str = "node01: fetch k3s v1.34.1+k3s1";
const INSTALL: &str = "node01: install k3s v1.34.1+k3s1 as agent";
const REACHED: &str = "wait for https://10.0.0.1:6443 to be reached from node01";
const TOKEN: &str = "wait for the join token of cp";
const DELETE: &str = "cluster: delete Node node01 and its node-password secret";
const UNINSTALL: &str = "node01: uninstall k3s agent";
const UP: &str = "wait for k3s-agent on node01 to be up";
const READY: &str = "wait for Node node01 to be Ready";
const MAY_DELETE: &str = "! delete Node node01 and its node-password secret";
const MAY_UNINSTALL: &str =
    "! uninstall k3s on node01 and delete its data, local volumes included (its configuration and images stay)";

fn cp() -> NodeName {
    NodeName::new("cp")
}

fn agent(stated: bool, force: bool) -> K3sAgent {
    K3sAgent {
        wanted: K3sWanted { force, ..wanted(K3sRole::Agent, stated) },
        control_plane: cp(),
        control_plane_ip: None,
    }
}

/// What the control plane says to who joins it.
fn control_plane() -> [Fact; 4] {
    [
        installed(&cp(), Some(K3sState { version: older(), ..k3s_state(K3sRole::Server) })),
        says!(cp(), Addresses {} => vec!["10.0.0.1".to_owned(), "fd00::1".to_owned()]),
        says!(cp(), JoinToken {} => None, Some(Secret::new("t0ken"))),
        says!(node01(), Reaches { host: "10.0.0.1".to_owned(), port: 6443 } => false, true),
    ]
}

fn silent_node() -> KubeNodeState {
    KubeNodeState { ready: false, ..kube_node() }
}

#[test]
fn a_worker_joins() {
    let joins = &[FETCH, REACHED, TOKEN, INSTALL, UP, READY, "changed"][..];
    let left = "Node: left by an earlier machine → deleted and joined again";
    let gone = "wait for Node node01, whose machine runs no k3s, not to be Ready";
    let bare = || bare(K3sRole::Agent).with(control_plane());
    let add = "k3s: + agent v1.34.1+k3s1";
    for (what, stated, script, plan, run) in [
        ("a stated release", true, bare(), &[add][..], joins),
        // Never another one than that of the control plane.
        (
            "the control plane's release",
            false,
            bare(),
            &["k3s: + agent v1.33.5+k3s1"],
            &[
                "node01: fetch k3s v1.33.5+k3s1",
                REACHED,
                TOKEN,
                "node01: install k3s v1.33.5+k3s1 as agent",
                UP,
                READY,
                "changed",
            ],
        ),
        (
            "a Node is left, and looks Ready for a minute",
            true,
            bare().with([says!(
                Cluster,
                KubeNode { name: node01() } => Some(kube_node()), Some(kube_node()), Some(silent_node())
            )]),
            &[left, add, MAY_DELETE],
            &[FETCH, REACHED, TOKEN, gone, DELETE, INSTALL, UP, READY, "changed"],
        ),
        (
            "another machine has its name",
            true,
            bare().with([kube(Some(kube_node()))]),
            &[left, add, MAY_DELETE],
            &[
                FETCH,
                REACHED,
                TOKEN,
                gone,
                "failed: wait for Node node01, whose machine runs no k3s, not to be Ready on cluster: took too long \
                 (not so after 150 s)",
            ],
        ),
        (
            "the control plane has no address",
            true,
            bare().with([says!(cp(), Addresses {} => Vec::new())]),
            &[add],
            &[FETCH, "again after: find the control plane's address on cp: the name does not resolve"],
        ),
        (
            "the control plane has no token",
            true,
            bare().with([says!(cp(), JoinToken {} => None)]),
            &[add],
            &[FETCH, REACHED, TOKEN, "failed: wait for the join token of cp on cp: took too long (not so after 120 s)"],
        ),
    ] {
        let told = check(what, agent(stated, false), script, plan, run);
        for action in told.done::<NodeName>() {
            if let node::Action::InstallK3s(install) = action {
                let join = install.join.as_ref().map(|join| (join.server.as_str(), join.token.expose()));
                assert_eq!(join, Some(("https://10.0.0.1:6443", "t0ken")), "{what}");
                assert_eq!((install.ours, install.run.as_str()), (true, RUN), "{what}");
            }
        }
    }
}

/// An agent that runs and whose Node is not up, by what its journal says.
#[test]
fn a_worker_that_does_not_join_is_given_what_it_lacks() {
    use StartFailure::{Containerd, DeadServer, NoTokenFile, RefusedPassword, WrongToken};
    let not_ready = "Node: not Ready → Ready";
    let given = |token: Option<&str>| says!(node01(), AgentToken {} => token.map(Secret::new));
    let comes = || {
        let later = KubeNodeState { renewed: Some("later".to_owned()), ..kube_node() };
        says!(
            Cluster,
            KubeNode { name: node01() } => Some(silent_node()), Some(silent_node()), Some(silent_node()), Some(later.clone())
        )
    };
    let runs = || world(K3sRole::Agent).with(control_plane()).with([comes()]);
    let waits = &[UP, READY, "changed"][..];
    let joins = &[REACHED, TOKEN, INSTALL, UP, READY, "changed"][..];
    for (what, script, plan, run) in [
        ("a wrong token", runs().with([trouble(Some(WrongToken))]), &[not_ready][..], joins),
        ("no file with its token", runs().with([trouble(Some(NoTokenFile))]), &[not_ready], joins),
        ("a dead address", runs().with([trouble(Some(DeadServer))]), &[not_ready], joins),
        // Another token does not help it.
        ("containerd", runs().with([trouble(Some(Containerd))]), &[not_ready], waits),
        (
            "a refused password",
            runs()
                .with([trouble(Some(RefusedPassword))])
                .once("delete Node node01 and its node-password secret", [kube(None), comes()]),
            &["Node: registered with another password → deleted and joined again", not_ready, MAY_DELETE],
            &[DELETE, UP, READY, "changed"],
        ),
        (
            "nothing, and it has another token than the control plane",
            runs().with([trouble(None), given(Some("old")), says!(cp(), JoinToken {} => Some(Secret::new("t0ken")))]),
            &[not_ready],
            joins,
        ),
        (
            "nothing, and it has that token",
            runs().with([trouble(None), given(Some("t0ken")), says!(cp(), JoinToken {} => Some(Secret::new("t0ken")))]),
            &[not_ready],
            waits,
        ),
        ("nothing, and we gave it none", runs().with([trouble(None), given(None)]), &[not_ready], waits),
        // A control plane that cannot say what it wants now.
        (
            "nothing, and the control plane is silent",
            runs().with([trouble(None), given(Some("old")), fails(&cp(), JoinToken {}, Cause::Unreachable)]),
            &[not_ready],
            waits,
        ),
        (
            "its file is gone",
            runs().with([kube(Some(kube_node())), config(None)]),
            &["k3s configuration: missing → as the site has it"],
            joins,
        ),
        (
            "its password is gone, and it is to be restarted",
            runs().with([
                kube(Some(kube_node())),
                installed(&node01(), Some(K3sState { has_password: false, stale: true, ..k3s_state(K3sRole::Agent) })),
            ]),
            &[
                "Node: registered with another password → deleted and joined again",
                "k3s-agent: older than its configuration or binary → restarted",
                MAY_DELETE,
            ],
            &[REACHED, TOKEN, DELETE, INSTALL, UP, READY, "changed"],
        ),
        (
            "its password is gone, and it runs",
            runs().with([
                kube(Some(kube_node())),
                installed(&node01(), Some(K3sState { has_password: false, ..k3s_state(K3sRole::Agent) })),
            ]),
            &["in sync"],
            &["in sync"],
        ),
    ] {
        check(what, agent(true, false), script, plan, run);
    }
}

#[test]
fn a_worker_that_is_forced_loses_nothing_before_it_can_join() {
    let plan = [
        "Node: registered with another password → deleted and joined again",
        "k3s: installed → installed anew (k3s_force)",
        MAY_UNINSTALL,
        MAY_DELETE,
    ];
    let runs = || world(K3sRole::Agent).with(control_plane());
    let run = [FETCH, REACHED, TOKEN, UNINSTALL, DELETE, INSTALL, UP, READY, "changed"];
    let told = check("forced", agent(true, true), runs(), &plan, &run);
    let kept = told.done::<NodeName>().into_iter().find_map(|action| match action {
        node::Action::UninstallK3s(uninstall) => Some(uninstall.keep.0.clone()),
        _ => None,
    });
    assert_eq!(kept, Some(vec!["/etc/rancher/node".to_owned()]));
    let mine = K3sState { run: Some(RUN.to_owned()), ..k3s_state(K3sRole::Agent) };
    let script = runs().with([installed(&node01(), Some(mine))]);
    check("forced by this run", agent(true, true), script, &["in sync"], &["in sync"]);
    let script = runs().with([says!(node01(), Reaches { host: "10.0.0.1".to_owned(), port: 6443 } => false)]);
    let failed = "failed: wait for https://10.0.0.1:6443 to be reached from node01 on node01: took too long \
                  (not so after 120 s)";
    check("not reached", agent(true, true), script, &plan, &[FETCH, REACHED, failed]);
}

/// What is handed over is fetched once, and only with a published sum.
#[test]
fn what_the_controller_hands_over_was_checked() {
    const BINARY: &str = "https://a.example/download/v1.34.1%2Bk3s1/k3s-arm64";
    const IMAGES: &str = "https://a.example/download/v1.34.1%2Bk3s1/k3s-airgap-images-arm64.tar.zst";
    let source = Sha256::of("https://a.example").short();
    let kept = |what: &str| format!("/cache/k3s-v1.34.1+k3s1-arm64-{source}-{what}");
    let (binary, images) = (kept("binary"), kept("images.tar.zst"));
    let sums =
        format!("{}  k3s-arm64\n{}  k3s-airgap-images-arm64.tar.zst\n", Sha256::of("binary"), Sha256::of("images"));
    let there = |path: &str, text: Option<&str>| says!(Controller, File { path: path.to_owned() } => text.map(|text| file(text, 0o644)));
    let recorded = |path: &str, url: &str, text: &str| {
        let question = FetchedSum { path: path.to_owned(), url: url.to_owned() };
        says!(Controller, question => Some(Sha256::of(text)))
    };
    let system = |architecture: &str| {
        let state = SystemState {
            hostname: "node01".to_owned(),
            os: "Ubuntu 24.04".to_owned(),
            architecture: architecture.to_owned(),
        };
        says!(node01(), System {} => state.clone())
    };
    let list = || {
        let url = "https://a.example/download/v1.34.1%2Bk3s1/sha256sum-arm64.txt".to_owned();
        says!(Controller, WebText { url } => sums.clone())
    };
    let world = || bare(K3sRole::Agent).with(control_plane()).with([system("arm64")]);
    let fetch = |url: &str, path: &str| format!("controller: fetch {url} to {path}");
    let (fetch_binary, fetch_images) = (fetch(BINARY, &binary), fetch(IMAGES, &images));
    let hand = "node01: hand over k3s v1.34.1+k3s1";
    let (take, release) = ("take controller/k3s-artifacts-arm64", "release controller/k3s-artifacts-arm64");
    let rest = [hand, REACHED, TOKEN, INSTALL, UP, READY, "changed"];
    let pinned = vec![Sha256::of(&sums)];
    for (what, pins, facts, run) in [
        (
            "nothing there",
            vec![],
            vec![there(&binary, None), there(&images, None), list()],
            [&[take, fetch_binary.as_str(), &fetch_images, release], &rest[..]].concat(),
        ),
        (
            "fetched before",
            vec![],
            vec![
                there(&binary, Some("binary")),
                recorded(&binary, BINARY, "binary"),
                there(&images, Some("images")),
                recorded(&images, IMAGES, "images"),
            ],
            [&[take, release], &rest[..]].concat(),
        ),
        (
            "one changed since",
            vec![],
            vec![
                there(&binary, Some("other")),
                recorded(&binary, BINARY, "binary"),
                there(&images, Some("images")),
                recorded(&images, IMAGES, "images"),
                list(),
            ],
            [&[take, fetch_binary.as_str(), release], &rest[..]].concat(),
        ),
        // The list is what is pinned: it is read again.
        (
            "pinned, and there",
            pinned,
            vec![there(&binary, Some("binary")), there(&images, Some("images")), list()],
            [&[take, release], &rest[..]].concat(),
        ),
    ] {
        let mut wanted = agent(true, false);
        (wanted.wanted.handed, wanted.wanted.releases.sums) = (true, pins);
        let told = check(what, wanted, world().with(facts), &["k3s: + agent v1.34.1+k3s1"], &run);
        let names = told.done::<NodeName>().into_iter().find_map(|action| match action {
            node::Action::InstallK3s(install) => install.images_name.clone(),
            _ => None,
        });
        assert_eq!(names.as_deref(), Some("k3s-airgap-images-arm64.tar.zst"), "{what}");
    }
    // Another list than the pinned one, and a machine that no release is for.
    let mut wanted = agent(true, false);
    (wanted.wanted.handed, wanted.wanted.releases.sums) = (true, vec![Sha256::of("another list")]);
    let script = world().with([there(&binary, None), list()]);
    let told = converge("another list", wanted, script);
    let last = told.run.last().unwrap();
    assert!(last.starts_with("failed: check https://a.example/download/v1.34.1%2Bk3s1/sha256sum-arm64.txt"), "{last}");
    let mut wanted = agent(true, false);
    wanted.wanted.handed = true;
    let told = converge("another machine", wanted, world().with([system("riscv64")]));
    let failed = "failed: choose the k3s that suits its processor on node01: failed \
                  (its architecture is riscv64; what can be handed over is amd64 and arm64)";
    assert_eq!(told.run, [failed]);
}
