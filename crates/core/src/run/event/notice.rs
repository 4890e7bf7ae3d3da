//! What the operator should know about a step, without having to do anything about it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::contract::{FieldConflict, ObjectId, OldWords};
use crate::ids::NodeName;
use crate::text::shell::Shell;

/// What the operator should know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Notice {
    /// A script of somebody else's is where ours would go.
    ScriptKept {
        /// Its absolute path on the controller.
        path: String,
        /// The name of ours.
        purpose: String,
    },
    /// A completion of somebody else's is where ours would go.
    CompletionKept {
        /// Its absolute path on the controller.
        path: String,
        /// The tool that ours would complete.
        tool: String,
        /// For which shell.
        shell: Shell,
    },
    /// A containerd template of somebody else's is left as it is.
    ContainerdTemplateKept {
        /// Its absolute path.
        path: String,
        /// On which node.
        node: NodeName,
    },
    /// A workstation requires a reboot, which is left to its user.
    WorkstationReboot {
        /// Which.
        node: NodeName,
    },
    /// k3s runs, and its configuration file is gone.
    K3sConfigurationMissing {
        /// On which node.
        node: NodeName,
    },
    /// Somebody else's settings of k3s stand.
    K3sConfigurationKept {
        /// On which node.
        node: NodeName,
        /// Which settings, in k3s' spelling.
        keys: Vec<String>,
    },
    /// Fields of an object that others own stay as they are.
    FieldsKept {
        /// Which object.
        id: ObjectId,
        /// Which fields.
        fields: Vec<FieldConflict>,
    },
    /// The cluster is set up without these workers, which are not Ready.
    WithoutWorkers {
        /// Which.
        nodes: BTreeSet<NodeName>,
    },
    /// Words from a log of format 0.
    Words(OldWords),
}
