//! The testbed itself: two at once, and one whose making was cut short.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::bed::Bed;

const NAME: &str = "cut-short";

/// The bridges that its records name.
fn bridges() -> Vec<String> {
    let records = fs::read_dir(format!("/var/lib/bringup-testbed/{NAME}/records")).into_iter().flatten().flatten();
    let names = records.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| Some(name.strip_prefix("bridge-")?.strip_suffix(".json")?.to_owned())).collect()
}

/// How many processes work for it.
fn processes() -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(&format!("--name\0{NAME}\0"))).count()
}

#[test]
#[ignore = "needs root and real hosts"]
fn one_that_was_killed_while_it_was_made_is_cleaned_up() {
    for after in [300, 1200, 2500] {
        let mut up = Command::new(env!("CARGO_BIN_EXE_testbed"))
            .args(["up", "--nodes", "2", "--disks", "--name", NAME])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(after));
        up.kill().unwrap();
        up.wait().unwrap();
        let bridges = bridges();
        let down = Command::new(env!("CARGO_BIN_EXE_testbed")).args(["down", "--name", NAME]).status().unwrap();
        assert!(down.success(), "killed after {after} ms");
        // One that was just being started notices by itself that its testbed is gone.
        let began = Instant::now();
        while processes() > 0 {
            assert!(began.elapsed() < Duration::from_secs(20), "killed after {after} ms");
            thread::sleep(Duration::from_millis(50));
        }
        for bridge in bridges {
            assert!(!fs::exists(format!("/sys/class/net/{bridge}")).unwrap(), "{bridge}, killed after {after} ms");
        }
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
