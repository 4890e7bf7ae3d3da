//! A testbed for one test, gone when the test is.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub struct Bed {
    name: String,
}

fn testbed(name: &str, words: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_testbed")).args(words).args(["--name", name]).output().unwrap();
    assert!(output.status.success(), "testbed {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

impl Bed {
    /// One with these hosts, as `testbed up` takes them. What an earlier try left under this name goes first.
    pub fn up(name: &str, hosts: &[&str]) -> Self {
        testbed(name, &["down"]);
        let bed = Self { name: name.to_owned() };
        bed.run(&[&["up"], hosts].concat());
        bed
    }

    pub fn run(&self, words: &[&str]) -> String {
        String::from_utf8(testbed(&self.name, words).stdout).unwrap()
    }

    /// The directory of its site, as `testbed site` prints it.
    pub fn site(&self) -> PathBuf {
        Path::new(self.run(&["site"]).trim()).to_owned()
    }

    /// The address that its name server listens on.
    pub fn gateway(&self) -> Ipv4Addr {
        let list = self.run(&["list"]);
        let address: Ipv4Addr = list.split_whitespace().nth(1).unwrap().parse().unwrap();
        let [a, b, c, _] = address.octets();
        Ipv4Addr::new(a, b, c, 1)
    }

    pub fn break_it(&self, host: &str, what: &str) {
        self.run(&["break", host, what]);
    }

    pub fn mend(&self, host: &str, what: &str) {
        self.run(&["mend", host, what]);
    }

    /// Runs shell inside a host as root; what it printed.
    pub fn shell(&self, host: &str, script: &str) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_testbed"))
            .args(["exec", "--name", &self.name, host, "--", "sh", "-ec", script])
            .output()
            .unwrap();
        assert!(output.status.success(), "{host}: {script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs shell inside a host as root; how it ended, and what it printed on either of its outputs.
    pub fn tried(&self, host: &str, script: &str) -> (i32, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_testbed"))
            .args(["exec", "--name", &self.name, host, "--", "sh", "-c", &format!("exec 2>&1\n{script}")])
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }

    pub fn boot_id(&self, host: &str) -> String {
        self.shell(host, "cat /proc/sys/kernel/random/boot_id")
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // A test that failed may be looked into: `testbed list --name NAME` says where its hosts are.
        if !std::thread::panicking() || std::env::var_os("BRINGUP_KEEP_TESTBED").is_none() {
            testbed(&self.name, &["down"]);
        }
    }
}
