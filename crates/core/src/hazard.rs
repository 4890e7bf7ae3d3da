//! What can hurt, declared before it happens.

use std::fmt;

use serde::Serialize;

use crate::names::{BoardName, NodeName, Slot, Target};

/// What is known of the machine whose disk would be erased.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Liveness {
    /// Nothing speaks for it being in use.
    Idle,
    /// Powered on but silent, or known of old and not to be found now: it may be alive.
    Doubtful,
    /// It answers.
    Living,
}

/// A named thing that a step may destroy or interrupt.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(tag = "hazard", rename_all = "snake_case")]
pub enum Hazard {
    /// All that is on a disk of a node is lost.
    Erase {
        /// Whose disk.
        node: NodeName,
        /// Which disk, as the operator knows it: `eMMC`, `/dev/nvme0n1 (model, serial)`.
        disk: String,
        /// What is known of the node.
        liveness: Liveness,
    },
    /// A slot's power is cut under a node that may be alive.
    CutPower {
        /// Whose.
        node: NodeName,
    },
    /// A host's key is believed that nobody knew before.
    TrustKey {
        /// Whose: a node's or a BMC's.
        host: Target,
        /// The key's SHA-256 fingerprint, as OpenSSH writes it.
        fingerprint: String,
    },
    /// A node goes down and comes back.
    Reboot {
        /// Which.
        node: NodeName,
    },
    /// k3s and its data leave a node.
    UninstallK3s {
        /// Which.
        node: NodeName,
    },
    /// sealed-secrets' keys go with the control plane, and nobody has a copy.
    LoseSealedKeys {
        /// Which, as `namespace/name`; `None` where the cluster does not say whether there are any.
        #[serde(skip_serializing_if = "Option::is_none")]
        keys: Option<String>,
    },
    /// A slot's USB mode, which somebody has set to `flash`, is set back.
    ClearUsbBoot {
        /// On which board.
        board: BoardName,
        /// Which slot.
        slot: Slot,
    },
    /// An object of the cluster is deleted.
    Delete {
        /// `kind namespace/name`.
        object: String,
    },
}

impl Hazard {
    /// The node whose name has to be given, beyond a yes, before this may happen.
    pub fn needs_name(&self) -> Option<&NodeName> {
        match self {
            Self::Erase { node, liveness, .. } if *liveness != Liveness::Idle => Some(node),
            Self::CutPower { node } => Some(node),
            _ => None,
        }
    }

    /// Whether approving `self` approves `other` too. What was approved for an idle node says nothing
    /// about a living one; an erasure foreseen before the disk could be read covers that same disk.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Erase { node, disk, liveness },
                Self::Erase { node: other_node, disk: other_disk, liveness: other_liveness },
            ) => {
                let device = |disk: &str| disk.split(' ').next().map(str::to_owned);
                node == other_node
                    && liveness >= other_liveness
                    && (disk == other_disk || (!disk.contains(' ') && device(disk) == device(other_disk)))
            }
            _ => self == other,
        }
    }
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Erase { node, disk, liveness } => {
                write!(f, "erase {disk} of {node}")?;
                match liveness {
                    Liveness::Idle => Ok(()),
                    Liveness::Doubtful => write!(f, ", which may be alive"),
                    Liveness::Living => write!(f, ", WHICH IS ALIVE"),
                }
            }
            Self::CutPower { node } => write!(f, "cut the power of {node}, which may be alive"),
            Self::TrustKey { host, fingerprint } => write!(f, "trust {host}, which shows the host key {fingerprint}"),
            Self::Reboot { node } => write!(f, "reboot {node}"),
            Self::UninstallK3s { node } => write!(f, "uninstall k3s on {node}"),
            Self::LoseSealedKeys { keys: Some(keys) } => {
                write!(f, "lose sealed-secrets' keys, of which nobody has a copy: {keys}")
            }
            Self::LoseSealedKeys { keys: None } => {
                f.write_str("lose sealed-secrets' keys, if there are any: the cluster does not answer")
            }
            Self::ClearUsbBoot { board, slot } => {
                write!(f, "change the USB mode of slot {slot} on {board} from flash to device")
            }
            Self::Delete { object } => write!(f, "delete {object}"),
        }
    }
}
