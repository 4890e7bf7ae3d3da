use super::*;
use crate::contract::cluster::{InMaintenance, KubeNode};
use crate::contract::node::{BootId, CloudInit, K3s, PackagesBusy};
use crate::contract::{CloudInitState, Cluster, K3sState, KubeNodeState};
use crate::resources::MaintenanceEnded;
use crate::resources::scripted::{Fact, Script, check, fails, k3s_state, kube_node, node01};
use crate::run::fault::Cause;

fn rebooted(workstation: bool) -> Rebooted {
    Rebooted { node: node01(), workstation, usual: Duration::from_secs(60), within: Duration::from_secs(600) }
}

fn required(required: bool) -> Fact {
    says!(node01(), RebootRequired {} => required)
}

/// What the cluster says of the node.
fn kube(state: Option<KubeNodeState>) -> Fact {
    says!(Cluster, KubeNode { name: node01() } => state.clone())
}

fn k3s(state: Option<K3sState>) -> Fact {
    says!(node01(), K3s {} => state)
}

fn booted(boot_id: &str) -> Fact {
    says!(node01(), BootId {} => boot_id.to_owned())
}

fn in_maintenance(nodes: &[&str]) -> Fact {
    says!(Cluster, InMaintenance {} => nodes.iter().map(NodeName::new).collect())
}

fn member() -> KubeNodeState {
    KubeNodeState { boot_id: "before".to_owned(), ..kube_node() }
}

/// A node that wants a reboot, is a Ready member whose k3s runs, and comes up as one.
fn world() -> Script {
    let back = KubeNodeState { boot_id: "after".to_owned(), in_maintenance: true, unschedulable: true, ..member() };
    Script::new([
        required(true),
        kube(Some(member())),
        k3s(Some(k3s_state(crate::contract::K3sRole::Agent))),
        in_maintenance(&[]),
        says!(node01(), PackagesBusy {} => false),
        booted("before"),
        says!(node01(), CloudInit {} => CloudInitState::Done),
    ])
    .once(
        "reboot",
        [
            required(false),
            // It answers a little longer, and its Node is Ready from before.
            says!(node01(), BootId {} => "before".to_owned(), "before".to_owned(), "after".to_owned()),
            says!(Cluster, KubeNode { name: node01() } => Some(member()), Some(back.clone())),
        ],
    )
    .once("uncordon node01", [kube(Some(KubeNodeState { boot_id: "after".to_owned(), ..member() }))])
}

const TAKE: &str = "take cluster/maintenance";
const RELEASE: &str = "release cluster/maintenance";
const CORDON: &str = "cluster: cordon node01";
const DRAIN: &str = "cluster: drain node01";
const UNCORDON: &str = "cluster: uncordon node01";
const REBOOT: &str = "node01: reboot";
const NEXT_BOOT: &str = "wait for the next boot";
const CLOUD_INIT: &str = "wait for cloud-init to end";
const READY: &str = "wait for Node node01 to be Ready after its boot";

#[test]
fn a_reboot_spares_the_cluster() {
    let plan = ["reboot: required → done", "! reboot node01"];
    let bare = [REBOOT, NEXT_BOOT, CLOUD_INIT, "changed"];
    let away = fails(&Cluster, KubeNode { name: node01() }, Cause::Unreachable);
    let outside = |script: Script| script.with([kube(None)]).once("reboot", [required(false), booted("after")]);
    let silent =
        |script: Script| script.with([away.clone(), k3s(None)]).once("reboot", [required(false), booted("after")]);
    for (what, script, run) in [
        (
            "a member",
            world(),
            &[TAKE, CORDON, DRAIN, REBOOT, NEXT_BOOT, CLOUD_INIT, READY, UNCORDON, RELEASE, "changed"][..],
        ),
        ("no Node", outside(world()), &bare),
        (
            "a Node that is not Ready",
            world()
                .with([kube(Some(KubeNodeState { ready: false, ..member() }))])
                .once("reboot", [required(false), booted("after")]),
            &bare,
        ),
        // It was flashed a moment ago, and its Node still looks Ready: nothing would ever be drained of it.
        (
            "a Ready Node without k3s",
            world().with([k3s(None)]).once("reboot", [required(false), booted("after"), kube(None)]),
            &[TAKE, REBOOT, NEXT_BOOT, CLOUD_INIT, RELEASE, "changed"],
        ),
        ("the API is silent, and no k3s runs there", silent(world()), &bare),
        (
            "the API is silent, and k3s runs there",
            world().with([away.clone()]),
            &[
                TAKE,
                RELEASE,
                "again after: take it out of the cluster before its reboot on node01: busy \
                 (k3s runs on it, but the cluster's API does not answer)",
            ],
        ),
        (
            "another one is away",
            world().with([in_maintenance(&["node02"])]),
            &[
                TAKE,
                RELEASE,
                "again after: take node01 into maintenance on cluster: busy (node02 is still in maintenance)",
            ],
        ),
        (
            "a budget holds the drain up",
            world().refuse("drain node01", Cause::Refused),
            &[TAKE, CORDON, DRAIN, UNCORDON, RELEASE, "blocked: drain node01 on cluster: not allowed"],
        ),
        (
            "the drain is lost",
            world().refuse("drain node01", Cause::Lost),
            &[TAKE, CORDON, DRAIN, RELEASE, "again after: drain node01 on cluster: the connection was lost"],
        ),
        (
            "a kernel is being unpacked",
            outside(world()).with([says!(node01(), PackagesBusy {} => true, true, false)]),
            &["wait for dpkg's and apt's locks", REBOOT, NEXT_BOOT, CLOUD_INIT, "changed"],
        ),
        ("the connection dies of it", outside(world()).refuse("reboot", Cause::Lost), &bare),
        (
            "it does not go down",
            world().with([kube(None)]).once("reboot", [required(false)]),
            &[
                REBOOT,
                NEXT_BOOT,
                "again after: reboot on node01: failed this time \
                 (it was told to, and is up with the same boot id after 240 s)",
            ],
        ),
        (
            "it does not come up",
            outside(world()).once("reboot", [fails(&node01(), BootId {}, Cause::Unreachable)]),
            &[
                REBOOT,
                NEXT_BOOT,
                "failed: wait for the next boot on node01: took too long (read its boot id on node01: no answer)",
            ],
        ),
    ] {
        check(what, rebooted(false), script, &plan, run);
    }
    // An earlier run took it away, and did not come to the reboot.
    let script = world().with([
        in_maintenance(&["node01"]),
        kube(Some(KubeNodeState { ready: false, in_maintenance: true, ..member() })),
    ]);
    let plan = [plan[0], "maintenance: begun by an earlier run → ended", plan[1]];
    let run = [TAKE, CORDON, DRAIN, REBOOT, NEXT_BOOT, CLOUD_INIT, READY, UNCORDON, RELEASE, "changed"];
    check("it is away itself", rebooted(false), script, &plan, &run);
}

#[test]
fn what_is_left_of_a_maintenance_is_ended_and_a_workstation_is_told() {
    let away = KubeNodeState { in_maintenance: true, unschedulable: true, ..member() };
    // Its machine was heard before this boot and since.
    let comes = || {
        let before = KubeNodeState { boot_id: "earlier".to_owned(), ..away.clone() };
        says!(Cluster, KubeNode { name: node01() } => Some(before.clone()), Some(before.clone()), Some(before.clone()), Some(away.clone()))
    };
    let quiet = || world().with([required(false)]).once("uncordon node01", [kube(Some(member()))]);
    let left = "maintenance: begun by an earlier run → ended";
    for (what, workstation, script, plan, run) in [
        ("nothing", false, quiet(), &["in sync"][..], &["in sync"][..]),
        ("a workstation wants one", true, world(), &["note: WorkstationReboot", "in sync"], &["in sync"]),
        ("left", false, quiet().with([comes()]), &[left], &[TAKE, READY, UNCORDON, RELEASE, "took over"]),
        (
            "left, on a workstation that wants one",
            true,
            quiet().with([comes(), required(true)]),
            &["note: WorkstationReboot", left],
            &[TAKE, READY, UNCORDON, RELEASE, "took over"],
        ),
    ] {
        check(what, rebooted(workstation), script, plan, run);
    }
    let unread = fails(&Cluster, KubeNode { name: node01() }, Cause::Unreachable);
    let refused = fails(&Cluster, KubeNode { name: node01() }, Cause::Refused);
    let failed = "read Node node01 on cluster: refused";
    for (what, script, plan, run) in [
        ("nothing", quiet(), &["in sync"][..], &["in sync"][..]),
        ("no Node", quiet().with([kube(None)]), &["in sync"], &["in sync"]),
        ("no API", quiet().with([unread]), &["in sync"], &["in sync"]),
        (
            "an API that says no",
            quiet().with([refused]),
            &[&format!("unreachable: {failed}")],
            &[&format!("failed: {failed}")],
        ),
        (
            "left",
            quiet().with([says!(Cluster, KubeNode { name: node01() } => Some(away.clone()))]),
            &[left],
            &[READY, UNCORDON, "took over"],
        ),
    ] {
        check(what, MaintenanceEnded { node: node01() }, script, plan, run);
    }
}
