//! A node's packages are configured, as new as its repositories have them, and all needed.

use std::time::Duration;

use super::job;
use crate::change::{Change, Diff};
use crate::deed::Job;
use crate::engine::{Act, Look};
use crate::fault::Fault;
use crate::names::{Label, NodeName, Target};
use crate::probe::{Probe, UpgradeState, Upgrades};
use crate::resource::{Applied, Resource};

/// How long it may take on a slow module with slow storage.
const BOUND: Duration = Duration::from_secs(7200);

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

    fn questions(&self) -> Vec<(Target, Probe)> {
        vec![(Resource::target(self), Upgrades {}.into())]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<UpgradeState, Fault> {
        look.ask(&Resource::target(self), Upgrades {}).await
    }

    fn diff(&self, seen: &UpgradeState) -> Diff {
        let (field, count, known) = match self.upkeep {
            Upkeep::Configured => ("packages half-configured", seen.half_configured, seen.half_configured.to_string()),
            Upkeep::Upgraded => {
                let known = format!("{} (apt's lists are {} h old)", seen.upgradable, seen.lists_age / 3600);
                ("packages to upgrade", seen.upgradable, known)
            }
            Upkeep::Autoremoved => ("packages that nothing needs", seen.removable, seen.removable.to_string()),
        };
        if count == 0 { Diff::InSync } else { Diff::Change(vec![Change::new(field, known, "0")]) }
    }

    async fn apply(&self, _: &UpgradeState, act: &Act<'_>) -> Result<Applied, Fault> {
        let job = match self.upkeep {
            Upkeep::Configured => Job::ConfigurePackages,
            Upkeep::Upgraded => Job::DistUpgrade,
            Upkeep::Autoremoved => Job::Autoremove,
        };
        job::see_through(act, &Resource::target(self), job, BOUND).await
    }

    fn estimate(&self) -> Duration {
        self.usual
    }
}
