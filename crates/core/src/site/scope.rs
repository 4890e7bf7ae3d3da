//! What of a site a run is about: `--tags`, `--skip-tags`, `--limit`.

use std::collections::BTreeSet;

use crate::ids::{BoardName, NodeName, StageName};

/// The stages and targets that a run may change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scope {
    /// The stages that were asked for.
    pub stages: BTreeSet<StageName>,
    /// Whether the controller and the cluster are in scope (a `--limit` of hosts leaves the controller's own stages out).
    pub controller: bool,
    /// The boards in scope; the board of a node in scope is one.
    pub boards: BTreeSet<BoardName>,
    /// The nodes in scope.
    pub nodes: BTreeSet<NodeName>,
    /// The hosts that `--limit` lists by their own name: what needs a name has it.
    pub named: BTreeSet<NodeName>,
}
