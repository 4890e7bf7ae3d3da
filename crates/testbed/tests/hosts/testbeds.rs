//! The testbed itself: two at once, one whose making was cut short, and what dead test runs have left.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::bed::Bed;
use crate::wait;

const STATE: &str = "/var/lib/bringup-testbed";

/// What a testbed had made outside its directory.
struct Made {
    name: &'static str,
    /// Names of its records: the kind of a thing and what it is called.
    records: Vec<String>,
}

impl Made {
    fn of(name: &'static str) -> Self {
        let records = fs::read_dir(format!("{STATE}/{name}/records")).into_iter().flatten().flatten();
        let names = records.filter_map(|entry| entry.file_name().into_string().ok());
        Self { name, records: names.filter_map(|name| Some(name.strip_suffix(".json")?.to_owned())).collect() }
    }

    /// What is called so of a kind; a path's slashes are percent signs there.
    fn all(&self, kind: &str) -> Vec<String> {
        self.records.iter().filter_map(|name| Some(name.strip_prefix(kind)?.replace('%', "/"))).collect()
    }

    /// Checks that none of it is left.
    fn is_gone(&self, when: &str) {
        let name = self.name;
        // A process that was just being started notices by itself that its testbed is gone.
        wait::until(Duration::from_secs(20), &format!("the end of what works for {name}, {when}"), || {
            let all = processes(name);
            wait::so(all.is_empty(), || format!("{all:?}"))
        });
        for bridge in self.all("bridge-") {
            assert!(!fs::exists(format!("/sys/class/net/{bridge}")).unwrap(), "{bridge}, {when}");
        }
        for path in self.all("cgroup-") {
            assert!(!fs::exists(&path).unwrap(), "{path}, {when}");
        }
        let loops = said(Command::new("losetup").args(["--list", "--noheadings", "--output", "BACK-FILE"]));
        assert!(!loops.contains(&format!("/{name}/")), "{loops}, {when}");
        let tables = said(Command::new("nft").args(["list", "tables"]));
        for table in self.all("nft-table-") {
            assert!(!tables.contains(&table), "{table}, {when}");
        }
        for path in [format!("{STATE}/{name}"), format!("{STATE}/.owner-{name}.json")] {
            assert!(!fs::exists(&path).unwrap(), "{path}, {when}");
        }
    }
}

fn said(command: &mut Command) -> String {
    String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
}

fn testbed() -> Command {
    Command::new(env!("CARGO_BIN_EXE_testbed"))
}

/// The numbers of the processes that work for a testbed.
fn processes(name: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let for_it = |entry: &fs::DirEntry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&format!("--name\0{name}\0"))
    };
    all.filter(for_it).filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Starts to make a testbed, and kills that after a while.
fn cut_short(words: &[&str], after: u64) {
    let mut up = testbed().arg("up").args(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // It is to be killed at a moment that nothing tells of.
    thread::sleep(Duration::from_millis(after));
    up.kill().unwrap();
    up.wait().unwrap();
}

#[test]
#[ignore = "needs root and real hosts"]
fn one_that_was_killed_while_it_was_made_is_cleaned_up() {
    for after in [300, 1200, 2500] {
        cut_short(&["--nodes", "2", "--disks", "--name", "cut-short"], after);
        let made = Made::of("cut-short");
        let down = testbed().args(["down", "--name", "cut-short"]).status().unwrap();
        assert!(down.success(), "killed after {after} ms");
        made.is_gone(&format!("killed after {after} ms"));
    }
}

/// A process that lives for as long as the story wants.
struct Sleeper(Child);

impl Sleeper {
    fn new(run: Option<&str>) -> Self {
        let mut sleep = Command::new("sleep");
        sleep.arg("3600").env_remove("BRINGUP_TEST_RUN").envs(run.map(|run| ("BRINGUP_TEST_RUN", run)));
        Self(sleep.spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    /// As a test run calls itself.
    fn run(&self) -> String {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let start = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap();
        format!("{}:{start}", self.pid())
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    fn end(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs root and real hosts"]
fn what_dead_test_runs_have_left_is_cleaned_up_and_nothing_else() {
    let (mut dead, alive) = (Sleeper::new(None), Sleeper::new(None));
    let (of_dead, of_alive) = (dead.run(), alive.run());
    let (mut stray, mut at_work) = (Sleeper::new(Some(&of_dead)), Sleeper::new(Some(&of_alive)));
    let mut garbled = Sleeper::new(Some("nobody"));
    let pid = dead.pid();
    let up = |name: &'static str, owner: Option<u32>, words: &'static [&'static str]| {
        thread::spawn(move || Bed::owned(name, owner, words))
    };
    let beds = [
        up("clean-dead", Some(pid), &["--nodes", "1", "--disks"]),
        up("clean-alive", Some(alive.pid()), &["--nodes", "1"]),
        up("clean-nobodys", None, &["--nodes", "1"]),
    ];
    let [left, owned, nobodys] = beds.map(|bed| bed.join().unwrap());
    cut_short(&["--nodes", "1", "--disks", "--owner", &pid.to_string(), "--name", "clean-cut-short"], 1500);
    let (before, cut) = (Made::of("clean-dead"), Made::of("clean-cut-short"));
    for kind in ["bridge-", "cgroup-", "loop-", "nft-table-", "process-"] {
        assert!(!before.all(kind).is_empty(), "{kind}: {:?}", before.records);
    }
    let boots = [owned.boot_id("node01"), nobodys.boot_id("node01")];

    let clean = || {
        let output = testbed().arg("clean").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let early = clean();
    assert!(!early.contains("clean-") && stray.lives(), "while all live: {early}");

    dead.end();
    // As a `down` does that is killed after its first deed.
    fs::remove_file(format!("{STATE}/clean-dead/testbed.json")).unwrap();
    let cleaned = clean();
    let removed = |name: &str| format!("removed testbed {name} (its owner, process {pid}, is gone)\n");
    let killed = format!("killed process {} (left by a test run that ended)\n", stray.pid());
    for line in [removed("clean-dead"), removed("clean-cut-short"), killed] {
        assert!(cleaned.contains(&line), "no `{line}`: {cleaned}");
    }
    assert!(!cleaned.contains("clean-alive") && !cleaned.contains("clean-nobodys"), "{cleaned}");
    before.is_gone("cleaned up");
    cut.is_gone("cleaned up");
    assert!(!stray.lives() && at_work.lives() && garbled.lives());
    assert_eq!(boots, [owned.boot_id("node01"), nobodys.boot_id("node01")]);
    let again = clean();
    assert!(!again.contains("clean-"), "{again}");
    drop(left);
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

#[test]
#[ignore = "needs root and real hosts"]
fn the_state_of_everything_is_printed() {
    let bed = Bed::up("state", &["--nodes", "2"]);
    bed.shell("node01", "systemd-run --quiet --unit=broken false; logger --priority user.warning it-went-wrong");
    bed.run(&["cut", "node02"]);
    let state = bed.run(&["state"]);
    for part in [
        "=== node01\nrunning\n",
        "=== node01: units that failed\nbroken.service",
        "=== node01: processes of apt and dpkg\n",
        "it-went-wrong",
        "=== node01: the journal of k3s, SSH and cloud-init\n",
        "=== node02\noff\n",
        "=== hosts/node02/console.log\n",
        "=== logs/serve.log\n",
    ] {
        assert!(state.contains(part), "no `{part}`: {state}");
    }
    assert!(state.len() < 200_000, "{} bytes", state.len());
}
