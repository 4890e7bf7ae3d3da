//! What k3s itself brings is up.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::contract::cluster::ReadyDeployments;
use crate::contract::{Asked, Cluster, Contract};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look, Wait};
use crate::ids::{Label, Target};
use crate::run::change::{Change, Diff};
use crate::run::event::Awaited;
use crate::run::fault::Fault;

const BOUND: Duration = Duration::from_secs(900);

/// Deployments that have all their replicas ready.
#[derive(Debug)]
pub struct SystemDeployments {
    /// In which namespace.
    pub namespace: &'static str,
    /// Their names.
    pub names: BTreeSet<String>,
}

impl SystemDeployments {
    fn question(&self) -> ReadyDeployments {
        ReadyDeployments { namespace: self.namespace.to_owned(), names: self.names.clone() }
    }
}

impl Resource for SystemDeployments {
    type State = BTreeSet<String>;

    fn label(&self) -> Label {
        Label::of("cluster", format_args!("{}-deployments", self.namespace))
    }

    fn target(&self) -> Target {
        Target::Cluster
    }

    fn questions(&self) -> Vec<Asked> {
        vec![Cluster.asks(self.question())]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<BTreeSet<String>, Fault> {
        look.ask(&Cluster, self.question()).await
    }

    fn diff(&self, ready: &BTreeSet<String>) -> Diff {
        Diff::of(self.names.difference(ready).map(|name| Change::new(name, "not ready", "ready")).collect())
    }

    async fn apply(&self, _: &BTreeSet<String>, act: &Act<'_>) -> Result<Applied, Fault> {
        let awaited = Awaited::Deployments { names: self.names.clone() };
        let wait = Wait { of: &Cluster, awaited, bound: BOUND, every: Duration::from_secs(5) };
        let all = self.names.len();
        act.wait_until(wait, self.question(), |ready| (ready.len() == all).then_some(())).await?;
        Ok(Applied::Changed)
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::scripted::{Script, check};

    #[test]
    fn deployments_are_waited_for_until_all_are_ready() {
        let names = |names: &[&str]| -> BTreeSet<String> { names.iter().map(|&name| name.to_owned()).collect() };
        let resource = || SystemDeployments { namespace: "kube-system", names: names(&["coredns", "metrics-server"]) };
        let wait = "wait for coredns, metrics-server to be ready";
        let late = "metrics-server: not ready → ready";
        let all = ["coredns", "metrics-server"];
        for (what, ready, later, plan, run) in [
            ("all", &all[..], &all[..], &["in sync"][..], &["in sync"][..]),
            ("none", &[], &all, &["coredns: not ready → ready", late], &[wait, "changed"]),
            ("one", &["coredns"], &all, &[late], &[wait, "changed"]),
            (
                "one for ever",
                &["coredns"],
                &["coredns"],
                &[late],
                &[
                    wait,
                    "failed: wait for coredns, metrics-server to be ready on cluster: took too long (not so after 900 s)",
                ],
            ),
        ] {
            let script =
                Script::new([says!(Cluster, resource().question() => names(ready), names(ready), names(later))]);
            check(what, resource(), script, plan, run);
        }
    }
}
