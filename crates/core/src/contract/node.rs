//! A node: its operating system, its packages, its disks and its k3s.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use crate::contract::controller::Content;
use crate::contract::{
    CloudInitState, DiskState, FileState, Job, JobStatus, K3sRole, K3sState, SystemState, UnitState, UpgradeState,
};
use crate::ids::{DiskPath, NodeName, Sha256};
use crate::text::k3s_config;
use crate::text::k3s_journal::Said;
use crate::text::known_hosts::HostKey;
use crate::text::kubeconfig::ClusterAccess;
use crate::text::secret::Secret;
use crate::version::Version;

/// What an agent needs to join.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Join {
    /// `https://ADDRESS:6443`.
    pub server: String,
    /// From the control plane; handed over in a file, 0600.
    pub token: Secret,
}

/// Files, and directories with all that is in them, that an uninstallation keeps aside and the next installation puts back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptFiles(pub Vec<String>);

/// What systemd is to do with a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitAction {
    /// Start it.
    Start,
    /// Restart it.
    Restart,
}

impl UnitAction {
    /// The verb of systemctl.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Restart => "restart",
        }
    }
}

/// The tokens in what k3s is configured with and in what an agent joins with.
fn tokens(config: &Secret, join: Option<&Join>) -> Vec<Secret> {
    let token = join.map(|join| join.token.clone());
    token.into_iter().chain(k3s_config::secrets(config.expose())).collect()
}

vocabulary! { NodeName:
    questions {
        /// From outside: what its name resolves to. Empty: it does not resolve.
        Addresses {} -> Vec<String> = ("find its addresses"), within 1 min;

        /// From outside: whether an SSH server speaks at any of its addresses. Bounded to 3 s.
        SshBanner {} -> bool = ("see whether it answers"), within 1 min;

        /// From outside: the host keys that its SSH server shows now.
        HostKeys {} -> Vec<HostKey> = ("see its host key"), within 1 min;

        /// A file. `None`: there is none.
        File {
            /// Absolute path.
            path: String,
        } -> Option<FileState> = ("read {path}"), within 15 min;

        /// Whether a directory is there.
        Directory {
            /// Absolute path.
            path: String,
        } -> bool = ("look for {path}"), within 1 min;

        /// The id that the kernel made at this boot.
        BootId {} -> String = ("read its boot id"), within 1 min;

        /// The operating system and the machine.
        System {} -> SystemState = ("see which system it runs"), within 1 min;

        /// The partition that `/` is on, such as `/dev/nvme0n1p2`.
        RootPartition {} -> String = ("find its root partition"), within 1 min;

        /// A disk. `None`: there is none.
        Disk {
            /// Its path.
            path: DiskPath,
        } -> Option<DiskState> = ("look at {path}"), within 1 min;

        /// Where cloud-init stands.
        CloudInit {} -> CloudInitState = ("see whether cloud-init has ended"), within 1 min;

        /// Which of these packages are installed.
        Packages {
            /// Their names.
            names: BTreeSet<String>,
        } -> BTreeSet<String> = ("see which packages are installed"), within 1 min;

        /// What apt and dpkg would have to do. Runs no update: says how old the lists are.
        Upgrades {} -> UpgradeState = ("see which packages can be upgraded"), within 1 min;

        /// Whether a package requires a reboot.
        RebootRequired {} -> bool = ("see whether a reboot is required"), within 1 min;

        /// A systemd unit. `None`: there is none.
        Unit {
            /// Its name.
            name: String,
        } -> Option<UnitState> = ("look at {name}"), within 1 min;

        /// A job of ours that runs or ran detached. `None`: never started here.
        JobState {
            /// What names it: the kind of work.
            name: &'static str,
        } -> Option<JobStatus> = ("check the job {name}"), within 1 min;

        /// Whether anybody holds a lock of dpkg's or apt's.
        PackagesBusy {} -> bool = ("check the locks of dpkg and apt"), within 1 min;

        /// The names of our detached jobs that run there in this boot.
        RunningJobs {} -> BTreeSet<String> = ("check running jobs"), within 1 min;

        /// Version of the GPU driver that the kernel has loaded or that is installed.
        GpuDriver {} -> Option<String> = ("look for a GPU driver"), within 1 min;

        /// k3s. `None`: not installed.
        K3s {} -> Option<K3sState> = ("look at its k3s"), within 1 min;

        /// The text of k3s's configuration file, also where our uninstallation keeps it. It may hold a secret.
        K3sConfig {} -> Option<Secret> = ("read its k3s configuration"), within 1 min;

        /// What the k3s that runs, or tries to, said last of why it does not get on.
        K3sTrouble {} -> Option<Said> = ("read the journal of its k3s"), within 1 min;

        /// Whether something there listens to it at this address and port. Bounded to 5 s.
        Reaches {
            /// Name or address.
            host: String,
            /// TCP port.
            port: u16,
        } -> bool = ("see whether it reaches {host}:{port}"), within 1 min;

        /// The release that our last uninstallation took away, if none was installed since.
        K3sBefore {} -> Option<Version> = ("see which k3s it had"), within 1 min;

        /// What k3s needs of the kernel and that is missing.
        MissingKernelFeatures {} -> Vec<String> = ("check what its kernel has"), within 1 min;

        /// Control plane: what lets a node join. `None`: k3s has not written it yet.
        JoinToken {} -> Option<Secret> = ("read the join token"), within 1 min;

        /// Worker: the token that our installation gave it. `None`: we gave it none.
        AgentToken {} -> Option<Secret> = ("read its join token"), within 1 min;

        /// Control plane: what the administrator's kubeconfig that k3s wrote there gives access with.
        AdminKubeconfig {} -> ClusterAccess = ("read the kubeconfig that k3s wrote"), within 1 min;
    }

    actions {
        /// Write a file, at once.
        WriteFile {
            /// Where.
            path: String,
        } with {
            /// What.
            content: Content,
            /// Permission bits.
            mode: u32,
        } = ("write {path}"), within 2 min, hides (content.secrets());

        /// Make a directory with its parents.
        MakeDirectory {
            /// Where.
            path: String,
        } = ("make directory {path}"), within 2 min;

        /// Fetch a repository's key into a keyring.
        FetchKeyring {
            /// From where.
            url: String,
            /// To where.
            path: String,
        } with {
            /// Sum of the file there, if the site pins it.
            sha256: Option<Sha256>,
        } = ("fetch the key {url} to {path}"), within 2 min;

        /// Start a job, detached.
        StartJob {
            /// Which.
            job: Job,
        } = ("{job}"), within 2 min;

        /// Reboot.
        Reboot {} = ("reboot"), within 2 min;

        /// Order systemd to act on a unit. Comes back when that is ordered, not when it is done.
        ControlUnit {
            /// Its name.
            name: String,
            /// What.
            action: UnitAction,
        } = ("{} {name}", action.verb()), within 2 min;

        /// Fetch a release's binary, check it and lay it ready for `InstallK3s`. Nothing of what is installed changes.
        FetchK3s {
            /// Which release.
            version: Version,
        } with {
            /// URL above `download/VERSION/`.
            url: String,
            /// Sums, one of which the release's list of sums must have; empty: the list is believed.
            sums: Vec<Sha256>,
        } = ("fetch k3s {version}"), within 15 min;

        /// Bring a release's binary and images from the controller's cache and lay them ready for `InstallK3s`.
        HandOverK3s {
            /// Of which release they are.
            version: Version,
        } with {
            /// Absolute path of the binary on the controller.
            binary: String,
            /// Absolute path on the controller of the images that it would pull otherwise.
            images: String,
            /// What the images' file is called on the node.
            images_name: String,
        } = ("hand over k3s {version}"), within 15 min;

        /// Install k3s, or bring an installed one to this version and configuration.
        InstallK3s {
            /// As what.
            role: K3sRole,
            /// Which release.
            version: Version,
        } with {
            /// Absolute path of the install script in the controller's cache.
            script: String,
            /// What the images' file that was handed over is called; `None`: none was.
            images_name: Option<String>,
            /// The whole text of k3s's configuration file, the user's lines included.
            config: Secret,
            /// Its configuration is ours to set: nobody else configured it by flags.
            ours: bool,
            /// What an agent joins.
            join: Option<Join>,
            /// The run that does it, for the mark that is written last.
            run: String,
        } = ("install k3s {version} as {}", role.word()), within 15 min, hides (tokens(config, join.as_ref()));

        /// Uninstall k3s, keeping some files aside that come back with the next installation.
        UninstallK3s {
            /// As what it is installed.
            role: K3sRole,
        } with {
            /// What is kept.
            keep: KeptFiles,
        } = ("uninstall k3s {}", role.word()), within 10 min;

        /// Control plane: take a snapshot of the datastore and bring it to the controller, beside the site's journals, with the
        /// token that it takes to restore it.
        FetchSnapshot {
            /// The run that does it, for the name.
            run: String,
        } = ("bring a snapshot of the datastore to the controller"), within 5 min;
    }
}
