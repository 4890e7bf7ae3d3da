//! A workload's pods have read the object that they read only when they start.

use std::time::Duration;

use crate::contract::cluster::{KubeObject, PodsSince, RestartWorkload};
use crate::contract::{Asked, Cluster, Contract, ObjectId};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, Target};
use crate::run::change::{Change, Diff};
use crate::run::fault::Fault;

/// Pods that started after an object was last changed.
#[derive(Debug)]
pub struct WorkloadNewerThanObject {
    /// In which namespace the workload is.
    pub namespace: String,
    /// Value of its pods' label `app.kubernetes.io/name`.
    pub name: String,
    /// The object.
    pub object: ObjectId,
}

/// What a look finds.
#[derive(Debug)]
pub struct Seen {
    stale: bool,
}

impl WorkloadNewerThanObject {
    fn pods(&self) -> PodsSince {
        PodsSince { namespace: self.namespace.clone(), name: self.name.clone() }
    }
}

impl Resource for WorkloadNewerThanObject {
    type State = Seen;

    fn label(&self) -> Label {
        Label::of("cluster", format_args!("{}-restarted", self.name))
    }

    fn target(&self) -> Target {
        Target::Cluster
    }

    fn questions(&self) -> Vec<Asked> {
        vec![Cluster.asks(self.pods()), Cluster.asks(KubeObject { id: self.object.clone() })]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        let pods = look.ask(&Cluster, self.pods()).await?;
        let object = look.ask(&Cluster, KubeObject { id: self.object.clone() }).await?;
        let stale = match (pods, object) {
            (Some(since), Some(object)) => since < object.modified,
            _ => false,
        };
        Ok(Seen { stale })
    }

    fn diff(&self, seen: &Seen) -> Diff {
        if !seen.stale {
            return Diff::InSync;
        }
        let to = format!("started after {} changed", self.object);
        Diff::Change(vec![Change::new(format!("pods of {}", self.name), format!("older than {}", self.object), to)])
    }

    async fn apply(&self, _: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        let (namespace, name) = (self.namespace.clone(), self.name.clone());
        act.act(&Cluster, RestartWorkload { namespace, name }).await?;
        Ok(Applied::Changed)
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::ObjectState;
    use crate::resources::scripted::{Script, check};

    #[test]
    fn pods_are_restarted_for_an_object_that_changed_after_their_start() {
        let object = ObjectId {
            api_version: "v1".into(),
            kind: "ConfigMap".into(),
            namespace: "argo-cd".to_owned(),
            name: "cm".to_owned(),
        };
        let resource = || WorkloadNewerThanObject {
            namespace: "argo-cd".to_owned(),
            name: "server".to_owned(),
            object: object.clone(),
        };
        let pods = |since| says!(Cluster, resource().pods() => since);
        let changed = |at: Option<u64>| {
            let state = at.map(|modified| ObjectState { value: serde_json::Value::Null, modified });
            says!(Cluster, KubeObject { id: object.clone() } => state.clone())
        };
        let same = &["in sync"][..];
        let stale = "pods of server: older than ConfigMap argo-cd/cm → started after ConfigMap argo-cd/cm changed";
        for (what, since, at, plan, run) in [
            ("older", Some(9), Some(10), &[stale][..], &["cluster: restart the pods of argo-cd/server", "changed"][..]),
            ("of the same second", Some(10), Some(10), same, same),
            ("newer", Some(11), Some(10), same, same),
            ("no pod", None, Some(10), same, same),
            ("no object", Some(9), None, same, same),
        ] {
            let script =
                Script::new([pods(since), changed(at)]).once("restart the pods of argo-cd/server", [pods(Some(12))]);
            check(what, resource(), script, plan, run);
        }
    }
}
