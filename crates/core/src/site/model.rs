//! A site as the stages see it.

use std::time::Duration;

use serde_json::Value;

use crate::ids::{BoardName, DiskPath, NodeName, Sha256, Slot};
use crate::text::secret::Secret;
use crate::version::Version;

/// A value, and whether the site states it or it is our default.
///
/// Defaults never change what runs: an unstated version is used for what is not installed yet, and for nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stated<T> {
    /// The value.
    pub value: T,
    /// Whether it stands in the site.
    pub stated: bool,
}

/// What should be: boards, nodes, settings.
#[derive(Clone, Debug)]
pub struct Site {
    /// The name of the site's directory; names the kubeconfig context too.
    pub name: String,
    /// What the site says once for all.
    pub settings: Settings,
    /// The boards, in inventory order.
    pub boards: Vec<Board>,
    /// The nodes, in inventory order: those of the boards and the extra ones.
    pub nodes: Vec<Node>,
    /// What of the site or of `ansible.cfg` is not followed, in words, for the plan.
    pub notices: Vec<String>,
}

/// A board, known by its BMC.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Board {
    /// The BMC's inventory name.
    pub name: BoardName,
    /// How the BMC is reached.
    pub connection: Connection,
    /// SHA256 fingerprints that the BMC's host key must have, if the site pins them.
    pub fingerprints: Vec<String>,
}

/// What kind of machine a node is: decides whether and with what it is flashed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Turing RK1.
    Rk1,
    /// Raspberry Pi compute module 4 (`pi4`, `cm4`).
    Cm4,
    /// Anything else: never flashed.
    Other,
}

impl Kind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rk1 => "rk1",
            Self::Cm4 => "cm4",
            Self::Other => "other",
        }
    }
}

/// Where on a board a node sits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// Which board.
    pub board: BoardName,
    /// Which slot of it.
    pub slot: Slot,
}

/// How a host is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connection {
    /// Name or address that is dialled: `ansible_host`, else the inventory name with `local_domain`.
    pub host: String,
    /// TCP port of its SSH server. One that is not stated gives way to `~/.ssh/config`.
    pub port: Stated<u16>,
    /// Account to log in with. One that neither the site nor `ansible.cfg` states gives way to `~/.ssh/config`.
    pub user: Stated<String>,
    /// Private key file, if the site names one.
    pub private_key_file: Option<String>,
    /// Login password, if the site gives one.
    pub password: Option<Secret>,
    /// Password for sudo, if the site gives one.
    pub become_password: Option<Secret>,
    /// `ansible_connection: local`: the host is the controller itself.
    pub local: bool,
}

/// A machine of a site: a module of a board, or any other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Its inventory name, and its host name.
    pub name: NodeName,
    /// What it is.
    pub kind: Kind,
    /// Its board and slot; `None` for an extra node.
    pub place: Option<Place>,
    /// Whether it becomes a node of the cluster: the group `all_nodes` has it. Any other is flashed at most.
    pub is_member: bool,
    /// How it is reached.
    pub connection: Connection,
    /// The disk that its root should be on, such as `/dev/nvme0n1`.
    pub root_dev: Option<DiskPath>,
    /// It has an NVIDIA GPU that pods shall use.
    pub nvidia_gpu_node: bool,
    /// Someone sits at it: never rebooted, tainted against ordinary pods.
    pub workstation: bool,
    /// The address that k3s shall use.
    pub node_ip: Option<String>,
    /// The interface that flannel shall use.
    pub flannel_iface: Option<String>,
    /// SHA256 fingerprints that its host key must have, if the site pins them.
    pub fingerprints: Vec<String>,
}

/// An operating system image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// Where it is: `https://…`, or a path on the controller.
    pub url: String,
    /// Sum of the file as it is fetched.
    pub sha256: Sha256,
}

impl Image {
    /// The file's own name.
    pub fn file_name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or(&self.url)
    }
}

/// How an image comes to the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlashTransport {
    /// Over the BMC's SD card; survives our death.
    Staged,
    /// Streamed from the controller; does not.
    Stream,
}

/// By what a BMC is told what to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BmcInterface {
    /// By its API where it has one, else by `tpi`.
    Auto,
    /// By bmcd's API, through SSH.
    Api,
    /// By `tpi`, over SSH.
    Tpi,
}

/// Something that the cluster stage installs itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    /// Argo CD, and with it all else.
    Argocd,
}

/// Where the releases of a tool are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DownloadSource {
    /// URL without a slash at the end.
    pub url: String,
    /// Sum of the file that is fetched from there, if the site states it. Otherwise the published sum is used.
    pub sha256: Option<Sha256>,
}

/// Versions and sources of the controller's tools.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Toolchain {
    /// Version of helm, without `v`.
    pub helm_version: Stated<Version>,
    /// Version of kubectl; `None`: the latest stable, resolved once and recorded.
    pub kubectl_version: Option<Version>,
    /// Version of kubeseal, without `v`.
    pub kubeseal_version: Stated<Version>,
    /// Version of the plugin helm-diff, without `v`.
    pub helm_diff_version: Stated<Version>,
    /// Where helm's archives are.
    pub helm: DownloadSource,
    /// Where kubectl's binaries are.
    pub kubectl: DownloadSource,
    /// Where kubeseal's releases are.
    pub kubeseal: DownloadSource,
    /// Where helm-diff's releases are.
    pub helm_diff: DownloadSource,
}

/// What the site says once for all.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// Account made on flashed nodes and used on all of them.
    pub ansible_account: String,
    /// Account on the BMCs.
    pub tpi_user: String,
    /// By what the BMCs are told what to do.
    pub bmc_interface: BmcInterface,
    /// Directory on the BMC for images.
    pub tpi_images_path: String,
    /// Directory on the controller for tools.
    pub bin_dir: String,
    /// Suffix that makes an inventory name resolvable, such as `.lan`.
    pub local_domain: String,
    /// The node that is the control plane; `None` only where there is no node.
    pub control_plane: Option<NodeName>,
    /// Domain of the cluster's services.
    pub cluster_domain: String,
    /// Contact for certificates.
    pub domain_email: String,
    /// Git repository of the services.
    pub repo_remote: String,
    /// Branch of it.
    pub repo_branch: String,
    /// k3s release, such as `v1.33.6+k3s1`.
    pub k3s_version: Stated<Version>,
    /// Where k3s's install script is.
    pub k3s_install_url: String,
    /// SHA-256 of k3s's install script, if the site pins it.
    pub k3s_install_sha256: Option<Sha256>,
    /// Where k3s's releases are, above `download/VERSION/`, if not where the script looks by itself.
    pub k3s_artifact_url: Option<String>,
    /// Sums, one of which a release's list of sums (`sha256sum-ARCH.txt`) must have; empty: not pinned.
    pub k3s_artifact_sha256: Vec<Sha256>,
    /// The controller hands k3s's binary and images to the nodes, which then need no internet.
    pub k3s_airgap: bool,
    /// What the cluster stage installs.
    pub cluster_install_list: Vec<Service>,
    /// Nodes that do not live may be flashed.
    pub do_flash: bool,
    /// All nodes are flashed anew.
    pub flash_force: bool,
    /// k3s is uninstalled first.
    pub k3s_force: bool,
    /// Argo CD is reinstalled.
    pub cluster_force: bool,
    /// Public keys that may log in to flashed nodes, one a line of `authorized_keys`.
    pub ssh_public_keys: Vec<String>,
    /// How images come to modules.
    pub flash_transport: FlashTransport,
    /// Image of an RK1.
    pub rk1_image: Image,
    /// Image of a CM4.
    pub cm4_image: Image,
    /// Tools of the controller.
    pub toolchain: Toolchain,
    /// oh-my-zsh's theme, if the site wants one.
    pub zsh_theme: Option<String>,
    /// Where NVIDIA's container toolkit repository is.
    pub nvidia_toolkit_url: String,
    /// Sum of the file with its signing key, if the site pins it.
    pub nvidia_toolkit_key_sha256: Option<Sha256>,
    /// OCI reference of Argo CD's chart.
    pub argocd_chart: String,
    /// Version of it.
    pub argocd_chart_version: Stated<Version>,
    /// Values for it, an object.
    pub argocd_values: Value,
    /// Taint of the control plane, `key=value:effect`; `None`: none.
    pub control_plane_taint: Option<String>,
    /// Who can read backups of sealed-secrets' keys: age recipients.
    pub sealed_secrets_recipients: Vec<String>,
    /// File on the controller with the age identity that reads them again.
    pub sealed_secrets_identity: Option<String>,
    /// Kubeconfig file on the controller.
    pub kubeconfig: String,
    /// Name of this cluster's context in it.
    pub kubeconfig_context: String,
    /// A context that is new in it becomes the current one.
    pub kubeconfig_set_current: bool,
    /// The user's known_hosts file on the controller.
    pub known_hosts: String,
    /// How long a node may take from the order to reboot, or from its first power, to a boot that answers.
    pub reboot_timeout: Duration,
}

impl Site {
    /// The node of that name.
    pub fn node(&self, name: &NodeName) -> Option<&Node> {
        self.nodes.iter().find(|node| &node.name == name)
    }

    /// The control plane, where there is a node at all.
    pub fn control_plane(&self) -> Option<&Node> {
        self.settings.control_plane.as_ref().and_then(|name| self.node(name))
    }
}

impl Node {
    /// Whether it is a module that `bringup` could flash.
    pub fn flashable(&self) -> Option<&Place> {
        self.place.as_ref().filter(|_| self.kind != Kind::Other)
    }
}

impl Settings {
    /// The image for a kind of module; `None` for what is never flashed.
    pub fn image(&self, kind: Kind) -> Option<&Image> {
        match kind {
            Kind::Rk1 => Some(&self.rk1_image),
            Kind::Cm4 => Some(&self.cm4_image),
            Kind::Other => None,
        }
    }
}
