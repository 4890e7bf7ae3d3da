//! An Argo CD Application has done its work.

use std::time::Duration;

use serde_json::Value;

use crate::change::{Change, Diff};
use crate::engine::{Act, Look, Wait};
use crate::fault::{Cause, Fault};
use crate::names::{Label, Target};
use crate::probe::{KubeObject, ObjectId, ObjectState, Probe};
use crate::resource::{Applied, Resource};

/// How long everything that the application brings may take to be healthy.
const BOUND: Duration = Duration::from_secs(1800);

/// An Application that is Synced and Healthy.
#[derive(Debug)]
pub struct ApplicationHealthy {
    /// Which.
    pub id: ObjectId,
}

/// What a look finds: sync and health, in Argo CD's words.
#[derive(Debug)]
pub struct Seen {
    sync: String,
    health: String,
}

impl ApplicationHealthy {
    fn question(&self) -> KubeObject {
        KubeObject { id: self.id.clone() }
    }
}

fn read(object: Option<&ObjectState>) -> Seen {
    let word = |path: &str| {
        object.and_then(|object| object.value.pointer(path)).and_then(Value::as_str).unwrap_or("unknown").to_owned()
    };
    Seen { sync: word("/status/sync/status"), health: word("/status/health/status") }
}

/// What is not well, one thing a line.
fn ailing(object: Option<&ObjectState>) -> Vec<String> {
    let resources = object.and_then(|object| object.value.pointer("/status/resources")).and_then(Value::as_array);
    let field = |resource: &Value, path: &str| resource.pointer(path).and_then(Value::as_str).unwrap_or("?").to_owned();
    resources
        .into_iter()
        .flatten()
        .filter(|resource| {
            let healthy = resource.pointer("/health/status").is_none_or(|health| health == "Healthy");
            field(resource, "/status") != "Synced" || !healthy
        })
        .map(|resource| {
            let (kind, name) = (field(resource, "/kind"), field(resource, "/name"));
            format!("{kind} {name}: {}, {}", field(resource, "/status"), field(resource, "/health/status"))
        })
        .collect()
}

impl Resource for ApplicationHealthy {
    type State = Seen;

    fn label(&self) -> Label {
        Label::of("cluster", format_args!("{}-healthy", self.id.name))
    }

    fn target(&self) -> Target {
        Target::Cluster
    }

    fn questions(&self) -> Vec<(Target, Probe)> {
        vec![(Target::Cluster, self.question().into())]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        Ok(read(look.ask(&Target::Cluster, self.question()).await?.as_ref()))
    }

    fn diff(&self, seen: &Seen) -> Diff {
        let mut changes = Vec::new();
        if seen.sync != "Synced" {
            changes.push(Change::new("sync", &seen.sync, "Synced"));
        }
        if seen.health != "Healthy" {
            changes.push(Change::new("health", &seen.health, "Healthy"));
        }
        Diff::of(changes)
    }

    async fn apply(&self, _: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        let wanted = format!("{} to be Synced and Healthy", self.id);
        let wait = Wait { target: &Target::Cluster, wanted: &wanted, bound: BOUND, every: Duration::from_secs(10) };
        let enough = |object: Option<ObjectState>| (self.diff(&read(object.as_ref())) == Diff::InSync).then_some(());
        match act.wait_until(wait, self.question(), enough).await {
            Err(fault) if fault.cause == Cause::TimedOut => {
                let object = act.look().ask(&Target::Cluster, self.question()).await.ok().flatten();
                Err(fault
                    .said(ailing(object.as_ref()).join("\n"))
                    .next("Argo CD's own page tells more: argo.sh opens a way to it"))
            }
            result => result.map(|()| Applied::Changed),
        }
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(180)
    }
}
