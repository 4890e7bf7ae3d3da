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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::cluster;
    use crate::resources::scripted::{Script, check, kube_node, node01};

    #[test]
    fn labels_and_taints_are_added_and_others_stay() {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        let set = |taints: &[&str]| -> BTreeSet<String> { taints.iter().map(|&taint| taint.to_owned()).collect() };
        let marks = || NodeMarks {
            node: node01(),
            purpose: "gpu_marks",
            labels: map(&[("gpu", "yes")]),
            labels_if_absent: map(&[("role", "worker")]),
            taints: set(&["gpu=yes:NoSchedule"]),
        };
        let is = |state: Option<KubeNodeState>| says!(Cluster, marks().question() => state.clone());
        let node = |labels: &[(&str, &str)], taints: &[&str]| {
            Some(KubeNodeState { labels: map(labels), taints: set(taints), ..kube_node() })
        };
        let (label, role, taint) = ("label gpu: + yes", "label role: + worker", "taint: + gpu=yes:NoSchedule");
        let mark = &["cluster: set labels and taints of node01", "changed"][..];
        let good = || node(&[("gpu", "yes"), ("role", "worker")], &["gpu=yes:NoSchedule"]);
        for (what, state, plan, run, labels, taints) in [
            (
                "no Node yet",
                None,
                &[label, role, taint][..],
                mark,
                map(&[("gpu", "yes"), ("role", "worker")]),
                set(&["gpu=yes:NoSchedule"]),
            ),
            ("all there", good(), &["in sync"], &["in sync"], map(&[]), set(&[])),
            (
                "a label that others took over, and one of theirs",
                node(&[("gpu", "yes"), ("role", "theirs"), ("x", "y")], &["gpu=yes:NoSchedule", "x:NoExecute"]),
                &["in sync"],
                &["in sync"],
                map(&[]),
                set(&[]),
            ),
            (
                "another value",
                node(&[("gpu", "no"), ("role", "worker")], &["gpu=yes:NoSchedule"]),
                &["label gpu: no → yes"],
                mark,
                map(&[("gpu", "yes")]),
                set(&[]),
            ),
            (
                "another taint of the same key",
                node(&[("gpu", "yes")], &["gpu=yes:NoExecute"]),
                &[role, taint],
                mark,
                map(&[("role", "worker")]),
                set(&["gpu=yes:NoSchedule"]),
            ),
        ] {
            let script = Script::new([is(state)]).once("set labels and taints of node01", [is(good())]);
            let told = check(what, marks(), script, plan, run);
            for action in told.done::<Cluster>() {
                let cluster::Action::MarkNode(mark) = action else { panic!("{what}: {action}") };
                assert_eq!((&mark.labels, &mark.taints), (&labels, &taints), "{what}");
            }
        }
    }
}
