//! A Node bears the labels and taints that the site's pods are placed by.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::contract::cluster::{KubeNode, MarkNode};
use crate::contract::{Asked, Cluster, Contract, KubeNodeState};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, NodeName, Target};
use crate::run::change::{Change, Diff};
use crate::run::fault::Fault;

/// Labels and taints that are there; all others are left alone.
#[derive(Debug)]
pub struct NodeMarks {
    /// Which node.
    pub node: NodeName,
    /// What they are for, as the label tells it.
    pub purpose: &'static str,
    /// Labels that have these values.
    pub labels: BTreeMap<String, String>,
    /// Labels that are there with whatever value: others take them over later.
    pub labels_if_absent: BTreeMap<String, String>,
    /// Taints, as `key=value:effect`.
    pub taints: BTreeSet<String>,
}

impl NodeMarks {
    fn question(&self) -> KubeNode {
        KubeNode { name: self.node.clone() }
    }

    fn missing_labels(&self, seen: &KubeNodeState) -> BTreeMap<String, String> {
        let other = self.labels.iter().filter(|(key, value)| seen.labels.get(*key) != Some(value));
        let absent = self.labels_if_absent.iter().filter(|(key, _)| !seen.labels.contains_key(*key));
        other.chain(absent).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn missing_taints(&self, seen: &KubeNodeState) -> BTreeSet<String> {
        self.taints.difference(&seen.taints).cloned().collect()
    }
}

impl Resource for NodeMarks {
    type State = Option<KubeNodeState>;

    fn label(&self) -> Label {
        Label::of(&self.node, self.purpose)
    }

    fn target(&self) -> Target {
        Target::Cluster
    }

    fn questions(&self) -> Vec<Asked> {
        vec![Cluster.asks(self.question())]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Option<KubeNodeState>, Fault> {
        look.ask(&Cluster, self.question()).await
    }

    fn diff(&self, seen: &Option<KubeNodeState>) -> Diff {
        let empty = KubeNodeState {
            renews: true,
            renewed: None,
            ready: false,
            boot_id: String::new(),
            unschedulable: false,
            in_maintenance: false,
            labels: BTreeMap::new(),
            taints: BTreeSet::new(),
        };
        let seen = seen.as_ref().unwrap_or(&empty);
        let labels = self.missing_labels(seen).into_iter().map(|(key, value)| Change {
            from: seen.labels.get(&key).cloned(),
            field: format!("label {key}"),
            to: value,
        });
        let taints = self.missing_taints(seen).into_iter().map(|taint| Change::add("taint", taint));
        Diff::of(labels.chain(taints).collect())
    }

    async fn apply(&self, seen: &Option<KubeNodeState>, act: &Act<'_>) -> Result<Applied, Fault> {
        let (labels, taints) = match seen {
            Some(seen) => (self.missing_labels(seen), self.missing_taints(seen)),
            None => {
                let all = self.labels.iter().chain(&self.labels_if_absent);
                (all.map(|(key, value)| (key.clone(), value.clone())).collect(), self.taints.clone())
            }
        };
        act.act(&Cluster, MarkNode { node: self.node.clone(), labels, taints }).await?;
        Ok(Applied::Changed)
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(1)
    }
}
