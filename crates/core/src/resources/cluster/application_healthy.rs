//! An Argo CD Application has done its work.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::contract::cluster::KubeObject;
use crate::contract::{Asked, Cluster, Contract, ObjectId, ObjectState};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look, Wait};
use crate::ids::{Label, Target};
use crate::run::change::{Change, Diff};
use crate::run::event::Awaited;
use crate::run::fault::{Cause, Fault};

/// How long everything that the application brings may take to be healthy.
const BOUND: Duration = Duration::from_secs(1800);

/// An Application that is Synced and Healthy.
#[derive(Debug)]
pub struct ApplicationHealthy {
    /// Which.
    pub id: ObjectId,
}

/// How long an application may be in trouble, all in all, before the wait gives up. An application that is coming up
/// passes through such states.
const GRACE: Duration = Duration::from_secs(120);

/// The longest pause between two looks.
const EVERY: Duration = Duration::from_secs(10);

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

    /// What is not well: of the application itself, of what it brings, and of the applications among that.
    async fn ailing(&self, act: &Act<'_>) -> String {
        let object = act.look().ask(&Cluster, self.question()).await.ok().flatten();
        let Some(object) = object else { return format!("{} is not there", self.id) };
        let mut lines = said(&object.value);
        for (line, child) in ailing(&object.value, &self.id) {
            lines.push(line);
            if let Some(id) = child
                && let Ok(Some(child)) = act.look().ask(&Cluster, KubeObject { id: id.clone() }).await
            {
                let inner = ailing(&child.value, &id).into_iter().map(|(line, _)| line);
                lines.extend(said(&child.value).into_iter().chain(inner).map(|line| format!("  {line}")));
            }
        }
        lines.join("\n")
    }
}

fn word<'a>(object: &'a Value, path: &str) -> Option<&'a str> {
    object.pointer(path).and_then(Value::as_str).filter(|word| !word.is_empty())
}

fn read(object: Option<&ObjectState>) -> Seen {
    let word = |path: &str| object.and_then(|object| word(&object.value, path)).unwrap_or("unknown").to_owned();
    Seen { sync: word("/status/sync/status"), health: word("/status/health/status") }
}

/// Whether it will not get well by itself: it is degraded, cannot be compared, or the last try to sync it failed. A sync
/// that is being retried runs again and has failed before: Argo CD counts those in `retryCount`.
fn is_stuck(object: &Value) -> bool {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let error = |one: &Value| word(one, "/type").is_some_and(|kind| kind.ends_with("Error"));
    word(object, "/status/health/status") == Some("Degraded")
        || conditions.into_iter().flatten().any(error)
        || match word(object, "/status/operationState/phase") {
            Some("Failed" | "Error") => true,
            Some("Running") => object
                .pointer("/status/operationState/retryCount")
                .and_then(Value::as_u64)
                .is_some_and(|count| count > 0),
            _ => false,
        }
}

/// How long an application has been in trouble, all in all. It adds up: a sync that fails and is started again, by its
/// retries or by self-heal, goes back and forth between Failed and Running, and is no better for it.
#[derive(Debug, Default)]
struct TimeInTrouble {
    total: Duration,
    since: Option<Instant>,
}

impl TimeInTrouble {
    /// Takes a look into account; the total so far. What happened while nobody could look for long is not known, and
    /// counts as two pauses.
    fn look(&mut self, now: Instant, in_trouble: bool) -> Duration {
        if let Some(since) = self.since {
            self.total += now.duration_since(since).min(2 * EVERY);
        }
        self.since = in_trouble.then_some(now);
        self.total
    }
}

/// What an application says of itself.
fn said(application: &Value) -> Vec<String> {
    let name = word(application, "/metadata/name").unwrap_or("?");
    let word = |path: &str| word(application, path);
    let mut lines = vec![format!(
        "Application {name}: {}, {}",
        word("/status/sync/status").unwrap_or("unknown"),
        word("/status/health/status").unwrap_or("unknown")
    )];
    lines.extend(word("/status/health/message").map(str::to_owned));
    let conditions = application.pointer("/status/conditions").and_then(Value::as_array);
    for condition in conditions.into_iter().flatten() {
        let part = |path: &str| self::word(condition, path).unwrap_or("?");
        lines.push(format!("{}: {}", part("/type"), part("/message")));
    }
    if word("/status/operationState/phase") != Some("Succeeded") {
        lines.extend(word("/status/operationState/message").map(str::to_owned));
    }
    lines
}

/// What of an application's resources is not well, one a line, with the object to ask where it is an application itself.
fn ailing(application: &Value, id: &ObjectId) -> Vec<(String, Option<ObjectId>)> {
    const APPLICATIONS: usize = 5;
    let resources = application.pointer("/status/resources").and_then(Value::as_array);
    let mut asked = 0;
    let mut lines = Vec::new();
    for resource in resources.into_iter().flatten() {
        let (sync, health) = (word(resource, "/status"), word(resource, "/health/status"));
        if sync == Some("Synced") && health.is_none_or(|health| health == "Healthy") {
            continue;
        }
        let (kind, name) = (word(resource, "/kind").unwrap_or("?"), word(resource, "/name").unwrap_or("?"));
        let mut line = format!("{kind} {name}: {}, {}", sync.unwrap_or("?"), health.unwrap_or("?"));
        if let Some(message) = word(resource, "/health/message") {
            line = format!("{line}: {message}");
        }
        let child = (kind == id.kind && asked < APPLICATIONS).then(|| {
            asked += 1;
            let namespace = word(resource, "/namespace").unwrap_or(&id.namespace).to_owned();
            ObjectId { namespace, name: name.to_owned(), ..id.clone() }
        });
        lines.push((line, child));
    }
    lines
}

impl Resource for ApplicationHealthy {
    type State = Seen;

    fn label(&self) -> Label {
        Label::of("cluster", format_args!("{}-healthy", self.id.name))
    }

    fn target(&self) -> Target {
        Target::Cluster
    }

    fn questions(&self) -> Vec<Asked> {
        vec![Cluster.asks(self.question())]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        Ok(read(look.ask(&Cluster, self.question()).await?.as_ref()))
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
        let awaited = Awaited::ApplicationHealthy { id: self.id.clone() };
        let wait = Wait { of: &Cluster, awaited: awaited.clone(), bound: BOUND, every: EVERY };
        let trouble = Mutex::new(TimeInTrouble::default());
        let enough = |object: Option<ObjectState>| {
            if self.diff(&read(object.as_ref())) == Diff::InSync {
                return Some(true);
            }
            let in_trouble = object.is_some_and(|object| is_stuck(&object.value));
            let mut trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner);
            (trouble.look(Instant::now(), in_trouble) >= GRACE).then_some(false)
        };
        let page = "Argo CD's own page tells more: argo.sh opens a way to it";
        match act.wait_until(wait, self.question(), enough).await {
            Ok(true) => Ok(Applied::Changed),
            Ok(false) => Err(Fault::new(Cause::Failed, Target::Cluster, format!("wait for {awaited}"))
                .said(self.ailing(act).await)
                .likely("what it brings does not run, or its repository does not hold what it should")
                .next(format!("fix what the lines above name, in the repository or in the cluster; {page}"))),
            Err(fault) if fault.cause == Cause::TimedOut => Err(fault.said(self.ailing(act).await).next(page)),
            Err(fault) => Err(fault),
        }
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(180)
    }
}

#[cfg(test)]
mod tests;
