use super::*;
use crate::contract::cluster::{InMaintenance, KubeNode};
use crate::contract::node::{CloudInit, K3s, PackagesBusy};
use crate::contract::{CloudInitState, Cluster, K3sRole, KubeNodeState};
use crate::resources::scripted::{Fact, Script, check, converge, fails, k3s_state, kube_node, node01};

fn resource(kind: Kind, workstation: bool) -> RootDevice {
    RootDevice { node: node01(), kind, root_dev: nvme(), workstation, reboot_within: Duration::from_secs(600) }
}

fn nvme() -> DiskPath {
    DiskPath::parse("/dev/nvme0n1").unwrap()
}

fn move_root(path: &str) -> Job {
    Job::MoveRoot { disk: DiskPath::parse(path).unwrap() }
}

fn disk() -> DiskState {
    DiskState {
        model: "M".to_owned(),
        serial: "S".to_owned(),
        size: 1 << 40,
        file_systems: Vec::new(),
        holds_root: false,
        carries_root: false,
        mounted: Vec::new(),
    }
}

fn found(disk: Option<DiskState>) -> Fact {
    says!(node01(), Disk { path: nvme() } => disk)
}

fn root_on(partition: &str) -> Fact {
    says!(node01(), RootPartition {} => partition.to_owned())
}

fn copy(status: Option<JobStatus>) -> Fact {
    says!(node01(), JobState { name: "move-root" } => status)
}

/// The copy that was begun in this boot.
fn copied(phase: JobPhase, ended_ago: Option<u64>) -> JobStatus {
    let (hash, boot_id) = (move_root("/dev/nvme0n1").hash(), "before".to_owned());
    JobStatus { hash, boot_id, phase, ended_ago, said: vec!["its last line".to_owned()] }
}

/// An RK1 with its root on the eMMC, in no cluster.
fn world() -> Script {
    Script::new([
        root_on("/dev/mmcblk0p2"),
        found(Some(disk())),
        copy(None),
        says!(Cluster, KubeNode { name: node01() } => None),
        says!(node01(), PackagesBusy {} => false),
        says!(node01(), BootId {} => "before".to_owned()),
        says!(node01(), CloudInit {} => CloudInitState::Done),
    ])
    .once("copy the root file system to /dev/nvme0n1", [copy(Some(copied(JobPhase::Succeeded, Some(0))))])
    .once("reboot", [root_on("/dev/nvme0n1p2"), says!(node01(), BootId {} => "after".to_owned())])
}

const CHANGE: &str = "root: /dev/mmcblk0p2 → a partition of /dev/nvme0n1";
const ERASE: &str = "! erase /dev/nvme0n1 (M, serial S) of node01";
const MAY_REBOOT: &str = "! reboot node01";
const COPY: &str = "node01: copy the root file system to /dev/nvme0n1";
const WAIT: &str = "wait for the job move-root";
const REBOOT: &str = "node01: reboot";
const NEXT_BOOT: &str = "wait for the next boot";
const CLOUD_INIT: &str = "wait for cloud-init to end";

#[test]
fn a_root_is_moved_to_a_disk_that_may_be_erased() {
    let good = &["in sync"][..];
    let link = DiskState { carries_root: true, ..disk() };
    let old = DiskState { holds_root: true, file_systems: vec!["ext4 data".to_owned()], ..disk() };
    let mounted = DiskState { mounted: vec!["/data".to_owned(), "[SWAP]".to_owned()], ..disk() };
    let not_rk1 = "blocked: only an RK1's image brings ubuntu-rockchip-install, and node01 is none";
    let in_use = "blocked: node01 is a workstation, and a root moves with a reboot";
    let moved = &[COPY, WAIT, REBOOT, NEXT_BOOT, CLOUD_INIT, "changed"][..];
    for (what, kind, workstation, script, plan, run) in [
        ("there already", Kind::Rk1, false, world().with([root_on("/dev/nvme0n1p2")]), good, good),
        ("named by a link", Kind::Rk1, false, world().with([found(Some(link.clone()))]), good, good),
        ("there, and not an RK1", Kind::Other, true, world().with([found(Some(link))]), good, good),
        // The disk with the longer name is another one.
        (
            "on a disk of a similar name",
            Kind::Rk1,
            false,
            world().with([root_on("/dev/nvme0n10p2")]),
            &["root: /dev/nvme0n10p2 → a partition of /dev/nvme0n1", ERASE, MAY_REBOOT],
            moved,
        ),
        ("elsewhere", Kind::Rk1, false, world(), &[CHANGE, ERASE, MAY_REBOOT], moved),
        (
            "elsewhere, and the disk has an older root",
            Kind::Rk1,
            false,
            world().with([found(Some(old))]),
            &[CHANGE, "! erase /dev/nvme0n1 (M, serial S, holds an older root, ext4 data) of node01", MAY_REBOOT],
            moved,
        ),
        ("not an RK1", Kind::Cm4, false, world(), &[not_rk1], &[not_rk1]),
        ("a workstation", Kind::Rk1, true, world(), &[in_use], &[in_use]),
        (
            "mounted",
            Kind::Rk1,
            false,
            world().with([found(Some(mounted))]),
            &["blocked: /dev/nvme0n1 is in use: /data, [SWAP] is on it"],
            &["blocked: /dev/nvme0n1 is in use: /data, [SWAP] is on it"],
        ),
        (
            "no disk",
            Kind::Rk1,
            false,
            world().with([found(None)]),
            &["blocked: there is no disk /dev/nvme0n1 in node01"],
            &["blocked: there is no disk /dev/nvme0n1 in node01"],
        ),
    ] {
        check(what, resource(kind, workstation), script, plan, run);
    }
}

/// Whether the disk is erased is decided by what has become of the copy that an earlier run began.
#[test]
fn a_copy_of_an_earlier_run_is_seen_through_and_one_that_is_too_old_is_not() {
    use JobPhase::{Failed, Running, Succeeded};
    let mounted = || found(Some(DiskState { mounted: vec!["/mnt".to_owned()], ..disk() }));
    let erases = &[CHANGE, ERASE, MAY_REBOOT][..];
    let anew = &[COPY, WAIT, REBOOT, NEXT_BOOT, CLOUD_INIT, "changed"][..];
    let reboots = &[CHANGE, MAY_REBOOT][..];
    let goes_on = &[REBOOT, NEXT_BOOT, CLOUD_INIT, "took over"][..];
    let watched = |end: JobStatus| {
        let running = copied(Running, None);
        says!(node01(), JobState { name: "move-root" } => Some(running.clone()), Some(running), Some(end))
    };
    let of_another_boot = |status: JobStatus| JobStatus { boot_id: "long ago".to_owned(), ..status };
    let to_another_disk = |status: JobStatus| JobStatus { hash: move_root("/dev/sda").hash(), ..status };
    for (what, facts, plan, run) in [
        ("ended a moment ago", vec![copy(Some(copied(Succeeded, Some(180))))], reboots, goes_on),
        ("ended a while ago", vec![copy(Some(copied(Succeeded, Some(181))))], erases, anew),
        ("nobody knows when it ended", vec![copy(Some(copied(Succeeded, None)))], erases, anew),
        ("failed", vec![copy(Some(copied(Failed, Some(1))))], erases, anew),
        ("of an earlier boot", vec![copy(Some(of_another_boot(copied(Succeeded, Some(1)))))], erases, anew),
        ("to another disk", vec![copy(Some(to_another_disk(copied(Succeeded, Some(1)))))], erases, anew),
        (
            "runs to another disk",
            vec![copy(Some(to_another_disk(copied(Running, None))))],
            erases,
            &["again after: copy the root file system to /dev/nvme0n1 on node01: busy (another move-root runs there)"],
        ),
        // It mounts the disk itself.
        (
            "runs",
            vec![watched(copied(Succeeded, Some(0))), mounted()],
            reboots,
            &[WAIT, REBOOT, NEXT_BOOT, CLOUD_INIT, "took over"],
        ),
        (
            "runs and fails",
            vec![watched(copied(Failed, Some(0)))],
            reboots,
            &[
                WAIT,
                "again after: copy the root file system to /dev/nvme0n1 on node01: failed this time (its last line)",
            ],
        ),
    ] {
        check(what, resource(Kind::Rk1, false), world().with(facts), plan, run);
    }
    // A copy that fails is not begun again: that was not approved.
    let script = world().with([watched(copied(Failed, Some(0)))]);
    let told = converge("fails for good", resource(Kind::Rk1, false), script);
    assert!(told.done::<NodeName>().is_empty());
}

#[test]
fn a_member_is_drained_before_it_is_copied() {
    let member = KubeNodeState { boot_id: "before".to_owned(), ..kube_node() };
    let back = KubeNodeState { boot_id: "after".to_owned(), ..kube_node() };
    let kube = |state: &KubeNodeState| says!(Cluster, KubeNode { name: node01() } => Some(state.clone()));
    let facts = || {
        [
            kube(&member),
            says!(node01(), K3s {} => Some(k3s_state(K3sRole::Agent))),
            says!(Cluster, InMaintenance {} => std::collections::BTreeSet::new()),
        ]
    };
    let after = [root_on("/dev/nvme0n1p2"), says!(node01(), BootId {} => "after".to_owned()), kube(&back)];
    let (take, release) = ("take cluster/maintenance", "release cluster/maintenance");
    let (cordon, drain, uncordon) = ("cluster: cordon node01", "cluster: drain node01", "cluster: uncordon node01");
    let ready = "wait for Node node01 to be Ready after its boot";
    let plan = [CHANGE, ERASE, MAY_REBOOT];
    // What came to it during the copy is drained, too.
    let run = [
        take, cordon, drain, COPY, WAIT, cordon, drain, REBOOT, NEXT_BOOT, CLOUD_INIT, ready, uncordon, release,
        "changed",
    ];
    check("a member", resource(Kind::Rk1, false), world().with(facts()).once("reboot", after), &plan, &run);
    // Nobody holds the gate for one that joins meanwhile.
    let joined = [copy(Some(copied(JobPhase::Succeeded, Some(0)))), kube(&member)];
    let outside = says!(Cluster, KubeNode { name: node01() } => None);
    let script = world().with(facts()).with([outside]).once("copy the root file system to /dev/nvme0n1", joined);
    let stale = "again after: reboot on node01: changed meanwhile (it has become a member of the cluster meanwhile)";
    check("it joins during the copy", resource(Kind::Rk1, false), script, &plan, &[COPY, WAIT, stale]);
    let script = world().with(facts()).refuse("drain node01", Cause::Refused);
    let run = [take, cordon, drain, uncordon, release, "blocked: drain node01 on cluster: not allowed"];
    check("a budget holds it", resource(Kind::Rk1, false), script, &plan, &run);
    let script = world().with(facts()).with([fails(&Cluster, KubeNode { name: node01() }, Cause::Denied)]);
    let failed = ["unreachable: read Node node01 on cluster: not let in"];
    check(
        "nobody says",
        resource(Kind::Rk1, false),
        script,
        &failed,
        &["failed: read Node node01 on cluster: not let in"],
    );
}
