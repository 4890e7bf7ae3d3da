//! Clusters of real Kubernetes on real hosts, with Argo CD in them. k3s itself is the stand-in's.

mod adoption;
mod charts;
mod joining;
mod keeping;
mod making;

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bed::Bed;
use crate::controller::{Controller, Ran, word};
use crate::wait;

const THREE: [(&str, &str); 3] = [("node01", ""), ("node02", ""), ("node03", "")];
/// A cluster without anything of ours in it.
const BARE: &str = "cluster_install_list: []";

/// Hosts for a cluster, and who sees to it.
struct Cluster {
    bed: Bed,
    controller: Controller,
}

impl Cluster {
    /// Hosts as `testbed up` takes them; no cluster yet.
    fn of(name: &str, up: &[&str], hosts: &[(&str, &str)], settings: &str) -> Self {
        let bed = Bed::up(name, &[up, &["--kubernetes"]].concat());
        let controller = Controller::new(&bed, hosts, settings);
        Self { bed, controller }
    }

    /// Three nodes with k3s, and no more.
    fn bare(name: &str) -> Self {
        let cluster = Self::of(name, &["--nodes", "3"], &THREE, BARE);
        let ran = cluster.apply(&[]);
        assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
        cluster
    }

    fn apply(&self, words: &[&str]) -> Ran {
        self.controller.run(&[&["apply", "-y"], words].concat())
    }

    fn changes_nothing(&self) {
        let ran = self.apply(&[]);
        assert!(ran.changed_nothing(), "{:#?}\n{:#?}", ran.planned(), ran.troubles());
    }

    /// Waits until what was disturbed is well again without a run's doing. Once an API server is back, the controller manager
    /// holds old leases against the Nodes in its next pass, five seconds later at most, and Nodes and pods that were Ready
    /// are so only after that: it has to last.
    fn settles(&self) {
        const LASTS: Duration = Duration::from_secs(12);
        let mut since: Option<Instant> = None;
        wait::until(Duration::from_secs(180), "plans that find nothing to do for 12 s", || {
            let planned = self.controller.run(&["plan"]).planned();
            let differs: Vec<_> = planned.iter().filter(|(_, diff)| *diff != "in_sync").collect();
            since = differs.is_empty().then(|| since.unwrap_or_else(Instant::now));
            wait::so(since.is_some_and(|since| since.elapsed() >= LASTS), || format!("{differs:?}"))
        });
    }

    /// A tool that the stage `tools` installed, with the kubeconfig that the stage `k3s` merged: what it says, or its trouble.
    fn ask(&self, name: &str, words: &[&str]) -> Result<String, String> {
        let mut command = Command::new(self.controller.file("bin").join(name));
        command.args(words).env("HOME", self.controller.file("")).env_remove("KUBECONFIG");
        let output = command.output().unwrap();
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
    }

    fn tool(&self, name: &str, words: &[&str]) -> String {
        self.ask(name, words).unwrap_or_else(|trouble| panic!("{name} {words:?}: {trouble}"))
    }

    fn kubectl(&self, words: &[&str]) -> String {
        self.tool("kubectl", words)
    }

    /// Waits until `kubectl` says this.
    fn until(&self, words: &[&str], says: &str) {
        wait::until(Duration::from_secs(180), &format!("kubectl {words:?} to say {says}"), || {
            let said = self.ask("kubectl", words);
            wait::so(said.as_deref() == Ok(says), || format!("{said:?}"))
        });
    }

    fn write(&self, manifest: &str) {
        let path = self.controller.file("manifest.yaml");
        std::fs::write(&path, manifest).unwrap();
        self.kubectl(&["apply", "-f", path.to_str().unwrap()]);
    }

    /// What tells one start of k3s on a host from another.
    fn start_of_k3s(&self, host: &str) -> String {
        let unit = if host == "node01" { "k3s" } else { "k3s-agent" };
        self.bed.shell(host, &format!("systemctl show --property=InvocationID --value {unit}"))
    }
}

/// What the plan called known is what the run did.
fn did_as_planned(ran: &Ran) {
    let outcomes = ran.outcomes();
    let planned = ran.events.iter().filter(|event| event["event"] == "step_planned");
    let mut known = 0;
    for event in planned {
        let Some(diff) = event["planned"].get("known") else { continue };
        let step = event["step"].as_str().unwrap();
        let done = outcomes.get(step).map(String::as_str).unwrap_or_default();
        match word(diff).as_str() {
            "in_sync" => assert_eq!(done, "in_sync", "{step}"),
            "change" => assert!(["changed", "took_over"].contains(&done), "{step}: planned to change, was {done}"),
            _ => continue,
        }
        known += 1;
    }
    assert!(known > 0, "nothing was known: {:#?}", ran.planned());
}

fn text(value: &Value) -> String {
    value.to_string()
}
