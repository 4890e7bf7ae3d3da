//! Stories that both worlds are told: the same site, the same things happening, and the same outcomes of each step.

use bringup_sim::{SimWorld, Story};

use crate::bed::Bed;
use crate::controller::Controller;
use crate::simulation::Simulation;

const TAGS: &str = "known_hosts,servers";

/// What happens to a host, in one world and in the other.
struct Mishap {
    host: &'static str,
    real: fn(&Bed, &str),
    simulated: fn(&SimWorld, &str),
}

const MISHAPS: [Mishap; 4] = [
    Mishap {
        host: "node01",
        real: |bed, host| bed.break_it(host, "half-configured"),
        simulated: SimWorld::half_configure,
    },
    Mishap {
        host: "node02",
        real: |bed, host| drop(bed.shell(host, "apt-get -q -y purge original-awk")),
        simulated: |world, host| world.remove_package(host, "original-awk"),
    },
    Mishap {
        host: "node03",
        real: |bed, host| bed.break_it(host, "changed-host-key"),
        simulated: SimWorld::change_host_key,
    },
    Mishap { host: "node04", real: |bed, host| bed.break_it(host, "refuse-ssh"), simulated: SimWorld::hang },
];

#[test]
#[ignore = "needs root and real hosts"]
fn four_hosts_are_prepared_and_fixed_as_in_the_simulation() {
    let bed = Bed::up("stories", &["--nodes", "4", "--workstation", "ws01"]);
    let hosts = [("node01", ""), ("node02", ""), ("node03", ""), ("node04", "")];
    let workstation = [("ws01", "workstation: true, nvidia_gpu_node: true")];
    let controller = Controller::new(&bed, &[&hosts[..], &workstation].concat(), "");
    let mut simulation = Simulation::of(&controller, &Story::fresh());
    let boots = |host| bed.boot_id(host);
    let (node, sat_at) = (boots("node01"), boots("ws01"));

    let planned = controller.plan();
    assert_eq!(planned.planned()["node01/known_host"], "change");
    assert_eq!(planned.hazards().iter().filter(|hazard| hazard.contains("reboot")).count(), 4, "{planned:#?}");
    let first = controller.apply(&[]);
    assert!(first.converged(), "{:#?}\n{}", first.troubles(), first.stderr);
    assert_eq!(first.outcomes(), simulation.apply(TAGS));
    assert_ne!(boots("node01"), node);
    assert_eq!(boots("ws01"), sat_at, "a workstation is told, not rebooted");
    assert!(first.events.iter().any(|event| event["event"] == "noticed" && event["step"] == "ws01/reboot"));

    let again = controller.apply(&[]);
    assert!(again.changed_nothing(), "{again:#?}");
    assert!(simulation.apply(TAGS).values().all(|outcome| outcome == "in_sync"));

    for mishap in &MISHAPS {
        (mishap.real)(&bed, mishap.host);
        simulation.happen(|world| (mishap.simulated)(world, mishap.host));
    }
    let fixed = controller.apply(&[]);
    assert_eq!(fixed.outcomes(), simulation.apply(TAGS), "{:#?}", fixed.troubles());
    assert_eq!(fixed.status, 1);
    assert_eq!(fixed.outcome("node01/configured"), "changed");
    assert_eq!(fixed.outcome("node02/packages"), "changed");
    assert_eq!(fixed.outcome("node03/known_host"), "blocked");
    fixed.fault("node04/known_host", &["unreachable"]);
    let plan = controller.plan();
    assert_eq!(plan.planned()["node01/configured"], "in_sync");
    assert_eq!(plan.planned()["node04/known_host"], "unreachable");
}
