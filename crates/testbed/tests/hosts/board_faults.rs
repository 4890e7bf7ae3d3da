//! Boards with things going wrong: each is overcome, or ends in one fault that helps, with nothing erased that need not be.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use crate::bed::Bed;
use crate::boards::{SLOTS, are_ours, believed, flash};
use crate::controller::{Controller, Ran};

/// What a flash overcomes by itself: a story for each, as each flashes a module.
mod overcome {
    use super::{board_with, is_flashed, stuck_beside_another_module};

    #[test]
    #[ignore = "needs root and real hosts"]
    fn usb_that_is_not_found_twice() {
        is_flashed(&board_with("usb-not-found", "2"));
    }

    #[test]
    #[ignore = "needs root and real hosts"]
    fn wrong_bytes_after_a_mebibyte() {
        is_flashed(&board_with("wrong-bytes", "1048576"));
    }

    #[test]
    #[ignore = "needs root and real hosts"]
    fn a_disk_that_comes_late() {
        is_flashed(&board_with("msd-late", "8"));
    }

    #[test]
    #[ignore = "needs root and real hosts"]
    fn a_disk_with_another_letter() {
        is_flashed(&board_with("msd-letter", "c"));
    }

    #[test]
    #[ignore = "needs root and real hosts"]
    fn a_worker_that_is_stuck() {
        stuck_beside_another_module();
    }

    #[test]
    #[ignore = "needs root and real hosts"]
    fn a_board_that_loses_its_power() {
        is_flashed(&board_with("power-cut", "4194304"));
    }
}

/// A board with a module, at which this will go wrong.
fn board_with(fault: &str, value: &str) -> Bed {
    let bed = Bed::up(&format!("odd-{fault}"), &["--boards", "1", "--slots", "1"]);
    bed.run(&["break", "board1", fault, value, "--slot", "1"]);
    bed
}

fn is_flashed(bed: &Bed) {
    let controller = Controller::new(bed, &SLOTS[..1], "");
    let ran = flash(&controller, &[]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    assert_eq!(believed(&ran), [""; 0]);
    are_ours(bed, &controller, &SLOTS[..1]);
    let again = flash(&controller, &[]);
    assert!(again.changed_nothing(), "{again:#?}");
}

/// What is stuck ends with the daemon, whose restart takes the power of the other slots. Those that the same run flashed get it
/// back; where somebody else's node has power, the daemon is left alone.
fn stuck_beside_another_module() {
    let bed = Bed::up("odd-worker-stuck", &["--boards", "1", "--slots", "2"]);
    let controller = Controller::new(&bed, &SLOTS[..2], "");
    let stuck = ["break", "board1", "worker-stuck", "4194304", "--slot", "2"];
    bed.run(&stuck);
    // Only this run gives power back.
    bed.run(&["break", "board1", "forgets-power"]);
    let ran = flash(&controller, &[]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    are_ours(&bed, &controller, &SLOTS[..2]);
    // The bus goes where it is stored to go: to make a disk of a module takes it there.
    assert_eq!(bed.shell("board1", "cat /var/lib/testbed-board/usb-route"), "1");

    let before = bed.boot_id("node01");
    bed.run(&stuck);
    let ran = flash(&controller, &["-e", "flash_force=true", "--limit", "node02"]);
    let fault = ran.fault("node02/provisioned_slot", &["failed"]);
    assert!(fault["said"].to_string().contains("may cut the power of other slots (1)"), "{fault:#}");
    assert!(fault["next"].to_string().contains("S94bmcd restart"), "{fault:#}");
    assert_eq!(bed.boot_id("node01"), before, "a node that was not named was rebooted");
}

/// A web server that promises a megabyte and gives a thousand bytes, as often as it is asked.
fn breaks_off() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/broken.img.xz", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
            let _ = stream.write_all(&[0; 1000]);
        }
    });
    url
}

/// An end of an xz file that says that it unpacks to 40 GB, in a thousand blocks: 2.1.2 and 4 of its format.
fn xz_bomb() -> Vec<u8> {
    let mut index = vec![0, 0xe8, 0x07];
    index.extend([0x20, 0x80, 0x80, 0x80, 0x14].repeat(1000));
    index.resize(index.len().next_multiple_of(4) + 4, 0);
    let mut file = [0xfd, b'7', b'z', b'X', b'Z', 0].to_vec();
    file.resize(12 + 1000 * 0x20, 0);
    file.extend(&index);
    file.extend([0; 4]);
    file.extend((index.len() as u32 / 4 - 1).to_le_bytes());
    file.extend([0, 0, b'Y', b'Z']);
    file
}

#[test]
#[ignore = "needs root and real hosts"]
fn images_that_are_none_erase_nothing() {
    let bed = Bed::up("board-images", &["--boards", "1", "--slots", "1"]);
    let controller = Controller::new(&bed, &SLOTS[..1], "");
    let slot = "/var/lib/testbed-board/slot1";

    // It fits no module this small: that is seen when it is full, and said; the slot has no power then.
    bed.shell("board1", &format!("truncate -s 256M {slot}/emmc.img"));
    let ran = flash(&controller, &[]);
    let fault = ran.fault("node01/provisioned_slot", &["failed"]);
    assert!(fault["likely"].to_string().contains("larger than the module"), "{fault:#}");
    assert_eq!(power(&controller, "node01"), "off");
    bed.shell("board1", &format!("truncate -s 8G {slot}/emmc.img"));
    let ran = flash(&controller, &[]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);

    let before = bed.boot_id("node01");
    let sum = |bytes: &[u8]| format!("rk1_image_sha256={}", bringup_core::ids::Sha256::of(bytes));
    let file = |name: &str, bytes: &[u8]| {
        let path = controller.file(name);
        fs::write(&path, bytes).unwrap();
        [format!("rk1_image_url={}", path.display()), sum(bytes)]
    };
    let page = b"<html><body>This page has moved.</body></html>".repeat(100);
    let bad = [
        ("a download that breaks off", [format!("rk1_image_url={}", breaks_off()), sum(b"")]),
        ("other bytes", ["rk1_image_sha256=".to_owned() + &"0".repeat(64), "log_level=info".to_owned()]),
        ("a page", file("page.img", &page)),
        ("a page, compressed", file("page.img.xz", &compressed(&page))),
        ("a bomb", file("bomb.img.xz", &xz_bomb())),
    ];
    for transport in ["flash_transport=stage", "flash_transport=stream"] {
        for (what, variables) in &bad {
            let mut words = vec!["-e", transport, "-e", "flash_force=true", "--limit", "node01"];
            words.extend(variables.iter().flat_map(|variable| ["-e", variable]));
            let ran = flash(&controller, &words);
            let failed = ran.troubles().keys().find(|step| ran.outcome(step) == "failed").cloned();
            let step = failed.unwrap_or_else(|| panic!("{what}, {transport}: {:#?}", ran.troubles()));

            ran.fault(&step, &["lost", "mismatch", "failed"]);
            assert_eq!(bed.boot_id("node01"), before, "{what}, {transport}");
        }
    }
    let again = flash(&controller, &[]);
    assert!(again.changed_nothing(), "{again:#?}");
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    liblzma::read::XzEncoder::new(bytes, 6).read_to_end(&mut packed).unwrap();
    packed
}

/// What `bringup power status` says of a node.
fn power(controller: &Controller, node: &str) -> String {
    let output = controller.command(&["power", "status", node]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    said.split_whitespace().last().unwrap_or_default().to_owned()
}

#[test]
#[ignore = "needs root and real hosts"]
fn an_empty_slot_and_a_changed_bmc_are_told_of() {
    let bed = Bed::up("board-empty", &["--boards", "1", "--slots", "1"]);
    let controller = Controller::new(&bed, &SLOTS[..2], "");
    let ran = flash(&controller, &[]);
    let fault = ran.fault("node02/provisioned_slot", &["passing", "failed"]);
    assert!(fault["next"].to_string().contains("slot"), "{fault:#}");
    assert_eq!(power(&controller, "node02"), "off");
    assert_eq!(ran.outcome("node01/provisioned_slot"), "changed", "{:#?}", ran.troubles());
    are_ours(&bed, &controller, &SLOTS[..1]);

    // Whoever answers in the BMC's place is told nothing and does nothing.
    let before = bed.boot_id("node01");
    let keys = "/etc/ssh/ssh_host_ed25519_key";
    bed.shell(
        "board1",
        &format!("cp -p {keys} /root/kept; rm {keys} {keys}.pub; ssh-keygen -q -t ed25519 -N '' -f {keys}"),
    );
    let ran = flash(&controller, &["-e", "flash_force=true", "--limit", "node01"]);
    assert_eq!(ran.outcome("board1/known_host"), "blocked", "{:#?}", ran.troubles());
    let carried = ran.carried("board1/known_host");
    assert!(carried["why"].to_string().contains("changed"), "{carried:#}");
    assert!(carried["next"].to_string().contains("--accept-changed-host-keys"), "{carried:#}");
    assert_ne!(ran.outcome("node01/provisioned_slot"), "changed");
    assert_eq!(bed.boot_id("node01"), before);
}

#[test]
#[ignore = "needs root and real hosts"]
fn a_stored_usb_boot_is_told_and_put_back() {
    let bed = Bed::up("board-usb", &["--boards", "1", "--slots", "1"]);
    let controller = Controller::new(&bed, &SLOTS[..1], "");
    let board = ["apply", "-y", "--tags", "flash", "--limit", "board1", "-e", "do_flash=true"];
    assert_eq!(controller.run(&board).outcome("board1/usb_mode"), "in_sync");
    let restart = "/etc/init.d/S94bmcd restart; until tpi power status; do sleep 1; done";
    bed.shell("board1", &format!("tpi usb flash -n 3; {restart}"));
    let ran = controller.run(&board);
    assert_eq!(ran.outcome("board1/usb_mode"), "changed", "{:#?}", ran.troubles());
    assert!(ran.hazards().iter().any(|hazard| hazard.contains("clear_usb_boot")), "{:#?}", ran.hazards());
    bed.shell("board1", restart);
    assert!(controller.run(&board).changed_nothing());
}

#[test]
#[ignore = "needs root and real hosts"]
fn two_nodes_that_claim_a_slot_are_an_error_of_the_site() {
    let bed = Bed::up("board-claimed", &["--nodes", "1"]);
    let twice = [("node01", "slot_num: 1, type: rk1"), ("node02", "slot_num: 1, type: rk1")];
    let ran: Ran = flash(&Controller::new(&bed, &twice, ""), &[]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("is `node01`'s already"), "{}", ran.stderr);
    assert!(ran.events.is_empty(), "{:#?}", ran.events);
}

#[test]
#[ignore = "needs root and real hosts"]
fn what_goes_wrong_on_a_board_is_told() {
    let bed = Bed::up("board-wrong", &["--boards", "1", "--slots", "1"]);
    let controller = Controller::new(&bed, &SLOTS[..1], "");
    let trusted = controller.run(&["apply", "-y", "--tags", "known_hosts", "--limit", "board1"]);
    assert!(trusted.converged(), "{:#?}", trusted.troubles());

    bed.run(&["break", "board1", "sd-missing"]);
    let ran = flash(&controller, &[]);
    assert_eq!(ran.outcome("board1/rk1_image"), "blocked", "{:#?}", ran.troubles());
    bed.run(&["fix", "board1", "sd-missing"]);

    bed.run(&["break", "board1", "sd-full"]);
    let ran = flash(&controller, &[]);
    ran.fault("board1/rk1_image", &["failed"]);
    bed.run(&["fix", "board1", "sd-full"]);

    bed.run(&["break", "board1", "bmcd-dead"]);
    let ran = flash(&controller, &[]);
    assert_ne!(ran.status, 0);
    assert!(ran.troubles().keys().any(|step| step.starts_with("board1/") || step.starts_with("node01/")));
    bed.run(&["fix", "board1", "bmcd-dead"]);

    let wrong = "rk1_image_sha256=0000000000000000000000000000000000000000000000000000000000000000";
    let ran = flash(&controller, &["-e", wrong]);
    ran.fault("board1/rk1_image", &["mismatch"]);

    bed.run(&["break", "board1", "never-boots", "--slot", "1"]);
    let ran = flash(&controller, &["-e", "reboot_timeout=20"]);
    let fault = ran.fault("node01/provisioned_slot", &["timed_out"]);
    assert!(fault["next"].to_string().contains("console"), "{fault:#}");
    bed.run(&["fix", "board1", "never-boots", "--slot", "1"]);
    // It has power and is silent: to take that needs its name.
    let ran = flash(&controller, &[]);
    assert_eq!(ran.outcome("node01/provisioned_slot"), "blocked", "{:#?}", ran.troubles());
    let ran = flash(&controller, &["--limit", "node01"]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    are_ours(&bed, &controller, &SLOTS[..1]);

    // Whoever lives is left alone, also by whoever does not know it.
    let stranger = Controller::new(&bed, &SLOTS[..1], "");
    let before = bed.boot_id("node01");
    flash(&stranger, &[]);
    let wrong_suffix = Controller::new(&bed, &SLOTS[..1], "local_domain: .wrong");
    flash(&wrong_suffix, &[]);
    assert_eq!(bed.boot_id("node01"), before);

    bed.run(&["cut", "board1"]);
    let ran = flash(&controller, &[]);
    ran.fault("board1/known_host", &["unreachable"]);
    bed.run(&["start", "board1"]);
}
