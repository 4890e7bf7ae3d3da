//! What an earlier run began on a node, and did not see the end of, has ended.
//!
//! It comes before all that looks at packages: in the middle of an upgrade they look half-configured, nothing is left to
//! upgrade, and a reboot would be asked for.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::change::{Change, Diff};
use crate::engine::{Act, Look, Wait};
use crate::fault::Fault;
use crate::names::{Label, NodeName, Target};
use crate::probe::{Probe, RunningJobs};
use crate::resource::{Applied, Resource};
use crate::sabotage::Guard;

/// A dist-upgrade on a slow module with slow storage.
const BOUND: Duration = Duration::from_secs(7200);

/// A node on which no job of an earlier run goes on.
#[derive(Debug)]
pub struct EarlierWorkEnded {
    /// Which.
    pub node: NodeName,
    /// A job that another step takes over.
    pub but: Option<&'static str>,
}

/// What a look finds.
#[derive(Debug)]
pub struct Seen(BTreeSet<String>);

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

    fn questions(&self) -> Vec<(Target, Probe)> {
        vec![(Resource::target(self), RunningJobs {}.into())]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        if !look.guards().hold(Guard::Takeover) {
            return Ok(Seen(BTreeSet::new()));
        }
        Ok(Seen(self.left(look.ask(&Resource::target(self), RunningJobs {}).await?)))
    }

    fn diff(&self, seen: &Seen) -> Diff {
        Diff::of(seen.0.iter().map(|name| Change::new(name, "running, begun by an earlier run", "ended")).collect())
    }

    async fn apply(&self, seen: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        let target = Resource::target(self);
        let names: Vec<&str> = seen.0.iter().map(String::as_str).collect();
        let wanted = format!("the end of {}", names.join(", "));
        let wait = Wait { target: &target, wanted: &wanted, bound: BOUND, every: Duration::from_secs(5) };
        act.wait_until(wait, RunningJobs {}, |running| self.left(running).is_empty().then_some(())).await?;
        Ok(Applied::TookOver)
    }

    fn estimate(&self) -> Duration {
        Duration::ZERO
    }
}
