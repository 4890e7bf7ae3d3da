//! Boards: from an image's address to prepared nodes, by each way; killed anywhere.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::bed::Bed;
use crate::controller::{Controller, Ran};

const TAGS: &str = "flash,known_hosts,servers";
pub const SLOTS: [(&str, &str); 4] = [
    ("node01", "slot_num: 1, type: rk1"),
    ("node02", "slot_num: 2, type: rk1"),
    ("node03", "slot_num: 3, type: rk1"),
    ("node04", "slot_num: 4, type: rk1"),
];

pub fn flash(controller: &Controller, words: &[&str]) -> Ran {
    controller.run(&[&["apply", "-y", "--tags", TAGS, "-e", "do_flash=true"], words].concat())
}

/// Nodes are who we made them, and let nobody in with a password.
pub fn are_ours(bed: &Bed, controller: &Controller, hosts: &[(&str, &str)]) {
    let known = std::fs::read_to_string(controller.file(".ssh/known_hosts")).unwrap();
    for (host, _) in hosts {
        let key = bed.shell(host, "cut -d ' ' -f 1,2 /etc/ssh/ssh_host_ed25519_key.pub");
        assert!(known.contains(&format!("{host}.lan {key}")), "{host}: {key}\n{known}");
        assert_eq!(bed.shell(host, "ls /etc/ssh/ssh_host_*_key"), "/etc/ssh/ssh_host_ed25519_key", "{host}");
        assert_eq!(bed.shell(host, "sshd -T | grep '^passwordauthentication'"), "passwordauthentication no", "{host}");
        assert_eq!(bed.shell(host, "hostname"), *host);
        assert_eq!(bed.shell(host, "stat -c %a /etc/ssh/ssh_host_ed25519_key"), "600", "{host}");
    }
}

/// Whoever was believed at first sight: nobody but the boards may be.
pub fn believed(ran: &Ran) -> Vec<String> {
    ran.hazards().into_iter().filter(|hazard| hazard.contains("trust_key") && hazard.contains("node")).collect()
}

#[test]
#[ignore = "needs root and real hosts"]
fn four_empty_slots_become_four_prepared_nodes() {
    let bed = Bed::up("boards", &["--boards", "1", "--slots", "4"]);
    let controller = Controller::new(&bed, &SLOTS, "");
    let first = flash(&controller, &[]);
    assert!(first.converged(), "{:#?}\n{}", first.troubles(), first.stderr);
    assert_eq!(believed(&first), [""; 0]);
    are_ours(&bed, &controller, &SLOTS);
    let again = flash(&controller, &[]);
    assert!(again.changed_nothing(), "{again:#?}");
    let impossible = flash(&controller, &["-e", "flash_transport=stream", "-e", "bmc_interface=tpi"]);
    assert_eq!(impossible.status, 2, "tpi reads a file on the BMC");
}

/// The default is to stage the image on the BMC and to flash it through the BMC's API.
#[test]
#[ignore = "needs root and real hosts"]
fn a_slot_is_flashed_again_in_each_of_the_other_ways() {
    let bed = Bed::up("board-ways", &["--boards", "1", "--slots", "2"]);
    let controller = Controller::new(&bed, &SLOTS[..2], "");
    bed.run(&["break", "board1", "usb-hub"]);
    a_neighbour_that_waits_is_not_written(&bed, &controller);
    // With little memory bmcd could not unpack the image that it is sent: the controller does.
    bed.shell("board1", "echo 'MemFree: 200 kB' > /run/meminfo && mount --bind /run/meminfo /proc/meminfo");
    let staged = flash(&controller, &["--limit", "node02"]);
    let fault = staged.fault("node02/provisioned_slot", &["failed"]);
    assert!(fault["said"].to_string().contains("the BMC has 0 MiB free"), "{fault:#}");
    let first = flash(&controller, &["-e", "flash_transport=stream"]);
    assert!(first.converged(), "{:#?}\n{}", first.troubles(), first.stderr);
    bed.shell("board1", "umount /proc/meminfo");
    assert_eq!(believed(&first), [""; 0]);
    are_ours(&bed, &controller, &SLOTS[..2]);
    assert_eq!(bed.shell("board1", "cat /root/.bringup/port-1 /root/.bringup/port-2"), "1.1\n1.2");
    let again = flash(&controller, &["-e", "flash_transport=stream"]);
    assert!(again.changed_nothing(), "{again:#?}");

    let boots = || ["node01", "node02"].map(|node| bed.boot_id(node));
    let before = boots();
    let forced = flash(&controller, &["-e", "bmc_interface=tpi", "-e", "flash_force=true", "--limit", "node02"]);
    assert!(forced.converged(), "{:#?}\n{}", forced.troubles(), forced.stderr);
    assert_eq!(forced.outcome("node02/provisioned_slot"), "changed");
    let after = boots();
    assert_eq!(after[0], before[0], "a node that was not named was rebooted");
    assert_ne!(after[1], before[1]);
    are_ours(&bed, &controller, &SLOTS[..2]);
    let again = flash(&controller, &["-e", "bmc_interface=tpi"]);
    assert!(again.changed_nothing(), "{again:#?}");
}

/// On a board with a hub bmcd would write to the first module that waits for a boot, whatever slot it was asked for.
fn a_neighbour_that_waits_is_not_written(bed: &Bed, controller: &Controller) {
    bed.shell("board1", "tpi usb flash -n 1 && tpi power on -n 1 && tpi usb device -n 2");
    let refused = flash(controller, &["-e", "flash_transport=stream", "--limit", "node02"]);
    let fault = refused.fault("node02/provisioned_slot", &["refused"]);
    assert!(fault["said"].to_string().contains("1-1.1"), "{fault:#}");
    bed.shell("board1", "tpi power off -n 1 && tpi usb device -n 1");
}

/// Runs until an event that is like this, and kills it.
fn kill_at(controller: &Controller, words: &[&str], like: impl Fn(&Value) -> bool) -> bool {
    let mut command =
        controller.command(&[&["apply", "-y", "--json", "--tags", TAGS, "-e", "do_flash=true"], words].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reached = lines.map_while(Result::ok).any(|line| like(&serde_json::from_str(&line).unwrap()));
    child.kill().unwrap();
    child.wait().unwrap();
    reached
}

fn begins(action: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["event"] == "action_started" && event["action"]["kind"] == action
}

fn moves(step: &'static str) -> impl Fn(&Value) -> bool {
    move |event| {
        event["event"] == "progress" && event["step"] == step && event["done"].as_u64().is_some_and(|done| done > 0)
    }
}

fn boots(event: &Value) -> bool {
    event["event"] == "waiting" && event["awaited"]["kind"] == "made_host_key"
}

/// A run that is killed at this event is continued by the next one.
fn is_continued(bed: &str, at: impl Fn(&Value) -> bool) {
    let bed = Bed::up(bed, &["--boards", "1", "--slots", "1"]);
    let controller = Controller::new(&bed, &SLOTS[..1], "");
    assert!(kill_at(&controller, &[], at), "it never came to that");
    // What it had begun may look like a node that lives: the next run is told that it may go on.
    let next = flash(&controller, &["--limit", "node01"]);
    assert!(next.converged(), "{:#?}\n{}", next.troubles(), next.stderr);
    assert_eq!(believed(&next), [""; 0]);
    are_ours(&bed, &controller, &SLOTS[..1]);
    let again = flash(&controller, &[]);
    assert!(again.changed_nothing(), "{again:#?}");
}

/// One story for each moment: each flashes a module, which takes its time.
mod killed {
    use super::{begins, boots, is_continued, moves};

    #[test]
    #[ignore = "needs root and real hosts"]
    fn before_it_downloads() {
        is_continued("killed-before-download", begins("stage_image"));
    }

    #[test]
    #[ignore = "needs root and real hosts"]
    fn while_it_downloads_and_stages() {
        is_continued("killed-stages", moves("board1/rk1_image"));
    }

    #[test]
    #[ignore = "needs root and real hosts"]
    fn before_it_powers_off() {
        is_continued("killed-before-off", begins("power_off"));
    }

    #[test]
    #[ignore = "needs root and real hosts"]
    fn before_it_flashes() {
        is_continued("killed-before-flash", begins("start_flash"));
    }

    #[test]
    #[ignore = "needs root and real hosts"]
    fn while_it_writes() {
        is_continued("killed-writes", moves("node01/provisioned_slot"));
    }

    #[test]
    #[ignore = "needs root and real hosts"]
    fn before_it_gives_an_identity() {
        is_continued("killed-before-identity", begins("seed_cloud_init"));
    }

    #[test]
    #[ignore = "needs root and real hosts"]
    fn before_it_powers_on() {
        is_continued("killed-before-on", begins("power_on"));
    }

    #[test]
    #[ignore = "needs root and real hosts"]
    fn while_the_module_boots() {
        is_continued("killed-boots", boots);
    }
}
