//! The closed set of questions. A world answers them; nothing else may be asked.
//!
//! Each question is a type of its own with the type of its answer, so whoever asks gets what was asked for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::hazard::Liveness;
use crate::known_hosts::HostKey;
use crate::names::{Label, NodeName, Slot};
use crate::secret::Secret;

/// A question with the type of its answer.
pub trait Question: Into<Probe> {
    /// What is answered.
    type Answer;

    /// Takes the answer out of what the world gave; `None` if it answered another question.
    fn read(answer: Answer) -> Option<Self::Answer>;
}

macro_rules! probes {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty),* } -> $answer:ty;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
            pub struct $name { $($(#[$fdoc])* pub $field: $type),* }

            impl From<$name> for Probe {
                fn from(question: $name) -> Self {
                    Self::$name(question)
                }
            }

            impl Question for $name {
                type Answer = $answer;

                fn read(answer: Answer) -> Option<$answer> {
                    match answer {
                        Answer::$name(answer) => Some(answer),
                        _ => None,
                    }
                }
            }
        )*

        /// Any question.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Probe {
            $($(#[$doc])* $name($name),)*
        }

        /// Any answer.
        #[derive(Clone, PartialEq, Debug)]
        pub enum Answer {
            $($(#[$doc])* $name($answer),)*
        }
    };
}

probes! {
    /// Controller and node: a file. `None`: there is none.
    File {
        /// Absolute path.
        path: String
    } -> Option<FileState>;
    /// Controller and node: whether a directory is there.
    Directory {
        /// Absolute path.
        path: String
    } -> bool;
    /// Controller: the text between our two marker lines in a file. `None`: no such block.
    Block {
        /// Absolute path.
        path: String,
        /// The name in the marker lines.
        name: String
    } -> Option<String>;
    /// Controller: an installed tool's version, without `v`. `None`: not installed.
    ToolVersion {
        /// Absolute path of the binary.
        path: String
    } -> Option<String>;
    /// Controller: an installed helm plugin's version, without `v`. `None`: not installed.
    HelmPlugin {
        /// Absolute path of helm.
        helm: String,
        /// The plugin's name.
        name: String
    } -> Option<String>;
    /// Controller: the text of a small file on the web, such as `stable.txt` or a published checksum.
    WebText {
        /// Where.
        url: String
    } -> String;
    /// Controller: what known_hosts says of these names.
    KnownHostLines {
        /// Absolute path of the file.
        path: String,
        /// Names as OpenSSH writes them: `node01.lan`, `[node01.lan]:2222`.
        names: Vec<String>
    } -> KnownHostsState;
    /// Controller: a context of a kubeconfig. `None`: no such context.
    KubeconfigContext {
        /// Absolute path of the file.
        path: String,
        /// The context's name.
        context: String
    } -> Option<KubeconfigState>;
    /// Controller: whether an earlier run's journal or known_hosts knows of this node.
    Remembered {
        /// Which.
        node: NodeName,
        /// Its names in known_hosts.
        names: Vec<String>
    } -> bool;
    /// Node or BMC, from outside: what its name resolves to. Empty: it does not resolve.
    Addresses {} -> Vec<String>;
    /// Node or BMC, from outside: whether an SSH server speaks at any of its addresses. Bounded to 3 s.
    SshBanner {} -> bool;
    /// Node or BMC, from outside: the host keys that its SSH server shows now.
    HostKeys {} -> Vec<HostKey>;
    /// BMC: whether it says that a slot has power.
    SlotPower {
        /// Which.
        slot: Slot
    } -> bool;
    /// BMC: our own mark of a slot's flash.
    FlashMark {
        /// Which.
        slot: Slot
    } -> Option<FlashMarkState>;
    /// BMC: the flash that is under way, or the last that ended since the BMC booted.
    FlashJob {} -> Option<FlashJobState>;
    /// BMC: an image on the SD card, read through. `None`: there is none.
    ImageFile {
        /// Absolute path.
        path: String
    } -> Option<FileState>;
    /// BMC: the SD card. `None`: none is mounted.
    SdCard {} -> Option<SdCardState>;
    /// BMC: the last lines of a slot's serial console.
    Console {
        /// Which.
        slot: Slot
    } -> Vec<String>;
    /// Node: the id that the kernel made at this boot.
    BootId {} -> String;
    /// Node: the operating system and the machine.
    System {} -> SystemState;
    /// Node: the partition that `/` is on, such as `/dev/nvme0n1p2`.
    RootPartition {} -> String;
    /// Node: a disk. `None`: there is none.
    Disk {
        /// Its path, such as `/dev/nvme0n1`.
        path: String
    } -> Option<DiskState>;
    /// Node: where cloud-init stands.
    CloudInit {} -> CloudInitState;
    /// Node: which of these packages are installed.
    Packages {
        /// Their names.
        names: BTreeSet<String>
    } -> BTreeSet<String>;
    /// Node: what apt and dpkg would have to do. Runs no update: says how old the lists are.
    Upgrades {} -> UpgradeState;
    /// Node: whether a package wants a reboot.
    RebootRequired {} -> bool;
    /// Node: a systemd unit. `None`: there is none.
    Unit {
        /// Its name.
        name: String
    } -> Option<UnitState>;
    /// Node: a job of ours that runs or ran detached. `None`: never started here.
    JobState {
        /// What names it: the kind of work.
        name: &'static str
    } -> Option<JobStatus>;
    /// Node: version of the GPU driver that the kernel has loaded or that is installed.
    GpuDriver {} -> Option<String>;
    /// Node: k3s. `None`: not installed.
    K3s {} -> Option<K3sState>;
    /// Node: what k3s needs of the kernel and that is missing.
    MissingKernelFeatures {} -> Vec<String>;
    /// Control plane: what lets a node join.
    JoinToken {} -> Secret;
    /// Control plane: the administrator's kubeconfig, as k3s wrote it.
    AdminKubeconfig {} -> Secret;
    /// Cluster: whether its API answers as ready.
    ApiReady {} -> bool;
    /// Cluster: a Node. `None`: there is none.
    KubeNode {
        /// Its name.
        name: NodeName
    } -> Option<KubeNodeState>;
    /// Cluster: the nodes that bear our maintenance mark.
    InMaintenance {} -> BTreeSet<NodeName>;
    /// Cluster: names of all Nodes that are Ready.
    ReadyNodes {} -> BTreeSet<NodeName>;
    /// Cluster: those of these Deployments that have all their replicas ready.
    ReadyDeployments {
        /// In which namespace.
        namespace: String,
        /// Their names.
        names: BTreeSet<String>
    } -> BTreeSet<String>;
    /// Cluster: a Helm release. `None`: there is none.
    HelmRelease {
        /// In which namespace.
        namespace: String,
        /// Its name.
        name: String
    } -> Option<ReleaseState>;
    /// Cluster: an object's own fields. `None`: there is none.
    KubeObject {
        /// Which.
        id: ObjectId
    } -> Option<ObjectState>;
    /// Cluster: when the oldest pod of a workload started, in seconds of the cluster's clock. `None`: no pod.
    PodsSince {
        /// In which namespace.
        namespace: String,
        /// Value of their label `app.kubernetes.io/name`.
        name: String
    } -> Option<u64>;
}

/// A file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileState {
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// Size in bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// When it was last written, in seconds of the target's own clock.
    pub modified: u64,
}

/// What known_hosts says of some names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KnownHostsState {
    /// The keys of each name that has any.
    pub keys: BTreeMap<String, Vec<HostKey>>,
    /// Changes whenever the file does.
    pub version: String,
}

/// A context of a kubeconfig.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KubeconfigState {
    /// The API's URL.
    pub server: String,
    /// SHA-256 of the cluster's certificate authority and the user's credentials, in hex.
    pub credentials_sha256: String,
    /// Permission bits of the file.
    pub mode: u32,
}

/// How far a flash has come. The order is that of the work.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum FlashPhase {
    /// The image is being written.
    Flashing,
    /// The image is written and proved.
    Flashed,
    /// cloud-init's files and the host key are in place.
    Seeded,
    /// It was powered on with them.
    Booting,
    /// A login with the expected key worked.
    Done,
}

impl FlashPhase {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Flashing => "flashing",
            Self::Flashed => "flashed",
            Self::Seeded => "seeded",
            Self::Booting => "booting",
            Self::Done => "done",
        }
    }
}

/// Our mark of a slot's flash, kept on the BMC's SD card.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlashMarkState {
    /// For which node.
    pub node: NodeName,
    /// How far.
    pub phase: FlashPhase,
    /// What was known of the node when its flash was begun: until bytes are written, it may still be that.
    pub was: Liveness,
    /// SHA-256 of the image.
    pub image_sha256: String,
    /// cloud-init's instance id.
    pub instance_id: String,
    /// The host key that was made for it, from `Seeded` on.
    pub host_key: Option<HostKey>,
    /// The run that began it.
    pub run: String,
}

/// How a job stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JobPhase {
    /// Under way.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
}

/// The BMC's one transfer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlashJobState {
    /// To which slot.
    pub slot: Slot,
    /// How it stands.
    pub phase: JobPhase,
    /// Bytes written.
    pub done: u64,
    /// Bytes to write.
    pub total: u64,
    /// What it said last.
    pub said: Vec<String>,
}

/// The SD card of a BMC.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SdCardState {
    /// Free bytes.
    pub free: u64,
}

/// A node's operating system and machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SystemState {
    /// Host name.
    pub hostname: String,
    /// Such as `Ubuntu 24.04`.
    pub os: String,
    /// `arm64`, `amd64`.
    pub architecture: String,
}

/// A disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DiskState {
    /// Its model.
    pub model: String,
    /// Its serial number.
    pub serial: String,
    /// Size in bytes.
    pub size: u64,
    /// Whether a root file system is on it already.
    pub holds_root: bool,
}

/// Where cloud-init stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloudInitState {
    /// Not on this machine, or disabled.
    Absent,
    /// Under way.
    Running,
    /// Done.
    Done,
    /// Done with errors.
    Failed,
}

/// What apt and dpkg would have to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UpgradeState {
    /// Packages that a dist-upgrade would change.
    pub upgradable: u32,
    /// Packages that are unpacked and not configured.
    pub half_configured: u32,
    /// Packages that nothing needs any more.
    pub removable: u32,
    /// Age of apt's lists, in seconds.
    pub lists_age: u64,
}

/// A systemd unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnitState {
    /// It runs.
    pub active: bool,
    /// It starts at boot.
    pub enabled: bool,
    /// When it started, in seconds of the target's own clock.
    pub since: u64,
}

/// A detached job on a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobStatus {
    /// Hash of what it was asked for.
    pub hash: String,
    /// The boot in which it was started.
    pub boot_id: String,
    /// How it stands.
    pub phase: JobPhase,
    /// Its last lines.
    pub said: Vec<String>,
}

/// The two roles of k3s.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum K3sRole {
    /// Control plane.
    Server,
    /// Worker.
    Agent,
}

impl K3sRole {
    /// Its systemd unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Server => "k3s",
            Self::Agent => "k3s-agent",
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Agent => "agent",
        }
    }
}

/// k3s on a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct K3sState {
    /// As what.
    pub role: K3sRole,
    /// Such as `v1.33.6+k3s1`.
    pub version: String,
    /// Its unit runs.
    pub active: bool,
    /// SHA-256 of our drop-in configuration, if it is there.
    pub config_sha256: Option<String>,
    /// The run that last installed it, from our mark; none where we did not.
    pub run: Option<String>,
    /// The last error line of its journal, for faults.
    pub last_error: Option<String>,
}

/// A Node of the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KubeNodeState {
    /// Its Ready condition.
    pub ready: bool,
    /// It is cordoned.
    pub unschedulable: bool,
    /// It bears our maintenance mark.
    pub in_maintenance: bool,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its taints, as `key=value:effect` or `key:effect`.
    pub taints: BTreeSet<String>,
}

/// A Helm release.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReleaseState {
    /// Chart version.
    pub version: String,
    /// Helm's word: `deployed`, `failed`, `pending-install` …
    pub status: String,
    /// SHA-256 of the user's values, canonical JSON, in hex.
    pub values_sha256: String,
    /// The run that last forced it, from our mark.
    pub run: Option<String>,
}

/// Names an object of the cluster.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectId {
    /// Such as `argoproj.io/v1alpha1`.
    pub api_version: &'static str,
    /// Such as `Application`.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// An object of the cluster.
#[derive(Clone, PartialEq, Debug)]
pub struct ObjectState {
    /// The whole object, `status` and all, as the API gives it.
    pub value: Value,
    /// When a field we manage last changed, in seconds of the cluster's clock.
    pub modified: u64,
}

impl Probe {
    /// A short name for a question, for faults and labels.
    pub fn word(&self) -> Label {
        let debug = format!("{self:?}");
        Label::new(debug.split('(').next().unwrap_or_default())
    }
}
