//! The testbed itself: two at once, and one whose making was cut short.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::bed::Bed;

/// What of a testbed's is left on the machine: its bridge and the processes of its hosts.
fn left_of(name: &str) -> usize {
    let bridges = fs::read_dir("/sys/class/net").unwrap().flatten();
    let bridges = bridges.filter(|entry| entry.file_name().to_string_lossy().starts_with("tb-")).count();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let word = format!("--name\0{name}\0");
    bridges + lines.filter(|line| String::from_utf8_lossy(line).contains(&word)).count()
}

#[test]
#[ignore = "needs root and real hosts"]
fn one_that_was_killed_while_it_was_made_is_cleaned_up() {
    let before = left_of("cut-short");
    for after in [300, 1200, 2500] {
        let mut up = Command::new(env!("CARGO_BIN_EXE_testbed"))
            .args(["up", "--nodes", "2", "--disks", "--name", "cut-short"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(after));
        up.kill().unwrap();
        up.wait().unwrap();
        let down = Command::new(env!("CARGO_BIN_EXE_testbed")).args(["down", "--name", "cut-short"]).status().unwrap();
        assert!(down.success(), "killed after {after} ms");
        assert_eq!(left_of("cut-short"), before, "killed after {after} ms");
        let loops = Command::new("losetup").args(["--list", "--noheadings", "--output", "BACK-FILE"]).output().unwrap();
        assert!(!String::from_utf8_lossy(&loops.stdout).contains("/cut-short/"), "killed after {after} ms");
    }
}

#[test]
#[ignore = "needs root and real hosts"]
fn two_at_once_do_not_meet() {
    let (one, two) = thread::scope(|scope| {
        let one = scope.spawn(|| Bed::up("one", &["--nodes", "1"]));
        let two = scope.spawn(|| Bed::up("two", &["--nodes", "1"]));
        (one.join().unwrap(), two.join().unwrap())
    });
    assert_ne!(one.gateway(), two.gateway());
    assert_ne!(one.boot_id("node01"), "");
    one.run(&["cut", "node01"]);
    assert_ne!(two.boot_id("node01"), "");
}
