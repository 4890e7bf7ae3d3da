//! A testbed for one test, gone when the test is.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

pub struct Bed {
    name: String,
}

/// Set by a person who wants to look into a test that fails: `testbed list --name NAME` says where its hosts are.
const KEEP: &str = "BRINGUP_KEEP_TESTBED";

fn testbed(name: &str, words: &[&str]) -> Result<Output, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_testbed")).args(words).args(["--name", name]).output();
    let output = output.map_err(|error| format!("testbed {words:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("testbed {words:?}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(output)
}

impl Bed {
    /// One with these hosts, as `testbed up` takes them. What an earlier try left under this name goes first.
    /// It belongs to this process, so that `testbed clean` takes it down if this process is killed; one that is to be kept
    /// belongs to nobody.
    pub fn up(name: &str, hosts: &[&str]) -> Self {
        Self::owned(name, std::env::var_os(KEEP).is_none().then(std::process::id), hosts)
    }

    /// One that belongs to another process, or to nobody.
    pub fn owned(name: &str, owner: Option<u32>, hosts: &[&str]) -> Self {
        testbed(name, &["down"]).unwrap();
        let bed = Self { name: name.to_owned() };
        let owner: Vec<String> = owner.into_iter().flat_map(|pid| ["--owner".to_owned(), pid.to_string()]).collect();
        let owner: Vec<&str> = owner.iter().map(String::as_str).collect();
        bed.run(&[&["up"], &owner[..], hosts].concat());
        bed
    }

    pub fn run(&self, words: &[&str]) -> String {
        let output = testbed(&self.name, words).unwrap_or_else(|trouble| panic!("{trouble}"));
        String::from_utf8(output.stdout).unwrap()
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

    pub fn fix(&self, host: &str, what: &str) {
        self.run(&["fix", host, what]);
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

    /// An object of the cluster whose server this host is, if it is there.
    pub fn object(&self, server: &str, what: &str) -> Option<Value> {
        let (exit, said) = self.tried(server, &format!("k3s kubectl get {what} --output=json"));
        if exit != 0 {
            assert!(said.contains("NotFound") || said.contains("have a resource type"), "{said}");
            return None;
        }
        Some(serde_json::from_str(&said).unwrap())
    }

    pub fn boot_id(&self, host: &str) -> String {
        self.shell(host, "cat /proc/sys/kernel/random/boot_id")
    }
}

impl Drop for Bed {
    /// A test that failed prints what state all was in before it goes. Nothing may panic then: that would end the process
    /// with all other tests in it, and leave their testbeds.
    fn drop(&mut self) {
        let gave_up = std::thread::panicking();
        if gave_up {
            match testbed(&self.name, &["state"]) {
                Ok(output) => eprintln!("testbed `{}`:\n{}", self.name, String::from_utf8_lossy(&output.stdout)),
                Err(trouble) => eprintln!("{trouble}"),
            }
            if std::env::var_os(KEEP).is_some() {
                return;
            }
        }
        match testbed(&self.name, &["down"]) {
            Err(trouble) if gave_up => eprintln!("{trouble}"),
            down => drop(down.unwrap()),
        }
    }
}
