use super::*;
use crate::contract::controller::{HostKeyPair, KnownHostLines};
use crate::contract::{FlashFailure, KnownHostsState, KubeNodeState};
use crate::resources::bmc::samples::{
    STAGED, answers, board, image, kube, made_key, mark, marked, powered, slot, slot_of_node, staged, transfer,
};
use crate::resources::scripted::{Fact, RUN, Script, check, kube_node, node01, planned};
use crate::text::secret::Secret;

fn resource(force: bool) -> ProvisionedSlot {
    ProvisionedSlot {
        slot: slot_of_node(force),
        image: image(),
        cached: "/cache/rk1.img.xz".to_owned(),
        staged: STAGED.to_owned(),
        transport: FlashTransport::Staged,
        account: "ubuntu".to_owned(),
        public_keys: vec!["ssh-ed25519 AAAA me".to_owned()],
        known_hosts: "/home/me/.ssh/known_hosts".to_owned(),
        dialled: ("node01".to_owned(), 22),
        control_plane: false,
        usual_flash: Duration::from_secs(300),
        usual_boot: Duration::from_secs(60),
        boot_within: Duration::from_secs(600),
    }
}

/// What known_hosts has of the node.
fn recorded(key: Option<HostKey>) -> Fact {
    let names = ["node01".to_owned(), "10.0.0.1".to_owned()];
    let keys = names.iter().filter_map(|name| Some((name.clone(), vec![key.clone()?]))).collect();
    let question = KnownHostLines { path: "/home/me/.ssh/known_hosts".to_owned(), names: names.into() };
    says!(Controller, question => KnownHostsState { keys: std::collections::BTreeMap::clone(&keys), version: "1".to_owned() })
}

/// A slot that is off, and all that follows when it is flashed by this run, or seen through for an earlier one.
fn world(begun_by: &str) -> Script {
    use FlashPhase::{Booting, Done, Flashed, Flashing, Overdue, Seeded};
    let pair = HostKeyPair { private: Secret::new("private"), public: made_key() };
    let order = format!("node01-{begun_by}");
    let running = || Some(transfer(JobPhase::Running, begun_by));
    let ended = says!(board(), FlashJob {} => running(), running(), Some(transfer(JobPhase::Succeeded, begun_by)));
    let mut script = crate::resources::bmc::samples::world()
        .with([
            recorded(None),
            says!(Controller, NewHostKey { comment: "node01".to_owned(), order: order.clone() } => pair.clone()),
            says!(board(), Console { slot: slot() } => vec!["kernel panic".to_owned()]),
        ])
        .once("flash slot 1 (node01)", [ended])
        .once("record the host keys of 10.0.0.1, node01", [recorded(Some(made_key()))])
        .once("power off slot 1", [powered(false), answers(false)])
        .once(
            "power on slot 1",
            [
                powered(true),
                answers(true),
                says!(node01(), HostKeys {} => vec![made_key()]),
                says!(node01(), BootId {} => "first".to_owned()),
            ],
        );
    for phase in [Flashing, Flashed, Seeded, Booting, Overdue, Done] {
        let state = FlashMarkState { instance_id: order.clone(), ..mark(phase, RUN) };
        script = script.once(&format!("mark slot 1 as {}", phase.word()), [marked(Some(state))]);
    }
    script
}

const OFF: &str = "board1: power off slot 1";
const ON: &str = "board1: power on slot 1";
const FLASH: &str = "board1: flash slot 1 (node01)";
const SEED: &str = "board1: give slot 1 the identity of node01";
const TAKE: &str = "take board1/usb";
const RELEASE: &str = "release board1/usb";
const CLEAR: &str = "wait for the BMC's USB bus to be clear";
const SHOWS: &str = "wait for SSH with the host key made for it";
const LOGIN: &str = "wait for the first login";
const RECORD: &str = "controller: record the host keys of 10.0.0.1, node01";
const TAKE_HOSTS: &str = "take controller/known_hosts";
const RELEASE_HOSTS: &str = "release controller/known_hosts";
const FLASHING: &str = "board1: mark slot 1 as flashing";
const FLASHED: &str = "board1: mark slot 1 as flashed";
const SEEDED: &str = "board1: mark slot 1 as seeded";
const BOOTING: &str = "board1: mark slot 1 as booting";
const OVERDUE: &str = "board1: mark slot 1 as overdue";
const DONE: &str = "board1: mark slot 1 as done";
const WRITE: &str = "rk1.img.xz written, seeded and booted";

/// From the identity to the first login. known_hosts has the key before there is power.
const FROM_SEED: &[&str] = &[CLEAR, SEED, SEEDED];
const FROM_POWER: &[&str] = &[TAKE_HOSTS, RECORD, RELEASE_HOSTS, BOOTING, ON, RELEASE, SHOWS, LOGIN, DONE];

fn sequence(parts: &[&[&'static str]]) -> Vec<&'static str> {
    parts.concat()
}

#[test]
fn a_slot_is_flashed_from_where_the_last_run_came_to() {
    use FlashPhase::{Booting, Flashed, Flashing, Overdue, Seeded};
    let running = says!(
        board(),
        FlashJob {} => Some(transfer(JobPhase::Running, "run1")), Some(transfer(JobPhase::Running, "run1")),
            Some(transfer(JobPhase::Running, "run1")), Some(transfer(JobPhase::Succeeded, "run1"))
    );
    let off = "its slot is off, and what was written to it was never logged in to";
    let at = |phase: FlashPhase| world("run1").with([marked(Some(mark(phase, "run1")))]);
    let erase = "! erase eMMC of node01";
    let went_on = |from: &str, why: &str, to: &str| format!("slot 1: {from} ({why}) → {to}");
    let changed = &["changed"][..];
    let took_over = &["took over"][..];
    for (what, script, plan, run) in [
        (
            "new",
            world(RUN),
            vec![format!("slot 1: not flashed by us (its slot is off and it is silent) → {WRITE}"), erase.to_owned()],
            // The mark comes before the power is cut, and nothing else may wait on the bus before anything is written.
            sequence(&[&[TAKE, FLASHING, OFF, CLEAR, FLASH, FLASHED], FROM_SEED, FROM_POWER, changed]),
        ),
        (
            "flashing",
            at(Flashing).with([running]),
            vec![went_on(
                "flashing",
                "its image is being written",
                "the running transfer seen through, seeded and booted",
            )],
            sequence(&[&[TAKE, FLASHED], FROM_SEED, FROM_POWER, took_over]),
        ),
        (
            "flashed",
            at(Flashed),
            vec![went_on("flashed", off, "seeded and booted")],
            sequence(&[&[TAKE], FROM_SEED, FROM_POWER, took_over]),
        ),
        ("seeded", at(Seeded), vec![went_on("seeded", off, "booted")], sequence(&[&[TAKE], FROM_POWER, took_over])),
        (
            "its power was taken while it booted",
            at(Booting),
            vec![went_on("booting", off, "booted")],
            sequence(&[&[TAKE, BOOTING, ON, RELEASE, SHOWS, LOGIN, DONE], took_over]),
        ),
        (
            "overdue, and off",
            at(Overdue),
            vec![went_on("overdue", off, "booted, with its power taken and given")],
            sequence(&[&[TAKE], FROM_POWER, took_over]),
        ),
    ] {
        let plan: Vec<&str> = plan.iter().map(String::as_str).collect();
        check(what, resource(false), script, &plan, &run);
    }
}

#[test]
fn a_node_that_lives_or_may_live_keeps_its_module_and_its_power() {
    let alive = |script: Script| script.with([powered(true), answers(true)]);
    let silent = |script: Script| script.with([powered(true), answers(false)]);
    let member = |ready| kube(Some(KubeNodeState { ready, ..kube_node() }));
    let living = "! erase eMMC of node01, WHICH IS ALIVE";
    let doubtful = "! erase eMMC of node01, which may be alive";
    let cut = "! cut the power of node01, which may be alive";
    let from = |from: &str, why: &str, to: &str| format!("slot 1: {from} ({why}) → {to}");
    let at = |phase: FlashPhase| marked(Some(mark(phase, "run1")));
    let shows = |key: HostKey| says!(node01(), HostKeys {} => vec![key.clone()]);
    let in_sync = || vec!["in sync".to_owned()];
    let not_ours = "not flashed by us";
    for (what, force, script, expected) in [
        ("it answers", false, alive(world(RUN)), in_sync()),
        ("its Node is Ready", false, world(RUN).with([member(true)]), in_sync()),
        (
            "it answers, forced",
            true,
            alive(world(RUN)),
            vec![from(not_ours, "its SSH server answers", WRITE), living.to_owned()],
        ),
        (
            "it has power",
            false,
            silent(world(RUN)),
            vec![from(not_ours, "its slot is powered on, but it is silent", WRITE), doubtful.to_owned()],
        ),
        (
            "the cluster has its Node",
            false,
            world(RUN).with([member(false)]),
            vec![from(not_ours, "its slot is off, but the cluster has its Node", WRITE), doubtful.to_owned()],
        ),
        // It came up with our key; what is missing is to say so.
        (
            "it came up as it was made",
            false,
            alive(world("run1")).with([at(FlashPhase::Booting), shows(made_key())]),
            vec![from("booting", "its SSH server answers", "booted")],
        ),
        (
            "another one answers in its place",
            false,
            alive(world("run1")).with([at(FlashPhase::Booting), shows(HostKey::ed25519(&[2; 32]))]),
            in_sync(),
        ),
        (
            "flashed, and it has power",
            false,
            silent(world("run1")).with([at(FlashPhase::Flashed)]),
            vec![from("flashed", "its slot is powered on, but it is silent", "seeded and booted"), cut.to_owned()],
        ),
        (
            "overdue, and it has power",
            false,
            silent(world("run1")).with([at(FlashPhase::Overdue)]),
            vec![
                from("overdue", "its slot is powered on, but it is silent", "booted, with its power taken and given"),
                cut.to_owned(),
            ],
        ),
        // Whoever waits for it takes nothing.
        (
            "it boots for an earlier run",
            false,
            silent(world("run1")).with([at(FlashPhase::Booting)]),
            vec![from("booting", "its slot is powered on, but it is silent", "booted")],
        ),
        (
            "flashed and used, and off",
            false,
            world("run1").with([at(FlashPhase::Done)]),
            vec![from("done", "its slot is off, but it ran after it was flashed", WRITE), doubtful.to_owned()],
        ),
        (
            "its flash was cut off, and nothing was written",
            false,
            world("run1").with([at(FlashPhase::Flashing)]),
            vec![
                from("flashing", "its slot is off, and what was written to it was never logged in to", WRITE),
                "! erase eMMC of node01".to_owned(),
            ],
        ),
        (
            "the mark of another node",
            false,
            world(RUN).with([marked(Some(FlashMarkState {
                node: crate::ids::NodeName::new("node09"),
                ..mark(FlashPhase::Seeded, "run1")
            }))]),
            vec![from(not_ours, "its slot is off and it is silent", WRITE), "! erase eMMC of node01".to_owned()],
        ),
    ] {
        assert_eq!(planned(what, resource(force), script), expected, "{what}");
    }
}

/// Where something is wrong, nothing more is written, and the mark tells what was.
#[test]
fn a_flash_ends_where_it_cannot_go_on() {
    let plan = [
        format!("slot 1: not flashed by us (its slot is off and it is silent) → {WRITE}"),
        "! erase eMMC of node01".to_owned(),
    ];
    let plan = [plan[0].as_str(), &plan[1]];
    let ends = |failure| {
        let job = FlashJobState { failure, ..transfer(JobPhase::Failed, RUN) };
        world(RUN).once("flash slot 1 (node01)", [says!(board(), FlashJob {} => Some(job.clone()))])
    };
    let waits = says!(board(), WaitingModules {} => vec!["1d6b:0002 at 1-1".to_owned()]);
    let others = FlashJobState { order: None, ..transfer(JobPhase::Running, "run1") };
    let begun = &[TAKE, FLASHING, OFF, CLEAR, FLASH][..];
    let flashed = &[TAKE, FLASHING, OFF, CLEAR, FLASH, FLASHED, CLEAR][..];
    for (what, script, run) in [
        (
            "the bus is somebody's",
            world(RUN).with([says!(board(), FlashJob {} => Some(others.clone()))]),
            vec![TAKE, RELEASE, "again after: use the USB bus for slot 1 on board1: busy (slot 1 is being flashed)"],
        ),
        (
            "the image has gone from the card",
            world(RUN).with([staged(Some("other"))]),
            vec![
                TAKE,
                RELEASE,
                "failed: flash slot 1 on board1: not what was expected \
                 (/mnt/sdcard/rk1.img.xz is not the image that the site names)",
            ],
        ),
        (
            "another module waits on the bus",
            world(RUN).with([waits.clone()]),
            vec![
                TAKE,
                FLASHING,
                OFF,
                CLEAR,
                RELEASE,
                "failed: write to slot 1 on board1: refused \
                 (a module waits on the BMC's USB bus that is not slot 1's: 1d6b:0002 at 1-1)",
            ],
        ),
        // What is left of it may have power, and would look like a node that may live.
        (
            "its storage is too small",
            ends(Some(FlashFailure::TooLarge)),
            [begun, &[OFF, RELEASE, "failed: flash slot 1 (node01) on board1: failed (its last line)"]].concat(),
        ),
        (
            "another client cancelled it",
            ends(Some(FlashFailure::Cancelled)),
            [begun, &[OFF, RELEASE, "again after: flash slot 1 (node01) on board1: failed this time (its last line)"]]
                .concat(),
        ),
        (
            "a module comes to wait on the bus meanwhile",
            world(RUN).once(
                "flash slot 1 (node01)",
                [waits, says!(board(), FlashJob {} => Some(transfer(JobPhase::Succeeded, RUN)))],
            ),
            [
                flashed,
                &[
                    RELEASE,
                    "failed: write to slot 1 on board1: refused \
                     (a module waits on the BMC's USB bus that is not slot 1's: 1d6b:0002 at 1-1)",
                ],
            ]
            .concat(),
        ),
        // It gets its power anew, once: nobody has used it yet.
        (
            "it does not come up",
            world(RUN)
                .once("power on slot 1", [powered(true), answers(false), says!(node01(), HostKeys {} => Vec::new())]),
            [
                &flashed[..6],
                FROM_SEED,
                &[TAKE_HOSTS, RECORD, RELEASE_HOSTS, BOOTING, ON, RELEASE, SHOWS],
                &[TAKE, OFF, BOOTING, ON, RELEASE, SHOWS, OVERDUE],
                &["failed: wait for SSH with the host key made for it on node01: took too long (kernel panic)"],
            ]
            .concat(),
        ),
    ] {
        check(what, resource(false), script, &plan, &run);
    }
}
