//! What can hurt, declared before it happens.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{BoardName, DiskPath, NodeName, Slot, Target};

/// What is known of the machine whose disk would be erased.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Liveness {
    /// Nothing speaks for it being in use.
    Idle,
    /// Powered on but silent, or known of old and not to be found now: it may be alive.
    Doubtful,
    /// It answers.
    Living,
}

/// A disk that a step erases.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disk {
    /// The eMMC of a board's module.
    Emmc,
    /// One that the site names.
    At {
        /// By which path.
        path: DiskPath,
        /// What is there; `None` where nobody could look yet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<DiskFound>,
    },
}

/// What tells a disk from another that may take its path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct DiskFound {
    /// Its model, in its own words.
    pub model: String,
    /// Its serial number, in its own words.
    pub serial: String,
    /// What is on it.
    pub holds: Vec<String>,
}

impl Disk {
    /// Whether it is the other one, or was named before anybody could look at that.
    fn foresees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::At { path, found: None }, Self::At { path: other_path, .. }) => path == other_path,
            _ => self == other,
        }
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Emmc => f.write_str("eMMC"),
            Self::At { path, found: None } => write!(f, "{path}"),
            Self::At { path, found: Some(DiskFound { model, serial, holds }) } => {
                write!(f, "{path} ({model}, serial {serial}")?;
                if !holds.is_empty() {
                    write!(f, ", holds {}", holds.join(", "))?;
                }
                f.write_str(")")
            }
        }
    }
}

/// A named thing that a step may destroy or interrupt.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(tag = "hazard", rename_all = "snake_case")]
pub enum Hazard {
    /// All that is on a disk of a node is lost.
    Erase {
        /// Whose disk.
        node: NodeName,
        /// Which disk.
        disk: Disk,
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
            ) => node == other_node && liveness >= other_liveness && disk.foresees(other_disk),
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
            Self::UninstallK3s { node } => write!(
                f,
                "uninstall k3s on {node} and delete its data, local volumes included (its configuration and images stay)"
            ),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Approval to erase a disk is for that one, whatever its own words are.
    #[test]
    fn approval_for_a_disk_covers_no_other() {
        let found = |model: &str, holds: &[&str]| DiskFound {
            model: model.to_owned(),
            serial: "S1".to_owned(),
            holds: holds.iter().map(|&held| held.to_owned()).collect(),
        };
        let at = |path: &str, found: Option<DiskFound>| Disk::At { path: DiskPath::parse(path).unwrap(), found };
        let seen = at("/dev/sda", Some(found("A", &[])));
        for (approved, happens, covers) in [
            (Disk::Emmc, Disk::Emmc, true),
            (Disk::Emmc, seen.clone(), false),
            (seen.clone(), seen.clone(), true),
            (at("/dev/sda", None), seen.clone(), true),
            (at("/dev/sdb", None), seen.clone(), false),
            (seen.clone(), at("/dev/sda", None), false),
            (seen.clone(), at("/dev/sda", Some(found("B", &[]))), false),
            (seen.clone(), at("/dev/sda", Some(found("A", &["ext4 photos"]))), false),
            // As texts these two are the same.
            (at("/dev/sda", Some(found("A", &["x, y"]))), at("/dev/sda", Some(found("A", &["x", "y"]))), false),
        ] {
            let erase =
                |disk: &Disk, liveness| Hazard::Erase { node: NodeName::new("n"), disk: disk.clone(), liveness };
            let covered = erase(&approved, Liveness::Idle).covers(&erase(&happens, Liveness::Idle));
            assert_eq!(covered, covers, "{approved} → {happens}");
            assert!(!erase(&approved, Liveness::Idle).covers(&erase(&happens, Liveness::Living)));
        }
    }
}
