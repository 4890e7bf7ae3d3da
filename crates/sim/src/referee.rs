//! Sees everything, and remembers what must never be.

use std::collections::BTreeSet;

use bringup_core::ids::{DiskPath, NodeName};
use bringup_core::run::hazard::{Disk, Hazard, Liveness};

/// What the operator of a run approved.
#[derive(Clone, Debug, Default)]
pub struct Approval {
    /// What was approved.
    pub approved: Vec<Hazard>,
    /// Flashes are forced.
    pub forced: bool,
    /// Whose name was given.
    pub named: BTreeSet<NodeName>,
}

/// The referee.
#[derive(Clone, Debug, Default)]
pub(crate) struct Referee {
    pub approval: Approval,
    pub violations: Vec<String>,
}

impl Referee {
    pub fn violation(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }

    /// Something hazardous happens: it was approved, or else.
    pub fn hazard(&mut self, hazard: &Hazard) {
        if !self.approval.approved.iter().any(|approved| approved.covers(hazard)) {
            self.violation(format!("not approved: {hazard}"));
        }
    }

    /// A root file system is copied to a disk, whose model and serial the approval may name.
    pub fn moved(&mut self, node: &NodeName, disk: &DiskPath) {
        let approved = self.approval.approved.iter().any(|approved| match approved {
            Hazard::Erase { node: other, disk: Disk::At { path, .. }, .. } => other == node && path == disk,
            _ => false,
        });
        if !approved {
            self.violation(format!("not approved: erase {disk} of {node}"));
        }
    }

    /// A slot's power is cut under a module in this condition.
    pub fn cut(&mut self, node: &NodeName, condition: Liveness) {
        let erase = Hazard::Erase { node: node.clone(), disk: Disk::Emmc, liveness: condition };
        let cut = Hazard::CutPower { node: node.clone() };
        let approved = self.approval.approved.iter().any(|approved| approved.covers(&erase) || approved.covers(&cut));
        if condition != Liveness::Idle && !approved {
            self.violation(format!("the power of {node}, which was {condition:?}, was cut without approval"));
        }
    }

    /// A module is erased that was in this condition when its power was cut.
    pub fn erased(&mut self, node: &NodeName, condition: Liveness) {
        if condition == Liveness::Living && !self.approval.forced {
            self.violation(format!("{node} was alive and was flashed unforced"));
        }
        if condition != Liveness::Idle && !self.approval.named.contains(node) {
            self.violation(format!("{node} was {condition:?} and was flashed unnamed"));
        }
        self.hazard(&Hazard::Erase { node: node.clone(), disk: Disk::Emmc, liveness: condition });
    }
}
