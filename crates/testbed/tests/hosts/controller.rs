//! A controller with a home of its own, whose names are resolved by the testbed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::bed::Bed;

pub struct Controller {
    home: tempfile::TempDir,
}

/// What a run did.
#[derive(Debug)]
pub struct Ran {
    pub status: i32,
    pub events: Vec<Value>,
    pub stderr: String,
}

/// The binary that is tested lies beside the testbed's.
pub fn bringup() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_testbed")).with_file_name("bringup")
}

impl Controller {
    /// One with a site of these hosts, each with its variables, and these settings beside the testbed's.
    pub fn new(bed: &Bed, hosts: &[(&str, &str)], settings: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let controller = Self { home };
        let site = controller.site();
        fs::create_dir_all(site.join("group_vars")).unwrap();
        fs::create_dir_all(site.join("pub_keys")).unwrap();
        fs::copy(bed.site().join("pub_keys/testbed.pub"), site.join("pub_keys/testbed.pub")).unwrap();
        let all = fs::read_to_string(bed.site().join("group_vars/all.yml")).unwrap();
        let own = ["known_hosts:", "bin_dir:", "kubeconfig:"];
        let all = all.lines().filter(|line| !own.iter().any(|name| line.starts_with(name))).collect::<Vec<_>>();
        fs::write(site.join("group_vars/all.yml"), format!("{}\n{settings}\n", all.join("\n"))).unwrap();
        controller.set_hosts(hosts);
        fs::write(controller.file("resolv.conf"), format!("nameserver {}\n", bed.gateway())).unwrap();
        controller
    }

    /// Hosts by name alone, as extra nodes unless they say that they have a slot.
    pub fn set_hosts(&self, hosts: &[(&str, &str)]) {
        let mut text = String::from("turing_pis:\n  hosts:\n    board1:\n\nboard1_nodes:\n  hosts:\n");
        let in_board = |vars: &str| vars.contains("slot_num");
        let line = |name: &str, vars: &str| format!("    {name}: {{{vars}}}\n");
        let of = |wanted: bool| hosts.iter().filter(move |(_, vars)| in_board(vars) == wanted);
        text.extend(of(true).map(|(name, vars)| line(name, vars)));
        if of(true).next().is_none() {
            "turing_pis:\n  hosts: {}\n".clone_into(&mut text);
        }
        text.push_str("\ncontroller:\n  hosts:\n    localhost: {ansible_connection: local}\n");
        text.push_str("\nextra_nodes:\n  hosts:\n");
        text.extend(of(false).map(|(name, vars)| line(name, vars)));
        text.push_str("    {}\n".repeat(usize::from(of(false).next().is_none())).as_str());
        text.push_str("\nall_nodes:\n  children:\n    extra_nodes:\n");
        text.push_str("    board1_nodes:\n".repeat(usize::from(of(true).next().is_some())).as_str());
        text.push_str("  vars:\n    ansible_user: \"{{ ansible_account }}\"\n");
        fs::write(self.site().join("hosts.yml"), text).unwrap();
    }

    pub fn site(&self) -> PathBuf {
        self.file("site")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// `bringup` with these words, in a mount namespace with the testbed's name server.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "sh", "-ec"])
            .arg("mount --bind \"$1\" /etc/resolv.conf; shift; exec \"$@\"")
            .arg("sh")
            .arg(self.file("resolv.conf"))
            .arg(bringup())
            .args(words)
            .arg("-i")
            .arg(self.site())
            .env("HOME", self.home.path())
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, words: &[&str]) -> Ran {
        self.watch(words, |_| {})
    }

    /// The same, and `seen` gets each event when it happens; the run goes on meanwhile.
    pub fn watch(&self, words: &[&str], mut seen: impl FnMut(&Value)) -> Ran {
        // A file, as nobody reads a pipe while events are waited for.
        let mut stderr = tempfile::tempfile().unwrap();
        let mut command = self.command(&[words, &["--json"]].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(stderr.try_clone().unwrap()).spawn().unwrap();
        let mut events = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let event = serde_json::from_str(&line.unwrap()).unwrap();
            seen(&event);
            events.push(event);
        }
        let status = child.wait().unwrap();
        let mut said = Vec::new();
        stderr.rewind().unwrap();
        stderr.read_to_end(&mut said).unwrap();
        let stderr = String::from_utf8_lossy(&said).into_owned();
        assert!(!stderr.contains("panicked"), "{stderr}");
        Ran { status: status.code().unwrap_or(-1), events, stderr }
    }

    /// `apply` of the stages that need nothing but hosts.
    pub fn apply(&self, words: &[&str]) -> Ran {
        self.run(&[&["apply", "-y", "--tags", "known_hosts,servers"], words].concat())
    }

    pub fn plan(&self) -> Ran {
        self.run(&["plan", "--tags", "known_hosts,servers"])
    }
}

/// The word of an outcome, without what it carries.
pub fn word(outcome: &Value) -> String {
    match outcome {
        Value::String(word) => word.clone(),
        Value::Object(one) => one.keys().next().cloned().unwrap_or_default(),
        other => other.to_string(),
    }
}

impl Ran {
    fn ended(&self) -> impl Iterator<Item = (&str, &Value)> {
        let ended = self.events.iter().filter(|event| event["event"] == "step_ended");
        ended.map(|event| (event["step"].as_str().unwrap_or_default(), &event["outcome"]))
    }

    /// How each step ended.
    pub fn outcomes(&self) -> BTreeMap<String, String> {
        self.ended().map(|(step, outcome)| (step.to_owned(), word(outcome))).collect()
    }

    pub fn outcome(&self, step: &str) -> String {
        self.outcomes().get(step).cloned().unwrap_or_else(|| panic!("{step} did not end: {self:#?}"))
    }

    /// What an outcome carries: a fault, or a reason.
    pub fn carried(&self, step: &str) -> Value {
        let outcome = self.ended().find(|(other, _)| *other == step).map(|(_, outcome)| outcome);
        match outcome {
            Some(Value::Object(one)) => one.values().next().cloned().unwrap_or_default(),
            _ => panic!("{step} carries nothing: {outcome:?}"),
        }
    }

    /// The steps that do not hold, each with what it carries.
    pub fn troubles(&self) -> BTreeMap<String, Value> {
        let holds = ["in_sync", "changed", "took_over"];
        let bad = self.ended().filter(|(_, outcome)| !holds.contains(&word(outcome).as_str()));
        bad.map(|(step, outcome)| (step.to_owned(), outcome.clone())).collect()
    }

    /// Whether each step holds, and something was done or not.
    pub fn converged(&self) -> bool {
        self.status == 0 && self.troubles().is_empty()
    }

    /// Whether nothing was to be done: the run ends after its plan.
    pub fn changed_nothing(&self) -> bool {
        self.status == 0
            && self.ended().next().is_none()
            && self.planned().values().all(|diff| diff == "in_sync")
            && !self.events.iter().any(|event| event["event"] == "action_started")
    }

    /// What the plan said of each step: the word of its difference, or `later`, `unreachable`.
    pub fn planned(&self) -> BTreeMap<String, String> {
        let planned = self.events.iter().filter(|event| event["event"] == "step_planned");
        let said = |planned: &Value| match word(planned).as_str() {
            "known" | "expected" => {
                planned.as_object().and_then(|one| one.values().next()).map(word).unwrap_or_default()
            }
            other => other.to_owned(),
        };
        planned.map(|event| (event["step"].as_str().unwrap_or_default().to_owned(), said(&event["planned"]))).collect()
    }

    /// The hazards that the plan named, as text.
    pub fn hazards(&self) -> Vec<String> {
        let planned = self.events.iter().filter(|event| event["event"] == "step_planned");
        planned
            .flat_map(|event| event["hazards"].as_array().cloned().unwrap_or_default())
            .map(|one| one.to_string())
            .collect()
    }

    /// Checks that a step ended in one fault that helps: where, what was tried, what came back, what to do next.
    pub fn fault(&self, step: &str, causes: &[&str]) -> Value {
        assert_eq!(self.outcome(step), "failed", "{step}: {:#?}", self.troubles());
        let fault = self.carried(step);
        assert!(causes.contains(&fault["cause"].as_str().unwrap_or_default()), "{fault:#}");
        for field in ["doing", "at", "next"] {
            assert!(!fault[field].is_null(), "no {field}: {fault:#}");
        }
        assert!(fault["said"].as_array().is_some_and(|said| !said.is_empty()), "nothing came back: {fault:#}");
        fault
    }
}
