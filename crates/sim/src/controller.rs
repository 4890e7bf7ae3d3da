//! The machine that runs `bringup`: its files, its known_hosts, its kubeconfig.

use std::collections::{BTreeMap, BTreeSet};

use bringup_core::contract::{FileState, KubeconfigState};
use bringup_core::ids::{NodeName, Sha256};
use bringup_core::text::known_hosts::KnownHosts;

/// What was recorded when a file was fetched.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    pub url: String,
    pub sha256: Sha256,
}

/// The controller.
#[derive(Clone, Debug, Default)]
pub(crate) struct Controller {
    pub files: BTreeMap<String, FileState>,
    /// By path.
    pub fetched: BTreeMap<String, Fetched>,
    pub blocks: BTreeMap<(String, String), String>,
    pub directories: BTreeSet<String>,
    pub tools: BTreeMap<String, String>,
    pub plugins: BTreeMap<String, String>,
    pub known_hosts: KnownHosts,
    /// Lines of known_hosts that are not ours: they must stay.
    pub foreign: Vec<String>,
    pub kubeconfig: BTreeMap<String, KubeconfigState>,
    pub remembered: BTreeSet<NodeName>,
}
