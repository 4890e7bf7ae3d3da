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
