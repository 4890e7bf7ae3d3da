//! What may be alive, may be a member, or may be someone else is treated as if it were, until the operator says
//! otherwise.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::sync::Arc;

use bringup_core::contract::{ActionOutline, FlashPhase, K3sRole, bmc, cluster, controller, node};
use bringup_core::ids::{DiskPath, NodeName, Sha256, Slot, Target};
use bringup_core::run::change::Outcome;
use bringup_core::run::event::What;
use bringup_core::run::hazard::{Disk, Hazard, Liveness};
use bringup_core::site::{FlashTransport, Site, Stated};
use bringup_core::version::Version;
use bringup_sim::{Condition, Faults, Lost, SimWorld, Snapshot, Story, in_virtual_time};
use common::{Done, Runner, approve_all};

/// A site that was brought up.
fn brought_up(site: &Arc<Site>) -> Snapshot {
    in_virtual_time(async {
        let world = SimWorld::resume(&Story::fresh().trusted().begin(site));
        let done = Runner::new(site, "long-ago").run(&world).await.unwrap();
        assert!(done.converged(), "{:#?}", done.troubles());
        world.stop()
    })
    .unwrap()
}

fn one_board(change: impl Fn(&mut Site)) -> Arc<Site> {
    let mut site = common::one_board();
    change(&mut site);
    Arc::new(site)
}

/// A worker, named.
fn only_node02(site: &Site) -> bringup_core::site::Scope {
    let nodes: std::collections::BTreeSet<NodeName> = [name("node02")].into();
    bringup_core::site::Scope { named: nodes.clone(), nodes, ..common::everything(site) }
}

/// All actions, in their order, those included that were lost.
fn actions(done: &Done) -> Vec<&ActionOutline> {
    let actions = done.events.iter().filter_map(|event| match &event.what {
        What::ActionStarted { action, .. } => Some(action),
        _ => None,
    });
    actions.collect()
}

/// Where the first action of this kind is among all.
fn place(actions: &[&ActionOutline], is: impl Fn(&ActionOutline) -> bool) -> usize {
    actions.iter().position(|action| is(action)).unwrap_or_else(|| panic!("{actions:#?}"))
}

fn slot(number: u8) -> Slot {
    Slot::new(number).unwrap()
}

fn power_off_slot_2() -> ActionOutline {
    bmc::Outline::PowerOff { slot: slot(2) }.into()
}

fn flash_slot_2() -> ActionOutline {
    bmc::Outline::StartFlash { slot: slot(2), node: name("node02") }.into()
}

fn is_flash(action: &ActionOutline) -> bool {
    matches!(action, ActionOutline::Bmc(bmc::Outline::StartFlash { .. }))
}

fn outcome(done: &Done, wanted: &str) -> Outcome {
    let mut outcomes = done.events.iter().filter_map(|event| match &event.what {
        What::StepEnded { step, outcome, .. } if step.as_str() == wanted => Some(outcome.clone()),
        _ => None,
    });
    outcomes.next().unwrap_or_else(|| panic!("{wanted} did not end"))
}

fn name(node: &str) -> NodeName {
    NodeName::new(node)
}

/// Its flash was never marked as done, and it has lived since; now it is silent.
#[test]
fn a_mark_of_a_first_boot_does_not_make_a_silent_node_a_dead_one() {
    let site = one_board(|_| {});
    let snapshot = brought_up(&site);
    in_virtual_time(async {
        let world = SimWorld::resume(&snapshot);
        world.change_mark("node02", |mark| mark.phase = FlashPhase::Booting);
        world.hang("node02");
        let done = Runner::new(&site, "waits").run(&world).await.unwrap();
        assert!(!actions(&done).contains(&&power_off_slot_2()), "{:#?}", actions(&done));
        assert!(matches!(outcome(&done, "node02/provisioned_slot"), Outcome::Failed(_)));

        let named = Runner { approve: &approve_all, ..Runner::new(&site, "named") }.run(&world).await.unwrap();
        assert!(
            named.planned.hazards.contains(&Hazard::CutPower { node: name("node02") }),
            "{:#?}",
            named.planned.hazards
        );
        assert!(named.converged(), "{:#?}", named.troubles());
        assert!(!actions(&named).contains(&&flash_slot_2()));

        // With another image it would be flashed: then as one that may be alive.
        world.change_mark("node02", |mark| {
            mark.phase = FlashPhase::Booting;
            mark.image_sha256 = Sha256::of("another image");
        });
        world.hang("node02");
        let other = Runner::new(&site, "other-image").run(&world).await.unwrap();
        let disk = Disk::Emmc;
        let erase = Hazard::Erase { node: name("node02"), disk, liveness: Liveness::Doubtful };
        assert!(other.planned.hazards.contains(&erase), "{:#?}", other.planned.hazards);
        assert!(matches!(outcome(&other, "node02/provisioned_slot"), Outcome::Blocked(_)));
        assert_eq!(world.violations(), Vec::<String>::new());
    })
    .unwrap();
}

/// It ran, and somebody has switched it off: what is on it may be wanted. Whatever knows of it is enough.
#[test]
fn what_once_lived_is_not_erased_without_its_name() {
    let site = one_board(|_| {});
    let snapshot = brought_up(&site);
    in_virtual_time(async {
        for forgets in ["nothing", "the mark"] {
            let world = SimWorld::resume(&snapshot);
            world.switch_off("node02");
            if forgets == "the mark" {
                world.change_mark("node02", |mark| mark.node = name("another"));
            }
            let done = Runner::new(&site, "off").run(&world).await.unwrap();
            let disk = Disk::Emmc;
            let erase = Hazard::Erase { node: name("node02"), disk, liveness: Liveness::Doubtful };
            assert!(done.planned.hazards.contains(&erase), "{forgets}: {:#?}", done.planned.hazards);
            assert!(matches!(outcome(&done, "node02/provisioned_slot"), Outcome::Blocked(_)));
            assert!(!actions(&done).contains(&&flash_slot_2()), "{forgets}: {:#?}", actions(&done));
            let runner = Runner { approve: &approve_all, scope: only_node02(&site), ..Runner::new(&site, "named") };
            let named = runner.run(&world).await.unwrap();
            assert!(named.converged(), "{forgets}: {:#?}", named.troubles());
            assert!(actions(&named).contains(&&flash_slot_2()), "{forgets}: {:#?}", actions(&named));
            assert_eq!(world.violations(), Vec::<String>::new());
        }
    })
    .unwrap();
}

/// bmcd would write to the module that it finds first.
#[test]
fn a_neighbour_that_waits_on_usb_is_not_written() {
    let site = one_board(|_| {});
    in_virtual_time(async {
        let world = SimWorld::resume(&Story::fresh().trusted().begin(&site));
        world.leave_on_usb("turingpi", slot(4));
        let done = Runner::new(&site, "neighbour").run(&world).await.unwrap();
        assert!(!actions(&done).into_iter().any(is_flash), "{:#?}", actions(&done));
        let Outcome::Failed(fault) = outcome(&done, "node02/provisioned_slot") else {
            panic!("{:#?}", done.troubles())
        };
        assert!(fault.said.join(" ").contains("2207:350b at 1-1.4"), "{fault:?}");
        assert_eq!(world.violations(), Vec::<String>::new());
    })
    .unwrap();
}

/// bmcd would put it into USB boot again whenever it starts, in the middle of a flash as well.
#[test]
fn a_stored_usb_boot_is_told_and_put_back_before_anything_is_flashed() {
    let site = one_board(|_| {});
    in_virtual_time(async {
        let slot = slot(4);
        let world = SimWorld::resume(&Story::fresh().trusted().begin(&site));
        world.store_usb_boot("turingpi", slot);
        let hazard = Hazard::ClearUsbBoot { board: bringup_core::ids::BoardName::new("turingpi"), slot };
        let refuse = |one: &Hazard| *one != hazard;
        let refused = Runner { approve: &refuse, ..Runner::new(&site, "refused") }.run(&world).await.unwrap();
        assert!(refused.planned.hazards.contains(&hazard), "{:#?}", refused.planned.hazards);
        assert!(!actions(&refused).into_iter().any(is_flash), "{:#?}", actions(&refused));

        let done = Runner::new(&site, "put back").run(&world).await.unwrap();
        assert!(done.converged(), "{:#?}", done.troubles());
        let actions = actions(&done);
        let cleared = ActionOutline::from(bmc::Outline::ClearStoredUsbBoot { slot });
        assert!(place(&actions, |action| *action == cleared) < place(&actions, is_flash), "{actions:#?}");
        let again = Runner::new(&site, "again").run(&world).await.unwrap();
        assert_eq!(again.planned.hazards, Vec::new());
        assert_eq!(world.violations(), Vec::<String>::new());
    })
    .unwrap();
}

/// The transfer that ended well long ago says nothing of the flash that was marked and never started.
#[test]
fn an_old_transfer_never_answers_for_a_new_flash() {
    let site = one_board(|site| site.nodes.retain(|node| node.name.as_str() < "node03"));
    let snapshot = brought_up(&site);
    in_virtual_time(async {
        let world = SimWorld::resume(&snapshot);
        world.change_mark("node02", |mark| {
            mark.phase = FlashPhase::Flashing;
            mark.was = Liveness::Living;
            mark.instance_id = "node02-cut-off".to_owned();
        });
        world.switch_off("node02");
        let done = Runner::new(&site, "next").run(&world).await.unwrap();
        let disk = Disk::Emmc;
        let erase = Hazard::Erase { node: name("node02"), disk, liveness: Liveness::Doubtful };
        assert!(done.planned.hazards.contains(&erase), "{:#?}", done.planned.hazards);
        assert!(matches!(outcome(&done, "node02/provisioned_slot"), Outcome::Blocked(_)));
        assert_eq!(world.violations(), Vec::<String>::new());
    })
    .unwrap();
}

/// It cannot be drained while nobody answers for the cluster.
#[test]
fn a_member_is_not_rebooted_while_the_cluster_is_silent() {
    let site = one_board(|site| site.settings.do_flash = false);
    let snapshot = brought_up(&one_board(|_| {}));
    in_virtual_time(async {
        let world = SimWorld::resume(&snapshot.of(&site));
        world.age();
        world.hang("node01");
        let done = Runner::new(&site, "silent-cluster").run(&world).await.unwrap();
        for node in ["node02", "node03", "node04", "nuc01"] {
            let outcome = outcome(&done, &format!("{node}/reboot"));
            assert!(matches!(outcome, Outcome::Failed(_)), "{node}: {outcome:?}");
        }
        assert!(!actions(&done).contains(&&node::Outline::Reboot {}.into()), "{:#?}", actions(&done));
        assert_eq!(world.violations(), Vec::<String>::new());
    })
    .unwrap();
}

/// Its image was written, then somebody gave it power: to go on would take that away again.
#[test]
fn a_written_module_that_has_power_is_left_alone() {
    let site = one_board(|_| {});
    let snapshot = Story::fresh().trusted().with("node02", Condition::Flashed).begin(&site);
    in_virtual_time(async {
        let world = SimWorld::resume(&snapshot);
        world.hang("node02");
        let done = Runner::new(&site, "unnamed").run(&world).await.unwrap();
        assert!(done.planned.hazards.contains(&Hazard::CutPower { node: name("node02") }));
        assert!(matches!(outcome(&done, "node02/provisioned_slot"), Outcome::Blocked(_)));
        let named = Runner { approve: &approve_all, ..Runner::new(&site, "named") }.run(&world).await.unwrap();
        assert!(named.converged(), "{:#?}", named.troubles());
        assert_eq!(world.violations(), Vec::<String>::new());
    })
    .unwrap();
}

#[test]
fn a_disk_named_by_a_link_is_the_same_disk() {
    let site = one_board(|site| {
        site.nodes.iter_mut().filter(|node| node.root_dev.is_some()).for_each(|node| {
            node.root_dev = DiskPath::parse("/dev/disk/by-id/nvme-sim");
        });
    });
    let snapshot = brought_up(&site);
    in_virtual_time(async {
        let world = SimWorld::resume(&snapshot);
        let again = Runner::new(&site, "again").run(&world).await.unwrap();
        assert_eq!(again.planned.hazards, Vec::new());
        assert!(again.in_sync(), "{:#?}", again.troubles());
    })
    .unwrap();
}

/// What the plan did not show is not believed, and what is recorded for an address is recorded for the host.
#[test]
fn a_key_is_believed_only_as_the_plan_showed_it() {
    let site = one_board(|_| {});
    let trusts = |hazard: &Hazard| matches!(hazard, Hazard::TrustKey { .. });
    in_virtual_time(async {
        let world = SimWorld::resume(&Story::fresh().begin(&site));
        let refuses = |hazard: &Hazard| hazard.needs_name().is_none() && !trusts(hazard);
        let done = Runner { approve: &refuses, ..Runner::new(&site, "refused") }.run(&world).await.unwrap();
        let shown: Vec<&Hazard> = done.planned.hazards.iter().filter(|hazard| trusts(hazard)).collect();
        assert_eq!(shown.len(), 3, "the board and the two machines that run: {shown:#?}");
        assert!(matches!(outcome(&done, "turingpi/known_host"), Outcome::Blocked(_)));
        let records = |action: &ActionOutline| {
            matches!(action, ActionOutline::Controller(controller::Outline::EditKnownHosts { .. }))
        };
        assert!(!actions(&done).into_iter().any(records), "{:#?}", actions(&done));
        let other = Hazard::TrustKey { host: Target::Node(name("ws01")), fingerprint: "SHA256:another".to_owned() };
        assert!(!shown.iter().any(|approved| approved.covers(&other)));

        let world = SimWorld::resume(&Story::fresh().begin(&site));
        world.misremember_address("ws01");
        let done = Runner::new(&site, "address").run(&world).await.unwrap();
        assert!(matches!(outcome(&done, "ws01/known_host"), Outcome::Blocked(_)));
    })
    .unwrap();
}

#[test]
fn a_forced_flash_that_lost_its_first_action_is_flashed_all_the_same() {
    let site = one_board(|site| site.settings.flash_force = true);
    let snapshot = brought_up(&one_board(|_| {}));
    for when in [Lost::Before, Lost::After] {
        in_virtual_time(async {
            let world = SimWorld::resume(&snapshot.clone().of(&site));
            world.set_faults(Faults::none().losing(power_off_slot_2(), when));
            let runner = Runner { approve: &approve_all, scope: only_node02(&site), ..Runner::new(&site, "forced") };
            let done = runner.run(&world).await.unwrap();
            assert!(actions(&done).contains(&&flash_slot_2()), "{when:?}: {:#?}", actions(&done));
            assert!(done.converged(), "{:#?}", done.troubles());
            assert_eq!(world.violations(), Vec::<String>::new());
        })
        .unwrap();
    }
}

/// All that a forced flash brings with it is known before it, and is enough.
#[test]
fn the_plan_of_a_forced_flash_names_what_it_takes() {
    let site = one_board(|site| site.settings.flash_force = true);
    let snapshot = brought_up(&one_board(|_| {}));
    in_virtual_time(async {
        let world = SimWorld::resume(&snapshot.of(&site));
        let runner = Runner { approve: &approve_all, scope: only_node02(&site), ..Runner::new(&site, "forced") };
        let done = runner.run(&world).await.unwrap();
        let words: Vec<String> = done.planned.hazards.iter().map(Hazard::to_string).collect();
        assert_eq!(
            words,
            [
                "erase eMMC of node02, WHICH IS ALIVE",
                "erase /dev/nvme0n1 (WD Blue SN580 1TB, serial SIM24733875, holds an older root, ext4 cloudimg-rootfs) of node02",
                "reboot node02",
                "delete Node node02 and its node-password secret",
            ]
        );
        assert!(done.converged(), "{:#?}", done.troubles());
        assert_eq!(world.violations(), Vec::<String>::new());
    })
    .unwrap();
}

#[test]
fn a_streamed_image_is_there_before_anything_is_erased_for_it() {
    let site = one_board(|site| site.settings.flash_transport = FlashTransport::Stream);
    in_virtual_time(async {
        let world = SimWorld::resume(&Story::fresh().trusted().begin(&site));
        let done = Runner::new(&site, "stream").run(&world).await.unwrap();
        assert!(done.converged(), "{:#?}", done.troubles());
        let actions = actions(&done);
        for (image, flashed) in [("cm4", 1), ("rk1", 2)] {
            let images = format!("https://images.example/{image}");
            let fetched = place(&actions, |action| match action {
                ActionOutline::Controller(controller::Outline::Fetch { url, .. }) => url.starts_with(&images),
                _ => false,
            });
            let mark = bmc::Outline::WriteFlashMark { slot: slot(flashed), phase: FlashPhase::Flashing }.into();
            let marked = place(&actions, |action| *action == mark);
            assert!(fetched < marked, "{actions:#?}");
        }
    })
    .unwrap();
}

/// The compressed bytes would be written to the module as they are: known before anything is fetched for it.
#[test]
fn a_firmware_that_does_not_unpack_is_known_to_the_plan() {
    let site = one_board(|_| {});
    in_virtual_time(async {
        let world = SimWorld::resume(&Story::fresh().trusted().with_old_firmware().begin(&site));
        let done = Runner::new(&site, "old").run(&world).await.unwrap();
        let Outcome::Blocked(reason) = outcome(&done, "turingpi/rk1_image") else { panic!("{:#?}", done.troubles()) };
        assert!(reason.next.contains("flash_transport: stream"), "{reason:?}");
        let staged = actions(&done).into_iter().filter_map(|action| match action {
            ActionOutline::Bmc(bmc::Outline::StageImage { to }) => Some(to),
            _ => None,
        });
        // The other kind's image comes unpacked.
        assert!(!staged.map(String::as_str).any(|to| to.contains("rk1")), "{:#?}", actions(&done));
    })
    .unwrap();
}

/// One that begins anew has nothing of its own to go by, where the site states no release.
#[test]
fn a_worker_gets_the_release_of_its_control_plane() {
    let old = || Stated { value: Version::parse("v1.32.4+k3s1").unwrap(), stated: true };
    let snapshot = brought_up(&one_board(|site| site.settings.k3s_version = old()));
    let site = one_board(|site| site.settings.flash_force = true);
    in_virtual_time(async {
        let world = SimWorld::resume(&snapshot.of(&site));
        let runner = Runner { approve: &approve_all, scope: only_node02(&site), ..Runner::new(&site, "forced") };
        let done = runner.run(&world).await.unwrap();
        assert!(done.converged(), "{:#?}", done.troubles());
        let installed = node::Outline::InstallK3s { role: K3sRole::Agent, version: old().value };
        assert!(actions(&done).contains(&&installed.into()), "{:#?}", actions(&done));
    })
    .unwrap();
}

/// An installation that was taken away and not put back is put back as it was.
#[test]
fn a_reinstallation_that_was_cut_off_keeps_its_release() {
    let old = || Stated { value: Version::parse("v1.32.4+k3s1").unwrap(), stated: true };
    let snapshot = brought_up(&one_board(|site| site.settings.k3s_version = old()));
    let forced = one_board(|site| site.settings.k3s_force = true);
    let site = one_board(|_| {});
    in_virtual_time(async {
        let world = SimWorld::resume(&snapshot.clone().of(&forced));
        let scope = only_node02(&forced);
        let runner = Runner { approve: &approve_all, scope: scope.clone(), ..Runner::new(&forced, "forced") };
        let all = runner.run(&world).await.unwrap();
        let uninstalled = ActionOutline::from(node::Outline::UninstallK3s { role: K3sRole::Agent });
        let deleted = ActionOutline::from(cluster::Outline::DeleteNode { node: name("node02") });
        let actions = self::actions(&all);
        assert!(place(&actions, |action| *action == uninstalled) < place(&actions, |action| *action == deleted));

        let world = SimWorld::resume(&snapshot.clone().of(&forced));
        let is_gone = |event: &bringup_core::run::event::Event| match &event.what {
            What::ActionEnded { action, .. } => *action == uninstalled,
            _ => false,
        };
        let dies_after = Some(all.events.iter().position(is_gone).unwrap() + 1);
        let killed = Runner { approve: &approve_all, scope, dies_after, ..Runner::new(&forced, "killed") };
        assert!(killed.run(&world).await.is_none());
        let world = SimWorld::resume(&world.stop().of(&site));
        let done = Runner { approve: &approve_all, ..Runner::new(&site, "next") }.run(&world).await.unwrap();
        assert!(done.converged(), "{:#?}", done.troubles());
        let installs = self::actions(&done).into_iter().filter_map(|action| match action {
            ActionOutline::Node(node::Outline::InstallK3s { version, .. }) => Some(version.clone()),
            _ => None,
        });
        let installs: Vec<Version> = installs.collect();
        assert!(!installs.is_empty() && installs.iter().all(|version| *version == old().value), "{installs:#?}");
    })
    .unwrap();
}
