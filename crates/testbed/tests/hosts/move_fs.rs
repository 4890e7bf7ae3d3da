//! The root's move to another disk, told to both worlds.

use std::collections::BTreeMap;

use bringup_sim::{Condition, Story};

use crate::bed::Bed;
use crate::controller::Controller;
use crate::simulation::Simulation;

#[test]
#[ignore = "needs root and real hosts"]
fn a_root_moves_to_the_disk_that_the_site_names() {
    let bed = Bed::up("move-fs", &["--nodes", "2", "--disks"]);
    let inventory = std::fs::read_to_string(bed.site().join("hosts.yml")).unwrap();
    let disks: Vec<&str> = inventory.lines().filter_map(|line| line.trim().strip_prefix("root_dev: ")).collect();
    let vars = |disks: &[&str]| -> Vec<String> {
        (0..2).map(|at| format!("slot_num: {}, type: rk1, root_dev: {}", at + 1, disks[at])).collect()
    };
    // A simulated RK1 has its disk under the name that a real one gives it.
    let simulated = vars(&["/dev/nvme0n1"; 2]);
    let controller = Controller::new(&bed, &[("node01", &simulated[0]), ("node02", &simulated[1])], "");
    let story = Story::fresh().trusted().with("node01", Condition::Installed).with("node02", Condition::Installed);
    let mut simulation = Simulation::of(&controller, &story);
    let real = vars(&disks);
    controller.set_hosts(&[("node01", &real[0]), ("node02", &real[1])]);
    // Nothing answers for the board, and nothing is asked of it.
    let tags = "move_fs,update_packages";
    let trusted = controller.run(&["apply", "-y", "--tags", "known_hosts"]);
    assert_eq!(trusted.outcome("node01/known_host"), "changed", "{trusted:#?}");
    assert_eq!(trusted.outcome("board1/known_host"), "failed");

    let plan = controller.run(&["plan", "--tags", tags]);
    assert!(plan.hazards().iter().any(|hazard| hazard.contains("erase") && hazard.contains(disks[0])), "{plan:#?}");
    let moved = controller.run(&["apply", "-y", "--tags", tags]);
    assert!(moved.converged(), "{:#?}\n{}", moved.troubles(), moved.stderr);
    // Whether cloud-init still goes through a boot's motions when it is looked at is a matter of moments.
    let told = |outcomes: BTreeMap<String, String>| -> Vec<(String, String)> {
        outcomes.into_iter().filter(|(step, _)| !step.ends_with("/cloud_init")).collect()
    };
    assert_eq!(told(moved.outcomes()), told(simulation.apply(tags)));
    for (host, disk) in ["node01", "node02"].into_iter().zip(&disks) {
        let root = bed.shell(host, "findmnt -n -o SOURCE /");
        assert!(root.starts_with(disk), "{host}: / is on {root}, not on {disk}");
    }
    let again = controller.run(&["apply", "-y", "--tags", tags]);
    assert!(again.changed_nothing(), "{again:#?}");
    assert!(simulation.apply(tags).values().all(|outcome| outcome == "in_sync"));
}
