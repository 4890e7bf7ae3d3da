//! Detached work on a node.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{DiskPath, Sha256};

/// Work that runs detached on a node and is taken over, not started twice.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// `dpkg --configure -a`.
    ConfigurePackages,
    /// `apt-get update` and `dist-upgrade`.
    DistUpgrade,
    /// `apt-get autoremove`.
    Autoremove,
    /// `apt-get install`.
    InstallPackages {
        /// Their names.
        names: BTreeSet<String>,
    },
    /// `ubuntu-drivers install`.
    InstallGpuDriver,
    /// `ubuntu-rockchip-install DISK`.
    MoveRoot {
        /// To which disk.
        disk: DiskPath,
    },
}

impl Job {
    /// Names the kind of work; one of a kind runs at a time.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ConfigurePackages => "configure-packages",
            Self::DistUpgrade => "dist-upgrade",
            Self::Autoremove => "autoremove",
            Self::InstallPackages { .. } => "install-packages",
            Self::InstallGpuDriver => "install-gpu-driver",
            Self::MoveRoot { .. } => "move-root",
        }
    }

    /// Hash of what is asked for: an old success never answers for a new job.
    ///
    /// It is kept in `/var/lib/bringup/jobs` on nodes, where a later release looks for it: of what it is the hash never
    /// changes.
    pub fn hash(&self) -> String {
        Sha256::of(self.canonical()).to_string()
    }

    /// A text that no other job has. Its form is that of Rust's `Debug` in the first releases.
    fn canonical(&self) -> String {
        match self {
            Self::ConfigurePackages => "ConfigurePackages".to_owned(),
            Self::DistUpgrade => "DistUpgrade".to_owned(),
            Self::Autoremove => "Autoremove".to_owned(),
            Self::InstallPackages { names } => {
                let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
                format!("InstallPackages {{ names: {{{}}} }}", names.join(", "))
            }
            Self::InstallGpuDriver => "InstallGpuDriver".to_owned(),
            Self::MoveRoot { disk } => format!("MoveRoot {{ disk: {:?} }}", disk.as_str()),
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConfigurePackages => f.write_str("configure unpacked packages"),
            Self::DistUpgrade => f.write_str("upgrade all packages"),
            Self::Autoremove => f.write_str("remove packages that nothing needs"),
            Self::InstallPackages { names } => {
                f.write_str("install ")?;
                f.write_str(&names.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
            }
            Self::InstallGpuDriver => f.write_str("install the GPU driver"),
            Self::MoveRoot { disk } => write!(f, "copy the root file system to {disk}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As commit 9d531c8 wrote them on nodes: what it began is taken over, and not begun again.
    #[test]
    fn what_an_older_release_began_is_known_by_its_hash() {
        let packages =
            |names: &[&str]| Job::InstallPackages { names: names.iter().map(|&name| name.to_owned()).collect() };
        let disk = DiskPath::parse("/dev/nvme0n1").unwrap();
        for (job, hash) in [
            (Job::ConfigurePackages, "22b584321d395e17f66cb663b1bb49744e673bbecb3c98dfbf1bf73d0321788a"),
            (Job::DistUpgrade, "9e3f05ee8463fe7501ccba85dfb9a3f8822cf8ff277457c97e4763b037864350"),
            (Job::Autoremove, "81ea95171d0ca72ae224355c3ee0e3451682ff6d958eda23f10049bcc69caf25"),
            (packages(&["b; reboot", "a"]), "94eb144800c836e66dda3b10fc429d666f39a3b4ec8b873291cf8150c35b6baf"),
            (Job::InstallGpuDriver, "56a625030740700c20dbf85653f6153d284b2588cc1bc1d1bde319ca789eaa7c"),
            (Job::MoveRoot { disk }, "8229f714d37772d64c706ec170a7c27ede5a182c38ed93954e6c971f5d0f1d78"),
        ] {
            assert_eq!(job.hash(), hash, "{job:?}");
        }
    }
}
