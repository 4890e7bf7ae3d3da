//! A node whose packages want a reboot has had it.

use std::time::Duration;

use crate::contract::node::RebootRequired;
use crate::contract::{Asked, Contract};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, NodeName, Span, Target};
use crate::resources::node::maintenance::{self, Membership};
use crate::run::change::{Change, Diff};
use crate::run::event::Notice;
use crate::run::fault::Fault;
use crate::run::hazard::Hazard;

/// A node that runs what is installed.
#[derive(Debug)]
pub struct Rebooted {
    /// Which.
    pub node: NodeName,
    /// Someone sits at it, or it is the machine that this runs on: told, not rebooted.
    pub workstation: bool,
    /// How long a reboot usually takes.
    pub usual: Duration,
    /// How long one may take.
    pub within: Duration,
}

/// What a look finds.
#[derive(Debug)]
pub struct Seen {
    required: bool,
    membership: Membership,
}

impl Resource for Rebooted {
    type State = Seen;

    fn label(&self) -> Label {
        Label::of(&self.node, "reboot")
    }

    fn target(&self) -> Target {
        Target::Node(self.node.clone())
    }

    fn questions(&self) -> Vec<Asked> {
        vec![self.node.asks(RebootRequired {})]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        let required = look.ask(&self.node, RebootRequired {}).await?;
        Ok(Seen { required, membership: Membership::of(&self.node, look).await? })
    }

    fn diff(&self, seen: &Seen) -> Diff {
        let mut changes = Vec::new();
        if seen.required && !self.workstation {
            changes.push(Change::new("reboot", "required", "done"));
        }
        if seen.membership.in_maintenance() {
            changes.push(Change::new("maintenance", "begun by an earlier run", "ended"));
        }
        Diff::of(changes)
    }

    fn hazards(&self, seen: Option<&Seen>) -> Vec<Hazard> {
        if self.workstation || seen.is_some_and(|seen| !seen.required) {
            return Vec::new();
        }
        vec![Hazard::Reboot { node: self.node.clone() }]
    }

    fn span(&self, seen: &Seen) -> Option<Span> {
        seen.membership.needs_gate().then_some(Span::Maintenance)
    }

    fn notices(&self, seen: &Seen) -> Vec<Notice> {
        if seen.required && self.workstation {
            vec![Notice::WorkstationReboot { node: self.node.clone() }]
        } else {
            Vec::new()
        }
    }

    async fn apply(&self, seen: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        if seen.required && !self.workstation {
            maintenance::reboot(act, &self.node, seen.membership.needs_gate(), self.within).await?;
            return Ok(Applied::Changed);
        }
        maintenance::bring_back(act, &self.node).await?;
        Ok(Applied::TookOver)
    }

    fn estimate(&self) -> Duration {
        self.usual
    }

    fn patience(&self) -> Duration {
        maintenance::PATIENCE
    }
}

#[cfg(test)]
mod tests;
