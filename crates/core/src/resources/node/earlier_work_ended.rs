//! What is under way with a node's packages has ended: what an earlier run began, and what others do.
//!
//! It comes before all that looks at packages: in the middle of an upgrade they look half-configured, nothing is left to
//! upgrade, and a reboot would be asked for.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::contract::node::{PackagesBusy, RunningJobs};
use crate::contract::{Asked, Contract};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look, Wait};
use crate::ids::{Label, NodeName, Target};
use crate::resources::node::maintenance;
use crate::run::change::{Change, Diff};
use crate::run::event::Awaited;
use crate::run::fault::Fault;
use crate::sabotage::Guard;

/// A dist-upgrade on a slow module with slow storage.
const BOUND: Duration = Duration::from_secs(7200);
const EVERY: Duration = Duration::from_secs(5);

/// A node on which no job of an earlier run goes on, and whose packages nobody else is at work on.
#[derive(Debug)]
pub struct EarlierWorkEnded {
    /// Which.
    pub node: NodeName,
    /// A job that another step takes over.
    pub but: Option<&'static str>,
}

/// What a look finds.
#[derive(Debug)]
pub struct Seen {
    jobs: BTreeSet<String>,
    /// Someone holds dpkg's or apt's locks.
    busy: bool,
}

impl EarlierWorkEnded {
    fn left(&self, mut running: BTreeSet<String>) -> BTreeSet<String> {
        running.retain(|name| self.but != Some(name));
        running
    }
}

impl Resource for EarlierWorkEnded {
    type State = Seen;

    fn label(&self) -> Label {
        Label::of(&self.node, "earlier_work")
    }

    fn target(&self) -> Target {
        Target::Node(self.node.clone())
    }

    fn questions(&self) -> Vec<Asked> {
        vec![self.node.asks(RunningJobs {}), self.node.asks(PackagesBusy {})]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        if !look.guards().hold(Guard::Takeover) {
            return Ok(Seen { jobs: BTreeSet::new(), busy: false });
        }
        let jobs = self.left(look.ask(&self.node, RunningJobs {}).await?);
        Ok(Seen { jobs, busy: look.ask(&self.node, PackagesBusy {}).await? })
    }

    fn diff(&self, seen: &Seen) -> Diff {
        let jobs = seen.jobs.iter().map(|name| Change::new(name, "running, begun by an earlier run", "ended"));
        let locks = (seen.busy && seen.jobs.is_empty()).then(|| Change::new("dpkg's and apt's locks", "held", "free"));
        Diff::of(jobs.chain(locks).collect())
    }

    async fn apply(&self, seen: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        let applied = if seen.jobs.is_empty() { Applied::Changed } else { Applied::TookOver };
        if !seen.jobs.is_empty() {
            let awaited = Awaited::EarlierWork { units: seen.jobs.clone() };
            let wait = Wait { of: &self.node, awaited, bound: BOUND, every: EVERY };
            act.wait_until(wait, RunningJobs {}, |running| self.left(running).is_empty().then_some(())).await?;
        }
        maintenance::packages_are_free(act, &self.node).await?;
        Ok(applied)
    }

    fn estimate(&self) -> Duration {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::scripted::{Script, check, node01};

    #[test]
    fn what_runs_with_packages_is_waited_for() {
        let jobs = |names: &[&str]| -> BTreeSet<String> { names.iter().map(|&name| name.to_owned()).collect() };
        let upgrade = ["dist-upgrade: running, begun by an earlier run → ended"];
        let wait = "wait for the end of dist-upgrade";
        let locks = "wait for dpkg's and apt's locks";
        let idle = || says!(node01(), RunningJobs {} => jobs(&[]));
        let free = || says!(node01(), PackagesBusy {} => false);
        for (what, but, running, busy, plan, run) in [
            ("quiet", None, idle(), free(), &["in sync"][..], &["in sync"][..]),
            (
                "a job of another step",
                Some("move-root"),
                says!(node01(), RunningJobs {} => jobs(&["move-root"])),
                free(),
                &["in sync"],
                &["in sync"],
            ),
            (
                "a job",
                None,
                says!(node01(), RunningJobs {} => jobs(&["dist-upgrade"]), jobs(&["dist-upgrade"]), jobs(&[])),
                free(),
                &upgrade,
                &[wait, "took over"],
            ),
            (
                "a job, and one of another step",
                Some("move-root"),
                says!(node01(), RunningJobs {} => jobs(&["dist-upgrade", "move-root"]), jobs(&["move-root"])),
                free(),
                &upgrade,
                &[wait, "took over"],
            ),
            (
                "somebody else",
                None,
                idle(),
                says!(node01(), PackagesBusy {} => true, true, true, false),
                &["dpkg's and apt's locks: held → free"],
                &[locks, "changed"],
            ),
            // The job holds the locks itself: they are no difference of their own, and are waited for when it has ended.
            (
                "a job, and somebody after it",
                None,
                says!(node01(), RunningJobs {} => jobs(&["dist-upgrade"]), jobs(&[])),
                says!(node01(), PackagesBusy {} => true, true, false),
                &upgrade,
                &[wait, locks, "took over"],
            ),
        ] {
            check(what, EarlierWorkEnded { node: node01(), but }, Script::new([running, busy]), plan, run);
        }
    }
}
