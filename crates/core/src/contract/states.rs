//! What questions are answered with.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{NodeName, Sha256, Slot};
use crate::run::hazard::Liveness;
use crate::text::known_hosts::HostKey;
use crate::version::Version;

/// A file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileState {
    /// Sum of its bytes.
    pub sha256: Sha256,
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
    /// [`ClusterAccess::sha256`](crate::text::kubeconfig::ClusterAccess::sha256) of what is in it. `None`: it holds what we would
    /// not write there, a program to run for one.
    pub credentials_sha256: Option<Sha256>,
    /// Permission bits of the file.
    pub mode: u32,
}

/// How far a flash has come. The order is that of the work.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlashPhase {
    /// The image is being written.
    Flashing,
    /// The image is written and proved.
    Flashed,
    /// cloud-init's files and the host key are in place.
    Seeded,
    /// It gets power with them, or has it.
    Booting,
    /// It had power with them, and its SSH server did not answer in time.
    Overdue,
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
            Self::Overdue => "overdue",
            Self::Done => "done",
        }
    }
}

/// Our mark of a slot's flash, kept on the BMC.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlashMarkState {
    /// For which node.
    pub node: NodeName,
    /// How far.
    pub phase: FlashPhase,
    /// What was known of the node when its flash was begun: until bytes are written, it may still be that.
    pub was: Liveness,
    /// Sum of the image.
    pub image_sha256: Sha256,
    /// cloud-init's instance id.
    pub instance_id: String,
    /// The host key that was made for it, from `Seeded` on.
    pub host_key: Option<HostKey>,
    /// The run that began it or, later, the one that last went on with it.
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
    /// The mark's instance id that it was started for; `None` if it was not started by us.
    pub order: Option<String>,
    /// How it stands.
    pub phase: JobPhase,
    /// Bytes written; `None` where nobody can tell how far it is.
    pub done: Option<u64>,
    /// Bytes to write.
    pub total: u64,
    /// What it said last.
    pub said: Vec<String>,
    /// What kept it from ending well; `None` unless it has failed.
    pub failure: Option<FlashFailure>,
}

/// Why a module was not written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlashFailure {
    /// USB showed none: the slot is empty, or it came too late.
    NoModule,
    /// The bytes that came or were read back are not those that were meant.
    WrongBytes,
    /// The image is larger than the module's storage.
    TooLarge,
    /// The image cannot be unpacked by the BMC.
    NotUnpacked,
    /// Somebody else ended the transfer.
    Cancelled,
    /// Anything else.
    Other,
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
    /// The file systems on it, as `type label`.
    pub file_systems: Vec<String>,
    /// Whether one of them is a root file system that is not `/` now.
    pub holds_root: bool,
    /// Whether `/` is on it now, by whichever path the disk was named.
    pub carries_root: bool,
    /// Where something of it is mounted, `[SWAP]` included.
    pub mounted: Vec<String>,
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
    /// Seconds since it ended, if it came to an end of its own.
    pub ended_ago: Option<u64>,
    /// Its last lines.
    pub said: Vec<String>,
}

/// The two roles of k3s.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

/// What this controller knows of a node from before.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RememberedState {
    /// known_hosts has a key for one of its names.
    pub in_known_hosts: bool,
    /// The last run that flashed it, spoke to it or had it in the cluster. Names of runs sort by time.
    pub last_run: Option<String>,
}

/// k3s on a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct K3sState {
    /// As what.
    pub role: K3sRole,
    /// Such as `v1.33.6+k3s1`.
    pub version: Version,
    /// Its unit runs, or is on its way up.
    pub active: bool,
    /// It is up by its own account: k3s notifies systemd when its API answers or its kubelet runs. Where it does not, it
    /// counts as soon as it was started.
    pub started: bool,
    /// What runs was started before its configuration or its binary were last written.
    pub stale: bool,
    /// The run that last installed it, from our mark; none where we did not.
    pub run: Option<String>,
    /// A mark says that its configuration is ours, besides the block in its configuration file.
    pub ours: bool,
    /// The password that its Node was registered with is there. Without it the next start registers with a new one, which
    /// is refused while the cluster has the Node.
    pub has_password: bool,
}

/// A Node of the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KubeNodeState {
    /// Its Ready condition: it stays true for 50 s after its machine or its kubelet went, and through every restart.
    pub ready: bool,
    /// Its kubelet renews its Lease, as far as anybody can tell: a Node without one is young.
    pub renews: bool,
    /// When its kubelet last renewed its Lease, in the API's words: another text is another renewal. `None`: it never has;
    /// the first is 10 s younger than the Node.
    pub renewed: Option<String>,
    /// The boot id of its machine when its kubelet last told; empty where it never has.
    pub boot_id: String,
    /// It is cordoned.
    pub unschedulable: bool,
    /// It bears our maintenance mark.
    pub in_maintenance: bool,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its taints, as `key=value:effect` or `key:effect`.
    pub taints: BTreeSet<String>,
}

impl KubeNodeState {
    /// Whether it is Ready, and that is not only what is left of a kubelet that is gone.
    pub fn is_up(&self) -> bool {
        self.ready && self.renews
    }
}

/// A Helm release.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReleaseState {
    /// Chart version.
    pub version: Version,
    /// Helm's word: `deployed`, `failed`, `pending-install` …
    pub status: String,
    /// The sum of each of the user's values, by its path: some are secrets.
    pub values: BTreeMap<String, Sha256>,
    /// The run that last forced it, from our mark.
    pub run: Option<String>,
}

/// Names an object of the cluster.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ObjectId {
    /// Such as `argoproj.io/v1alpha1`.
    pub api_version: Cow<'static, str>,
    /// Such as `Application`.
    pub kind: Cow<'static, str>,
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

/// Fields of an object, as one text that compares.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Fields(String);

impl Fields {
    /// The fields of a JSON object.
    pub fn new(value: &Value) -> Self {
        Self(value.to_string())
    }

    /// The JSON object.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

/// What applying an object would make of it.
#[derive(Clone, PartialEq, Debug)]
pub struct ForeseenState {
    /// The object as it is; `None`: there is none.
    pub present: Option<Value>,
    /// The object as it would be. `None` where that cannot be tried: what it needs is not there yet, or others own what
    /// would change.
    pub after: Option<Value>,
    /// What is to be applied: the fields, and those of the defaults that nobody else gives.
    pub fields: Value,
    /// Fields that others own and that would change.
    pub conflicts: Vec<FieldConflict>,
    /// Fields of the defaults that others own with another value: those stay.
    pub kept: Vec<FieldConflict>,
}

/// A field that somebody else owns.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FieldConflict {
    /// Its path, as the API writes it: `.spec.source.path`.
    pub field: String,
    /// Its owners, as they call themselves.
    pub managers: String,
}

impl std::fmt::Display for FieldConflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} belongs to {}", self.field, self.managers)
    }
}

/// The keys of sealed-secrets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedKeysState {
    /// Their secrets, as `namespace/name`.
    pub names: BTreeSet<String>,
    /// Sum of them all.
    pub sha256: Sha256,
}

impl SealedKeysState {
    /// A cluster's that has none.
    pub fn none() -> Self {
        Self { names: BTreeSet::new(), sha256: Sha256::of("") }
    }

    /// The name of the file that a backup of them is in.
    pub fn file(&self) -> String {
        format!("sealed-secrets-keys-{}.age", self.sha256.short())
    }
}

/// A backup of sealed-secrets' keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedKeysBackupState {
    /// Absolute path of the encrypted file.
    pub path: String,
    /// The secrets in it, as `namespace/name`.
    pub names: BTreeSet<String>,
}
