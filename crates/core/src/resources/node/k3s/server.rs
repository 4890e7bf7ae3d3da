//! The control plane runs.

use std::time::Duration;

use crate::contract::Asked;
use crate::contract::node::FetchSnapshot;
use crate::engine::resource::{Applied, Renewal, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, Target};
use crate::resources::node::k3s::install::{K3sSeen, K3sWanted};
use crate::resources::renewed;
use crate::run::change::Diff;
use crate::run::event::Notice;
use crate::run::fault::Fault;
use crate::run::hazard::Hazard;

/// k3s as server with embedded etcd.
#[derive(Debug)]
pub struct K3sServer {
    /// What is wanted.
    pub wanted: K3sWanted,
}

impl Resource for K3sServer {
    type State = K3sSeen;

    fn label(&self) -> Label {
        Label::of(&self.wanted.node, "k3s_server")
    }

    fn target(&self) -> Target {
        self.wanted.target()
    }

    fn questions(&self) -> Vec<Asked> {
        self.wanted.questions()
    }

    async fn observe(&self, look: &Look<'_>) -> Result<K3sSeen, Fault> {
        self.wanted.look(look).await
    }

    fn diff(&self, seen: &K3sSeen) -> Diff {
        self.wanted.diff(seen)
    }

    fn notices(&self, seen: &K3sSeen) -> Vec<Notice> {
        self.wanted.notices(seen)
    }

    fn hazards(&self, seen: Option<&K3sSeen>) -> Vec<Hazard> {
        match seen {
            Some(seen) if self.wanted.reinstalls(seen) => {
                vec![Hazard::UninstallK3s { node: self.wanted.node.clone() }]
            }
            _ => Vec::new(),
        }
    }

    fn renews(&self, seen: Option<&K3sSeen>) -> Vec<Renewal> {
        let begins_anew = seen.is_none_or(|seen| seen.installed.is_none() || self.wanted.reinstalls(seen));
        if begins_anew { vec![renewed::cluster()] } else { Vec::new() }
    }

    async fn apply(&self, seen: &K3sSeen, act: &Act<'_>) -> Result<Applied, Fault> {
        let prepared = self.wanted.prepare(seen, act).await?;
        if self.wanted.reinstalls(seen) {
            act.act(&self.wanted.node, FetchSnapshot { run: act.run().to_owned() }).await?;
        }
        self.wanted.uninstall(seen, act).await?;
        self.wanted.apply(seen, prepared, None, act).await?;
        Ok(Applied::Changed)
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(88)
    }
}

#[cfg(test)]
mod tests;
