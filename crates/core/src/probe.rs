//! The closed set of questions. A world answers them; nothing else may be asked.
//!
//! Each question is a type of its own with the type of its answer, so whoever asks gets what was asked for.

mod states;

use std::collections::BTreeSet;
use std::time::Duration;

pub use self::states::{
    CloudInitState, DiskState, FieldConflict, Fields, FileState, FlashFailure, FlashJobState, FlashMarkState,
    FlashPhase, ForeseenState, JobPhase, JobStatus, K3sRole, K3sState, KnownHostsState, KubeNodeState, KubeconfigState,
    ObjectId, ObjectState, ReleaseState, RememberedState, SdCardState, SealedKeysBackupState, SealedKeysState,
    SystemState, UnitState, UpgradeState,
};
use crate::deed::ImageSource;
use crate::ids::{DiskPath, Label, NodeName, Sha256, Slot};
use crate::k3s_journal::Said;
use crate::known_hosts::HostKey;
use crate::kubeconfig::ClusterAccess;
use crate::secret::Secret;
use crate::version::Version;

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
    /// Controller: when a file was last written, in seconds of its clock. `None`: there is none.
    Modified {
        /// Absolute path.
        path: String
    } -> Option<u64>;
    /// Controller: whether a file has this line. `None`: there is no file.
    HasLine {
        /// Absolute path.
        path: String,
        /// The line, without its end.
        line: String
    } -> Option<bool>;
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
    /// Controller: whether an earlier run learned of this node, or known_hosts has a key for one of its names.
    Remembered {
        /// Which.
        node: NodeName,
        /// Its names in known_hosts.
        names: Vec<String>
    } -> RememberedState;
    /// Controller: the sum that a file in the cache had when it was fetched from this address, if a sum or TLS
    /// proved it then. `None`: it was not fetched from there, or nothing proved it.
    FetchedSum {
        /// Absolute path.
        path: String,
        /// The address.
        url: String
    } -> Option<Sha256>;
    /// Node or BMC, from outside: what its name resolves to. Empty: it does not resolve.
    Addresses {} -> Vec<String>;
    /// Node or BMC, from outside: whether an SSH server speaks at any of its addresses. Bounded to 3 s.
    SshBanner {} -> bool;
    /// Node or BMC, from outside: the host keys that its SSH server shows now.
    HostKeys {} -> Vec<HostKey>;
    /// BMC: whether it says that a slot has power to run. A module that is a disk of the BMC runs nothing.
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
    /// BMC: that these bytes are an image that it can write to a module. A fault says why they are not.
    ImageIsFit {
        /// Where they come from.
        source: ImageSource,
        /// Their sum.
        sha256: Sha256
    } -> ();
    /// BMC: whether its daemon unpacks xz while it writes. `None`: nothing tells.
    UnpacksXz {} -> Option<bool>;
    /// BMC: the modules on its USB bus that wait there to be booted, as `VENDOR:PRODUCT at PORT`. bmcd writes to the first
    /// that it finds, whatever slot it is in.
    WaitingModules {} -> Vec<String>;
    /// BMC: the slot whose module its daemon puts into USB boot whenever it starts, as its USB mode is stored as `flash`.
    /// `None`: no slot, or `tpi`, which does not tell, is all that there is.
    StoredUsbBoot {} -> Option<Slot>;
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
        /// Its path.
        path: DiskPath
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
    /// Node: whether anybody holds a lock of dpkg's or apt's.
    PackagesBusy {} -> bool;
    /// Node: the names of our detached jobs that run there in this boot.
    RunningJobs {} -> BTreeSet<String>;
    /// Node: version of the GPU driver that the kernel has loaded or that is installed.
    GpuDriver {} -> Option<String>;
    /// Node: k3s. `None`: not installed.
    K3s {} -> Option<K3sState>;
    /// Node: the text of k3s's configuration file, also where our uninstallation keeps it. It may hold a secret.
    K3sConfig {} -> Option<Secret>;
    /// Node: what the k3s that runs, or tries to, said last of why it does not get on.
    K3sTrouble {} -> Option<Said>;
    /// Node: whether something there listens to it at this address and port. Bounded to 5 s.
    Reaches {
        /// Name or address.
        host: String,
        /// TCP port.
        port: u16
    } -> bool;
    /// Node: the release that our last uninstallation took away, if none was installed since.
    K3sBefore {} -> Option<Version>;
    /// Node: what k3s needs of the kernel and that is missing.
    MissingKernelFeatures {} -> Vec<String>;
    /// Control plane: what lets a node join. `None`: k3s has not written it yet.
    JoinToken {} -> Option<Secret>;
    /// Worker: the token that our installation gave it. `None`: we gave it none.
    AgentToken {} -> Option<Secret>;
    /// Control plane: what the administrator's kubeconfig that k3s wrote there gives access with.
    AdminKubeconfig {} -> ClusterAccess;
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
    /// Cluster: what applying an object would make of it, as the API says that would come of it.
    ForeseenObject {
        /// Which.
        id: ObjectId,
        /// The fields that it shall have.
        fields: Fields,
        /// The fields that it shall have where nobody else gives them another value.
        defaults: Fields,
        /// Whether fields are taken over from others.
        force: bool
    } -> ForeseenState;
    /// Cluster: the keys of sealed-secrets, without which nothing that was sealed for this cluster can be read.
    SealedSecretsKeys {} -> SealedKeysState;
    /// Controller: the last backup of sealed-secrets' keys that is in a directory. `None`: none is.
    SealedKeysBackup {
        /// Absolute path.
        directory: String
    } -> Option<SealedKeysBackupState>;
    /// Cluster: when the oldest pod of a workload started, in seconds of the cluster's clock. `None`: no pod.
    PodsSince {
        /// In which namespace.
        namespace: String,
        /// Value of their label `app.kubernetes.io/name`.
        name: String
    } -> Option<u64>;
}

impl Probe {
    /// How long its answer may take at most.
    pub fn bound(&self) -> Duration {
        match self {
            // Read through: a BMC sums some 15 MB a second, and an image has a gigabyte and more.
            Self::ImageFile(_) | Self::ImageIsFit(_) | Self::File(_) => Duration::from_secs(15 * 60),
            _ => Duration::from_secs(60),
        }
    }

    /// A short name for a question, for faults and labels.
    pub fn word(&self) -> Label {
        let debug = format!("{self:?}");
        Label::new(debug.split('(').next().unwrap_or_default())
    }
}
