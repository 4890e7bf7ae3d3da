//! The one writer of a cluster: a Lease that is held while something is changed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bringup_core::ids::Target;
use bringup_core::run::fault::{Cause, Fault};
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::error::ApiError;
use super::session::{Sent, Session};

const ALL: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
const NAME: &str = "bringup";
/// How long a lease stands that nobody renews, in seconds.
const STANDS: i64 = 60;
/// How often it is renewed.
const RENEWED_EVERY: Duration = Duration::from_secs(15);
/// How often someone else may be quicker before we let them.
const TRIES: u32 = 5;

/// A lease that we hold, and renew meanwhile.
pub(super) struct Held {
    session: Arc<Session>,
    holder: String,
    renewing: JoinHandle<()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// Who we are to others: user, machine and process.
pub(super) fn holder() -> String {
    let user = std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
    format!("{user}@{}, pid {}", machine(), std::process::id())
}

fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "a machine".to_owned())
}

/// Whether a holder was a process of this machine that is no more: it will not renew anything.
fn is_dead(holder: &str) -> bool {
    let Some((who, pid)) = holder.rsplit_once(", pid ") else { return false };
    let here = who.rsplit_once('@').is_some_and(|(_, machine)| machine == self::machine());
    here && Path::new("/proc/self").exists() && !Path::new("/proc").join(pid).exists()
}

fn path() -> String {
    format!("{ALL}/{NAME}")
}

fn text<'a>(lease: &'a Value, field: &str) -> &'a str {
    lease["spec"][field].as_str().unwrap_or_default()
}

/// Who holds a lease at this time, until when.
fn held_by(lease: &Value, now: Timestamp) -> Option<(&str, Timestamp)> {
    let holder = text(lease, "holderIdentity");
    let renewed: Timestamp = text(lease, "renewTime").parse().ok()?;
    let stands = lease["spec"]["leaseDurationSeconds"].as_i64().unwrap_or(STANDS);
    let until = renewed.checked_add(jiff::SignedDuration::from_secs(stands)).ok()?;
    (!holder.is_empty() && until > now && !is_dead(holder)).then_some((holder, until))
}

/// A time as Lease has it, with microseconds.
fn micro(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Takes the lease, or says who holds it.
pub(super) async fn take(session: &Arc<Session>, holder: &str, doing: &str) -> Result<Held, Fault> {
    for _ in 0..TRIES {
        let seen = session.get_if_any(&path()).await.map_err(|trouble| trouble.fault(doing))?;
        let now = session.now();
        if let Some((other, until)) = seen.as_ref().and_then(|lease| held_by(lease, now))
            && other != holder
        {
            let since = seen.as_ref().map(|lease| text(lease, "acquireTime")).unwrap_or_default();
            let left = until.as_second() - now.as_second();
            return Err(Fault::new(Cause::Refused, Target::Cluster, doing)
                .said(format!("{other} holds this cluster's lease since {since}"))
                .likely("another run changes this cluster")
                .next(format!("wait for it to end; if it died, its lease ends in {left} s: run again then")));
        }
        let transitions = seen.as_ref().and_then(|lease| lease["spec"]["leaseTransitions"].as_i64()).unwrap_or(0);
        let version = seen.as_ref().map(|lease| lease["metadata"]["resourceVersion"].clone()).unwrap_or_default();
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": NAME, "namespace": "kube-system", "resourceVersion": version},
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": STANDS,
                "acquireTime": micro(now),
                "renewTime": micro(now),
                "leaseTransitions": transitions.saturating_add(1),
            },
        });
        let (method, path) = if seen.is_some() { (Method::PUT, path()) } else { (Method::POST, ALL.to_owned()) };
        match session.send(method, &path, Sent::Object(lease)).await {
            Ok(_) => {
                let renewing = tokio::spawn(renew(Arc::clone(session), holder.to_owned()));
                return Ok(Held { session: Arc::clone(session), holder: holder.to_owned(), renewing });
            }
            // Someone was quicker: who?
            Err(trouble) if trouble.is_conflict() => {}
            Err(trouble) => return Err(trouble.fault(doing)),
        }
    }
    Err(Fault::new(Cause::Busy, Target::Cluster, doing)
        .said("others write this cluster's lease at the same moment, again and again")
        .next("see who else runs bringup on this cluster: kubectl -n kube-system get lease bringup -o yaml"))
}

/// Renews it until it is let go, or is someone else's. An API that is down meanwhile is asked again.
async fn renew(session: Arc<Session>, holder: String) {
    loop {
        tokio::time::sleep(RENEWED_EVERY).await;
        let Ok(Some(seen)) = session.get_if_any(&path()).await else { continue };
        if text(&seen, "holderIdentity") != holder {
            return;
        }
        let spec = json!({"renewTime": micro(session.now())});
        let _ = update(&session, &seen, spec).await;
    }
}

async fn update(session: &Session, seen: &Value, spec: Value) -> Result<Value, ApiError> {
    let fields = json!({"metadata": {"resourceVersion": seen["metadata"]["resourceVersion"]}, "spec": spec});
    session.send(Method::PATCH, &path(), Sent::Merge(fields)).await
}

impl Held {
    /// Whether it is this session's, and still renewed: whoever took it over ended that.
    pub fn stands(&self, session: &Arc<Session>) -> bool {
        Arc::ptr_eq(&self.session, session) && !self.renewing.is_finished()
    }

    /// Lets it go. Where that fails it ends by itself.
    pub async fn release(self) {
        self.renewing.abort();
        let Ok(Some(seen)) = self.session.get_if_any(&path()).await else { return };
        if text(&seen, "holderIdentity") == self.holder {
            let _ = update(&self.session, &seen, json!({"holderIdentity": ""})).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{held_by, holder, is_dead};

    #[test]
    fn a_lease_is_held_until_it_ends_or_its_holder_is_no_more() {
        let now = "2026-11-25T12:00:30Z".parse().unwrap();
        let lease = |holder: &str, renewed: &str| json!({"spec": {"holderIdentity": holder, "leaseDurationSeconds": 60, "renewTime": renewed}});
        let dead = holder().rsplit_once(' ').unwrap().0.to_owned() + " 999999999";
        for (what, lease, held) in [
            ("held", lease("me@there, pid 7", "2026-11-25T12:00:00.000000Z"), true),
            ("ended", lease("me@there, pid 7", "2026-11-25T11:59:00.000000Z"), false),
            ("let go", lease("", "2026-11-25T12:00:00.000000Z"), false),
            ("of a process that died here", lease(&dead, "2026-11-25T12:00:00.000000Z"), false),
            ("never held", json!({"spec": {}}), false),
        ] {
            assert_eq!(held_by(&lease, now).is_some(), held, "{what}");
        }
        assert!(!is_dead(&holder()));
    }
}
