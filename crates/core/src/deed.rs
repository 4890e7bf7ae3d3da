//! The closed set of effects. A world brings them about; nothing else may be done.
//!
//! Every deed can be tried twice: a lost connection leaves it open whether it happened, and whoever tries again looks
//! first. Long work is started here and watched by questions, so that it outlives us.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::ids::{DiskPath, NodeName, Sha256, Slot};
use crate::k3s_config;
use crate::known_hosts::HostKey;
use crate::kubeconfig::ClusterAccess;
use crate::probe::{FlashMarkState, K3sRole, ObjectId};
use crate::secret::Secret;
use crate::version::Version;

/// What a deed gives back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// It is done, or started.
    Done,
    /// The public half of a host key that was made.
    HostKey(HostKey),
}

/// What a file shall hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// Text that anyone may see.
    Plain(String),
    /// Text that nobody may see: the file is made 0600 before it is filled.
    Hidden(Secret),
}

/// Work that runs detached on a node and is taken over, not started twice.
#[derive(Clone, PartialEq, Eq, Debug)]
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
    pub fn hash(&self) -> String {
        Sha256::of(format!("{self:?}")).to_string()
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

/// What cloud-init is to make of a flashed module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CloudSeed {
    /// Host name.
    pub hostname: String,
    /// Account to make.
    pub account: String,
    /// Public keys that may log in to it.
    pub public_keys: Vec<String>,
    /// A new one for every flash, or cloud-init ignores the rest.
    pub instance_id: String,
}

/// What an agent needs to join.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Join {
    /// `https://ADDRESS:6443`.
    pub server: String,
    /// From the control plane; handed over in a file, 0600.
    pub token: Secret,
}

/// Parts of a k3s release in the controller's cache.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct K3sArtifacts {
    /// Of which release they are.
    pub version: Version,
    /// The binary.
    pub binary: String,
    /// Images that it would pull otherwise.
    pub images: String,
    /// What the images' file is called on the node.
    pub images_name: String,
}

/// The binary of a k3s release that a node fetches by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct K3sFetch {
    /// Which release.
    pub version: Version,
    /// URL above `download/VERSION/`.
    pub url: String,
    /// Sums, one of which the release's list of sums must have; empty: the list is believed.
    pub sums: Vec<Sha256>,
}

/// How k3s shall be installed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct K3sInstall {
    /// As what.
    pub role: K3sRole,
    /// Which release.
    pub version: Version,
    /// The install script in the controller's cache.
    pub script: String,
    /// What the images' file that was handed over is called; `None`: none was.
    pub images_name: Option<String>,
    /// The whole text of k3s's configuration file, the user's lines included.
    pub config: Secret,
    /// Its configuration is ours to set: nobody else configured it by flags.
    pub ours: bool,
    /// What an agent joins.
    pub join: Option<Join>,
    /// The run that does it, for the mark that is written last.
    pub run: String,
}

/// Files, and directories with all that is in them, that an uninstallation keeps aside and the next installation puts back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptFiles(pub Vec<String>);

/// What systemd is to do with a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnitAction {
    /// Start it.
    Start,
    /// Restart it.
    Restart,
}

/// Where the bytes of a flash come from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ImageSource {
    /// A file on the BMC's SD card.
    Staged(String),
    /// A file on the controller, sent while it is written: does not survive us.
    Streamed(String),
}

/// An effect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Deed {
    /// Controller: fetch a file, check it, put it in place at once.
    Fetch {
        /// From where.
        url: String,
        /// Sum of what is fetched; none where the source publishes none and pins by its address.
        sha256: Option<Sha256>,
        /// Take this member out of the archive that was fetched.
        member: Option<String>,
        /// To where.
        path: String,
        /// Permission bits.
        mode: u32,
    },
    /// Controller and node: write a file, at once.
    WriteFile {
        /// Where.
        path: String,
        /// What.
        content: Content,
        /// Permission bits.
        mode: u32,
    },
    /// Node: fetch a repository's key into a keyring.
    FetchKeyring {
        /// From where.
        url: String,
        /// Sum of the file there, if the site pins it.
        sha256: Option<Sha256>,
        /// To where.
        path: String,
    },
    /// Controller and node: make a directory with its parents.
    MakeDirectory {
        /// Where.
        path: String,
    },
    /// Controller: put a block between our marker lines in a file, leaving all other lines.
    WriteBlock {
        /// Where.
        path: String,
        /// The name in the marker lines.
        name: String,
        /// The lines between them.
        text: String,
    },
    /// Controller: install a helm plugin, out of its release's archive.
    InstallHelmPlugin {
        /// Absolute path of helm.
        helm: String,
        /// Its name.
        name: String,
        /// URL of the archive: a gzipped tar with `plugin.yaml` and `bin/NAME` in the directory NAME.
        url: String,
        /// Sum of the archive.
        sha256: Sha256,
        /// Which version.
        version: Version,
    },
    /// Controller: let a tool write its shell completion.
    WriteCompletion {
        /// Absolute path of the tool.
        tool: String,
        /// `bash` or `zsh`.
        shell: &'static str,
        /// To where.
        path: String,
        /// The line that is put below it, which says whose the file is.
        mark: &'static str,
    },
    /// Controller: change known_hosts, if it still is what was looked at.
    EditKnownHosts {
        /// Absolute path of the file.
        path: String,
        /// Names whose entries go.
        remove: Vec<String>,
        /// Entries that come.
        add: Vec<(String, HostKey)>,
        /// The version that was looked at; another one there is a fault of cause `Stale`.
        expect: Option<String>,
    },
    /// Controller: merge a cluster's access into a kubeconfig under a context of its own, 0600.
    MergeKubeconfig {
        /// Absolute path of the file.
        path: String,
        /// The context's name.
        context: String,
        /// The access, at the address that the cluster has for others.
        access: ClusterAccess,
        /// Whether a context that is new becomes the current one.
        set_current: bool,
    },
    /// BMC: put an image on the SD card, checked there; what the controller has not is fetched meanwhile.
    StageImage {
        /// From where: `https://`, `http://`, `file://` or an absolute path.
        url: String,
        /// Its sum.
        sha256: Sha256,
        /// Absolute path where the controller keeps it.
        cached: String,
        /// On the BMC.
        to: String,
    },
    /// BMC: write our mark of a slot's flash.
    WriteFlashMark {
        /// Which slot.
        slot: Slot,
        /// What it says.
        mark: FlashMarkState,
    },
    /// BMC: cut a slot's power.
    PowerOff {
        /// Which.
        slot: Slot,
    },
    /// BMC: give a slot power, with its USB back to normal.
    PowerOn {
        /// Which.
        slot: Slot,
    },
    /// BMC: start to write an image to a slot's module.
    StartFlash {
        /// Which slot.
        slot: Slot,
        /// For which node.
        node: NodeName,
        /// The instance id of the mark that it belongs to: an old transfer never answers for a new one.
        order: String,
        /// From where.
        source: ImageSource,
        /// The sum of its image.
        sha256: Sha256,
    },
    /// BMC: set a slot's USB mode back to `device`, and let its module boot from its own storage again.
    ClearStoredUsbBoot {
        /// Which slot.
        slot: Slot,
    },
    /// BMC: restart its daemon, which frees a transfer that hangs.
    ///
    /// Refused where other slots have power that this run did not give them: it may take that.
    RestartBmcDaemon {
        /// The slot whose flash stalls: it is switched off, and stays so.
        slot: Slot,
    },
    /// BMC: mount a module as mass storage and give it its identity: cloud-init's files, and host keys that are made
    /// on the controller and go to the root file system. Gives the public key back.
    SeedCloudInit {
        /// Which slot.
        slot: Slot,
        /// What cloud-init shall make of it.
        seed: CloudSeed,
    },
    /// Node: start a job, detached.
    StartJob {
        /// Which.
        job: Job,
    },
    /// Node: reboot.
    Reboot,
    /// Node: order systemd to act on a unit. Comes back when that is ordered, not when it is done.
    Unit {
        /// Its name.
        name: String,
        /// What.
        action: UnitAction,
    },
    /// Node: fetch a release's binary, check it and lay it ready for `InstallK3s`. Nothing of what is installed changes.
    FetchK3s(K3sFetch),
    /// Node: bring a release's binary and images from the controller and lay them ready for `InstallK3s`.
    HandOverK3s(K3sArtifacts),
    /// Node: install k3s, or bring an installed one to this version and configuration.
    InstallK3s(Box<K3sInstall>),
    /// Node: uninstall k3s, keeping some files aside that come back with the next installation.
    UninstallK3s {
        /// As what it is installed.
        role: K3sRole,
        /// What is kept.
        keep: KeptFiles,
    },
    /// Control plane: take a snapshot of the datastore and bring it to the controller, beside the site's journals, with the token
    /// that it takes to restore it.
    FetchSnapshot {
        /// The run that does it, for the name.
        run: String,
    },
    /// Cluster: cordon a node and put our maintenance mark on it.
    Cordon {
        /// Which.
        node: NodeName,
    },
    /// Cluster: evict a node's pods. A disruption budget that holds it up is a fault of cause `Refused`.
    Drain {
        /// Which.
        node: NodeName,
    },
    /// Cluster: uncordon a node and take our mark away.
    Uncordon {
        /// Which.
        node: NodeName,
    },
    /// Cluster: delete a Node and its node-password secret.
    DeleteNode {
        /// Which.
        node: NodeName,
    },
    /// Cluster: set labels and taints of a Node, leaving its others.
    MarkNode {
        /// Which.
        node: NodeName,
        /// Labels to set.
        labels: BTreeMap<String, String>,
        /// Taints to add.
        taints: BTreeSet<String>,
    },
    /// Cluster: install or upgrade a Helm release.
    InstallRelease {
        /// In which namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The chart.
        chart: String,
        /// Its version.
        version: Version,
        /// Values.
        values: Value,
        /// The run that forces it, for the mark.
        run: Option<String>,
    },
    /// Cluster: uninstall a Helm release, if the chart that comes in its place can be had; what its Applications manage stays.
    UninstallRelease {
        /// In which namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The chart that comes in its place, as for an installation.
        chart: String,
        /// The chart's version.
        version: Version,
    },
    /// Cluster: apply an object, server side, owning only the fields given.
    ApplyObject {
        /// Which.
        id: ObjectId,
        /// The fields.
        fields: Value,
        /// Whether fields that others own are taken over.
        force: bool,
    },
    /// Cluster: write sealed-secrets' keys to a directory on the controller, encrypted, 0600.
    BackUpSealedKeys {
        /// Absolute path of the directory.
        to: String,
        /// For whom: age recipients.
        recipients: Vec<String>,
    },
    /// Cluster: put sealed-secrets' keys back that are not there.
    RestoreSealedKeys {
        /// Absolute path of the encrypted file on the controller.
        from: String,
        /// Absolute path of the file on the controller with the age identities that can read it.
        identity: String,
    },
    /// Cluster: restart a workload's pods.
    RestartWorkload {
        /// In which namespace.
        namespace: String,
        /// Value of their label `app.kubernetes.io/name`.
        name: String,
    },
}

impl Deed {
    /// What of it nobody may see, should whoever it is sent to say it again.
    pub fn secrets(&self) -> Vec<Secret> {
        match self {
            Self::WriteFile { content: Content::Hidden(secret), .. } => vec![secret.clone()],
            Self::InstallK3s(install) => {
                let token = install.join.iter().map(|join| join.token.clone());
                token.chain(k3s_config::secrets(install.config.expose())).collect()
            }
            _ => Vec::new(),
        }
    }

    /// How long it may take at most. Generous: a bound ends what hangs, it does not hurry what is slow.
    pub fn bound(&self) -> Duration {
        Duration::from_secs(60)
            * match self {
                Self::Fetch { .. } | Self::StageImage { .. } => 60,
                Self::FetchK3s(_)
                | Self::HandOverK3s(_)
                | Self::InstallK3s(_)
                | Self::InstallRelease { .. }
                | Self::UninstallRelease { .. } => 15,
                Self::UninstallK3s { .. } | Self::Drain { .. } | Self::InstallHelmPlugin { .. } => 10,
                Self::RestartWorkload { .. } => 10,
                Self::FetchSnapshot { .. } | Self::SeedCloudInit { .. } | Self::ApplyObject { .. } => 5,
                _ => 2,
            }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetch { url, path, .. } => write!(f, "fetch {url} to {path}"),
            Self::WriteFile { path, .. } => write!(f, "write {path}"),
            Self::FetchKeyring { url, path, .. } => write!(f, "fetch the key {url} to {path}"),
            Self::MakeDirectory { path } => write!(f, "make directory {path}"),
            Self::WriteBlock { path, name, .. } => write!(f, "write our block {name} in {path}"),
            Self::InstallHelmPlugin { name, version, .. } => write!(f, "install helm plugin {name} {version}"),
            Self::WriteCompletion { shell, path, .. } => write!(f, "write {shell} completion {path}"),
            Self::EditKnownHosts { add, remove, .. } => {
                let mut names: Vec<&str> = add.iter().map(|(name, _)| name.as_str()).collect();
                names.extend(remove.iter().map(String::as_str));
                names.sort_unstable();
                names.dedup();
                write!(f, "record the host keys of {}", names.join(", "))
            }
            Self::MergeKubeconfig { path, context, .. } => write!(f, "merge context {context} into {path}"),
            Self::StageImage { to, .. } => write!(f, "put the image at {to}"),
            Self::WriteFlashMark { slot, mark } => write!(f, "mark slot {slot} as {}", mark.phase.word()),
            Self::PowerOff { slot } => write!(f, "power off slot {slot}"),
            Self::PowerOn { slot } => write!(f, "power on slot {slot}"),
            Self::StartFlash { slot, node, .. } => write!(f, "flash slot {slot} ({node})"),
            Self::ClearStoredUsbBoot { slot } => write!(f, "set the USB mode of slot {slot} to device"),
            Self::RestartBmcDaemon { .. } => f.write_str("restart the BMC's daemon"),
            Self::SeedCloudInit { slot, seed } => write!(f, "give slot {slot} the identity of {}", seed.hostname),
            Self::StartJob { job } => write!(f, "{job}"),
            Self::Reboot => f.write_str("reboot"),
            Self::Unit { name, action } => match action {
                UnitAction::Start => write!(f, "start {name}"),
                UnitAction::Restart => write!(f, "restart {name}"),
            },
            Self::FetchK3s(fetch) => write!(f, "fetch k3s {}", fetch.version),
            Self::HandOverK3s(artifacts) => write!(f, "hand over k3s {}", artifacts.version),
            Self::InstallK3s(install) => write!(f, "install k3s {} as {}", install.version, install.role.word()),
            Self::UninstallK3s { role, .. } => write!(f, "uninstall k3s {}", role.word()),
            Self::FetchSnapshot { .. } => f.write_str("bring a snapshot of the datastore to the controller"),
            Self::Cordon { node } => write!(f, "cordon {node}"),
            Self::Drain { node } => write!(f, "drain {node}"),
            Self::Uncordon { node } => write!(f, "uncordon {node}"),
            Self::DeleteNode { node } => write!(f, "delete Node {node} and its node-password secret"),
            Self::MarkNode { node, .. } => write!(f, "set labels and taints of {node}"),
            Self::InstallRelease { namespace, name, version, .. } => {
                write!(f, "install release {namespace}/{name} {version}")
            }
            Self::UninstallRelease { namespace, name, .. } => write!(f, "uninstall release {namespace}/{name}"),
            Self::ApplyObject { id, .. } => write!(f, "apply {id}"),
            Self::BackUpSealedKeys { to, .. } => write!(f, "back sealed-secrets' keys up to {to}"),
            Self::RestoreSealedKeys { from, .. } => write!(f, "put sealed-secrets' keys back from {from}"),
            Self::RestartWorkload { namespace, name } => write!(f, "restart the pods of {namespace}/{name}"),
        }
    }
}
