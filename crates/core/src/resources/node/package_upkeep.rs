//! A node's packages are configured, as new as its repositories have them, and all needed.

use std::time::Duration;

use crate::contract::node::Upgrades;
use crate::contract::{Asked, Contract, Job, UpgradeState};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, NodeName, Target};
use crate::resources::node::job;
use crate::run::change::{Change, Diff};
use crate::run::fault::Fault;

/// How long it may take on a slow module with slow storage.
const BOUND: Duration = Duration::from_secs(7200);

/// Lists of apt's that are older say nothing about what there is to upgrade: a day, as apt's own timer has it.
const LISTS_LAST: u64 = 24 * 3600;

/// What is looked after.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Upkeep {
    /// Nothing is left half-configured.
    Configured,
    /// Nothing is left to upgrade.
    Upgraded,
    /// Nothing is there that nothing needs.
    Autoremoved,
}

/// A node whose packages are looked after.
#[derive(Debug)]
pub struct PackageUpkeep {
    /// Which node.
    pub node: NodeName,
    /// In which respect.
    pub upkeep: Upkeep,
    /// How long it usually takes.
    pub usual: Duration,
}

impl Resource for PackageUpkeep {
    type State = UpgradeState;

    fn label(&self) -> Label {
        let what = match self.upkeep {
            Upkeep::Configured => "configured",
            Upkeep::Upgraded => "upgraded",
            Upkeep::Autoremoved => "autoremoved",
        };
        Label::of(&self.node, what)
    }

    fn target(&self) -> Target {
        Target::Node(self.node.clone())
    }

    fn questions(&self) -> Vec<Asked> {
        vec![self.node.asks(Upgrades {})]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<UpgradeState, Fault> {
        look.ask(&self.node, Upgrades {}).await
    }

    fn diff(&self, seen: &UpgradeState) -> Diff {
        let none_of = |field: &str, count: u32| {
            Diff::of((count > 0).then(|| Change::new(field, count.to_string(), "0")).into_iter().collect())
        };
        match self.upkeep {
            Upkeep::Configured => none_of("packages half-configured", seen.half_configured),
            Upkeep::Upgraded => upgraded(seen),
            Upkeep::Autoremoved => none_of("packages that nothing needs", seen.removable),
        }
    }

    async fn apply(&self, _: &UpgradeState, act: &Act<'_>) -> Result<Applied, Fault> {
        let job = match self.upkeep {
            Upkeep::Configured => Job::ConfigurePackages,
            Upkeep::Upgraded => Job::DistUpgrade,
            Upkeep::Autoremoved => Job::Autoremove,
        };
        job::see_through(act, &self.node, job, BOUND).await
    }

    fn estimate(&self) -> Duration {
        self.usual
    }
}

/// A look runs no update: it says how old the lists are that it goes by.
fn upgraded(seen: &UpgradeState) -> Diff {
    let hours = seen.lists_age / 3600;
    let mut changes = Vec::new();
    if seen.upgradable > 0 {
        let known = format!("{} (apt's lists are {hours} h old)", seen.upgradable);
        changes.push(Change::new("packages to upgrade", known, "0"));
    }
    if seen.lists_age > LISTS_LAST {
        let known = if hours > 24 * 365 * 10 { "none".to_owned() } else { format!("{hours} h old") };
        changes.push(Change::new("apt's lists", known, "fresh"));
    }
    Diff::of(changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::node::JobState;
    use crate::contract::{JobPhase, JobStatus};
    use crate::resources::scripted::{Script, check, node01};

    #[test]
    fn old_lists_are_a_difference_of_their_own() {
        let seen = |upgradable, lists_age| UpgradeState { upgradable, lists_age, ..UpgradeState::default() };
        for (state, fields) in [
            (seen(0, 3600), vec![]),
            (seen(2, 3600), vec!["packages to upgrade"]),
            (seen(0, 90_000), vec!["apt's lists"]),
            (seen(3, 1_790_000_000), vec!["packages to upgrade", "apt's lists"]),
        ] {
            let found = match upgraded(&state) {
                Diff::Change(changes) => changes.into_iter().map(|change| change.field).collect(),
                _ => Vec::new(),
            };
            assert_eq!(found, fields, "{state:?}");
        }
    }

    #[test]
    fn each_kind_of_upkeep_has_its_own_job() {
        let good = UpgradeState { lists_age: 3600, ..UpgradeState::default() };
        let bad = UpgradeState { upgradable: 3, half_configured: 2, removable: 1, lists_age: 3600 };
        for (upkeep, job, change) in [
            (Upkeep::Configured, Job::ConfigurePackages, "packages half-configured: 2 → 0"),
            (Upkeep::Upgraded, Job::DistUpgrade, "packages to upgrade: 3 (apt's lists are 1 h old) → 0"),
            (Upkeep::Autoremoved, Job::Autoremove, "packages that nothing needs: 1 → 0"),
        ] {
            let resource = || PackageUpkeep { node: node01(), upkeep, usual: Duration::from_secs(1) };
            let (words, name) = (job.to_string(), job.name());
            let done = JobStatus {
                hash: job.hash(),
                boot_id: "now".to_owned(),
                phase: JobPhase::Succeeded,
                ended_ago: Some(0),
                said: Vec::new(),
            };
            let script = Script::new([says!(node01(), Upgrades {} => bad), says!(node01(), JobState { name } => None)]);
            let effects =
                [says!(node01(), Upgrades {} => good), says!(node01(), JobState { name } => Some(done.clone()))];
            let run = [format!("node01: {words}"), format!("wait for the job {name}")];
            let script = script.once(&words, effects);
            check(change, resource(), script, &[change], &[&run[0], &run[1], "changed"]);
            check("good", resource(), Script::new([says!(node01(), Upgrades {} => good)]), &["in sync"], &["in sync"]);
        }
    }
}
