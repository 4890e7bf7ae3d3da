//! The cluster: Nodes, objects, releases, and what its own controllers make of them as time goes by.

use std::collections::{BTreeMap, BTreeSet};

use bringup_core::contract::{ObjectId, ReleaseState};
use bringup_core::ids::NodeName;
use serde_json::Value;

/// A Node.
#[derive(Clone, Debug)]
pub(crate) struct SimNode {
    /// The installation that its node password belongs to.
    pub install: u32,
    pub ready_at: u64,
    /// When its kubelet last renewed its Lease, in milliseconds; 0: never.
    pub renewed: u64,
    /// The boot of its machine that its kubelet last told of.
    pub boot_id: String,
    pub labels: BTreeMap<String, String>,
    pub taints: BTreeSet<String>,
    pub unschedulable: bool,
    pub in_maintenance: bool,
}

/// An object: its fields, when they last changed, when it was made.
#[derive(Clone, Debug)]
pub(crate) struct SimObject {
    pub value: Value,
    pub modified: u64,
    pub made: u64,
}

/// A cluster.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub id: u32,
    /// When its API first answered, in milliseconds.
    pub born: u64,
    pub nodes: BTreeMap<NodeName, SimNode>,
    pub objects: BTreeMap<ObjectId, SimObject>,
    pub releases: BTreeMap<(String, String), ReleaseState>,
    /// When the pods of a workload started, in milliseconds.
    pub pods: BTreeMap<(String, String), u64>,
}

impl Cluster {
    pub fn new(id: u32, born: u64) -> Self {
        Self {
            id,
            born,
            nodes: BTreeMap::new(),
            objects: BTreeMap::new(),
            releases: BTreeMap::new(),
            pods: BTreeMap::new(),
        }
    }
}
