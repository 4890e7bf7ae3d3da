use super::*;
use crate::contract::cluster::KubeNode;
use crate::contract::node::{self, K3s};
use crate::contract::{Cluster, K3sRole, K3sState, KubeNodeState};
use crate::ids::NodeName;
use crate::resources::node::k3s::samples::{
    bare, before, config, config_with, installed, kube, named, older, renewed, wanted, world,
};
use crate::resources::scripted::{Fact, RUN, Script, check, fails, k3s_state, kube_node, node01};
use crate::run::fault::Cause;
use crate::version::Version;

const FETCH: &str = "node01: fetch k3s v1.34.1+k3s1";
const INSTALL: &str = "node01: install k3s v1.34.1+k3s1 as server";
const UP: &str = "wait for k3s on node01 to be up";
const READY: &str = "wait for Node node01 to be Ready";
const IN_SYNC: &[&str] = &["in sync"];

fn server(stated: bool) -> K3sServer {
    K3sServer { wanted: wanted(K3sRole::Server, stated) }
}

fn server_world() -> Script {
    world(K3sRole::Server)
}

/// The state of a k3s that runs, but for what is odd about it.
fn is(odd: impl Fn(&mut K3sState)) -> Script {
    let mut state = k3s_state(K3sRole::Server);
    odd(&mut state);
    server_world().with([installed(&node01(), Some(state))])
}

#[test]
fn a_server_is_installed_where_none_is() {
    let bare = || bare(K3sRole::Server);
    let plan = &["k3s: + server v1.34.1+k3s1"][..];
    let install = &[FETCH, INSTALL, UP, READY, "changed"][..];
    let twice = "blocked: node01 has no k3s, but the cluster has a Ready Node of that name";
    let silent = KubeNodeState { ready: false, ..kube_node() };
    let broken = "blocked: /etc/rancher/k3s/config.yaml on node01 cannot take our settings: \
                  expected settings in the form `name: value`";
    for (what, stated, script, plan, run) in [
        ("none", false, bare(), plan, install),
        ("another machine has its name", false, bare().with([kube(Some(kube_node()))]), &[twice], &[twice]),
        ("a Node is left", false, bare().with([kube(Some(silent))]), plan, install),
        // An earlier run uninstalled it, and its Node looks Ready for a minute.
        (
            "taken away by us",
            false,
            bare().with([before(Some(older())), kube(Some(kube_node()))]),
            &["k3s: + server v1.33.5+k3s1"],
            &["node01: fetch k3s v1.33.5+k3s1", "node01: install k3s v1.33.5+k3s1 as server", UP, READY, "changed"],
        ),
        ("taken away by us, another stated", true, bare().with([before(Some(older()))]), plan, install),
        ("nobody answers for the cluster", false, bare().with([unreachable(Cause::Unreachable)]), plan, install),
        (
            "the cluster refuses",
            false,
            bare().with([unreachable(Cause::Refused)]),
            &["unreachable: read Node node01 on cluster: refused"],
            &["failed: read Node node01 on cluster: refused"],
        ),
        ("a file that takes no settings", false, bare().with([config(Some("- a\n"))]), &[broken], &[broken]),
    ] {
        check(what, server(stated), script, plan, run);
    }
}

fn unreachable(cause: Cause) -> Fact {
    fails(&Cluster, KubeNode { name: node01() }, cause)
}

#[test]
fn what_is_installed_is_brought_to_what_the_site_says() {
    let theirs = |version: Version| {
        is(move |state| (state.ours, state.stale, state.run, state.version) = (false, true, None, version.clone()))
            .with([config(Some("token: x\n"))])
    };
    let newer = Version::of_k3s(1, 35, 0, 1);
    let version = "k3s version: v1.33.5+k3s1 → v1.34.1+k3s1";
    let back = "blocked: node01 runs k3s v1.35.0+k3s1, the site states the older v1.34.1+k3s1";
    let role = "blocked: node01 runs k3s as agent, the site wants it as server";
    let (upgrade, restart) = (&[FETCH, INSTALL, UP, READY, "changed"][..], &[INSTALL, UP, READY, "changed"][..]);
    for (what, stated, script, plan, run) in [
        ("as it should be", true, server_world(), IN_SYNC, IN_SYNC),
        ("older, and none stated", false, is(|state| state.version = older()), IN_SYNC, IN_SYNC),
        ("older than stated", true, is(|state| state.version = older()), &[version], upgrade),
        ("newer than stated", true, is(|state| state.version = newer.clone()), &[back], &[back]),
        ("newer, and none stated", false, is(|state| state.version = newer.clone()), IN_SYNC, IN_SYNC),
        ("in the other role", true, is(|state| state.role = K3sRole::Agent), &[role], &[role]),
        // What others configured is theirs, but for the version.
        ("of others, stale", true, theirs(named()), IN_SYNC, IN_SYNC),
        (
            "another configuration",
            true,
            server_world().with([config(Some(&config_with("").replace("10.0.0.1", "10.0.0.2")))]),
            &["k3s configuration: another → as the site has it"],
            restart,
        ),
        (
            "the user's own value",
            true,
            server_world().with([config(Some(&config_with("node-ip: 10.0.0.9\n")))]),
            &["note: K3sConfigurationKept", "in sync"],
            IN_SYNC,
        ),
        // What else was in it nobody knows: where its data is, among others.
        (
            "its configuration is gone",
            true,
            server_world().with([config(None)]),
            &["note: K3sConfigurationMissing", "in sync"],
            IN_SYNC,
        ),
        (
            "its installation was cut off",
            true,
            is(|state| state.run = None),
            &["k3s installation: begun by an earlier run → ended"],
            restart,
        ),
        (
            "older than its configuration",
            true,
            is(|state| state.stale = true),
            &["k3s: older than its configuration or binary → restarted"],
            restart,
        ),
        (
            "stopped",
            true,
            is(|state| (state.active, state.started) = (false, false)),
            &["k3s: not running → running"],
            &["node01: start k3s", UP, READY, "changed"],
        ),
        (
            "starting",
            true,
            server_world().with([says_starting(), renewed()]),
            &["k3s: starting → running"],
            &[UP, READY, "changed"],
        ),
    ] {
        check(what, server(stated), script, plan, run);
    }
    // The configuration of others stays as it is, and so does what it was started with.
    let script = theirs(older()).once(
        "install k3s v1.34.1+k3s1 as server",
        [installed(&node01(), Some(K3sState { ours: false, ..k3s_state(K3sRole::Server) })), renewed()],
    );
    let told = check("of others, older than stated", server(true), script, &[version], upgrade);
    let [_, node::Action::InstallK3s(install)] = told.done::<NodeName>()[..] else { panic!("two actions") };
    assert_eq!((install.config.expose(), install.ours, install.run.as_str()), ("token: x\n", false, RUN));
}

fn says_starting() -> Fact {
    let starting = K3sState { started: false, ..k3s_state(K3sRole::Server) };
    says!(node01(), K3s {} => Some(starting.clone()), Some(starting.clone()), Some(k3s_state(K3sRole::Server)))
}

/// Ready is what a Node is for a while after its kubelet went: only a renewed Lease counts.
#[test]
fn a_node_is_waited_for_until_its_kubelet_was_heard_again() {
    let silent = |odd: fn(&mut KubeNodeState)| {
        let mut state = kube_node();
        odd(&mut state);
        state
    };
    for (what, first, plan) in [
        ("not in the cluster", None, "Node: not in the cluster → Ready"),
        ("not Ready", Some(silent(|kube| kube.ready = false)), "Node: not Ready → Ready"),
        ("Ready, and gone", Some(silent(|kube| kube.renews = false)), "Node: not Ready → Ready"),
    ] {
        let later = KubeNodeState { renewed: Some("later".to_owned()), ..kube_node() };
        let comes = says!(Cluster, KubeNode { name: node01() } => first.clone(), first.clone(), first.clone(), Some(later.clone()));
        check(what, server(true), server_world().with([comes]), &[plan], &[UP, READY, "changed"]);
    }
}

#[test]
fn a_server_that_is_forced_leaves_a_snapshot_first_and_once() {
    let forced = || K3sServer { wanted: K3sWanted { force: true, ..wanted(K3sRole::Server, true) } };
    let snapshot = "node01: bring a snapshot of the datastore to the controller";
    let uninstall = "node01: uninstall k3s server";
    let plan = [
        "k3s: installed → installed anew (k3s_force)",
        "! uninstall k3s on node01 and delete its data, local volumes included (its configuration and images stay)",
    ];
    let run = [FETCH, snapshot, uninstall, INSTALL, UP, READY, "changed"];
    check("forced", forced(), server_world(), &plan, &run);
    check("forced by this run", forced(), is(|state| state.run = Some(RUN.to_owned())), IN_SYNC, IN_SYNC);
    let none = ["k3s: + server v1.34.1+k3s1"];
    check("none", forced(), bare(K3sRole::Server), &none, &[FETCH, INSTALL, UP, READY, "changed"]);
    // Nothing is taken away before what comes in its place, and a way back, is there.
    let lost = |words: &str, cause| server_world().refuse(words, cause);
    let failed = "failed: fetch k3s v1.34.1+k3s1 on node01: not what was expected";
    let script = lost("fetch k3s v1.34.1+k3s1", Cause::Mismatch);
    check("it cannot be fetched", forced(), script, &plan, &[FETCH, failed]);
    let failed = "failed: bring a snapshot of the datastore to the controller on node01: failed";
    let script = lost("bring a snapshot of the datastore to the controller", Cause::Failed);
    check("no snapshot", forced(), script, &plan, &[FETCH, snapshot, failed]);
}
