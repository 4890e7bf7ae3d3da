//! Questions to a node, as shell that only looks.

use bringup_core::contract::node::{Addresses, HostKeys, Question, SshBanner};

use super::piece::Piece;
use super::quote::word;
use super::script::NONE;
use super::{jobs, k3s};

/// Where k3s keeps the kubeconfig of its administrator.
pub(crate) const ADMIN_KUBECONFIG: &str = "/etc/rancher/k3s/k3s.yaml";

/// How a question to a node is asked.
#[derive(Debug)]
pub(crate) enum Asking<'a> {
    /// By this piece of script.
    Shell(String),
    /// What its name resolves to.
    Addresses(&'a Addresses),
    /// Whether its SSH server answers.
    SshBanner(&'a SshBanner),
    /// Which keys its SSH server shows.
    HostKeys(&'a HostKeys),
}

/// How a question is asked: over a login, or from outside.
pub(crate) fn asking(question: &Question) -> Asking<'_> {
    Asking::Shell(match question {
        Question::Addresses(question) => return Asking::Addresses(question),
        Question::SshBanner(question) => return Asking::SshBanner(question),
        Question::HostKeys(question) => return Asking::HostKeys(question),
        Question::BootId(_) => "cat /proc/sys/kernel/random/boot_id".to_owned(),
        Question::File(file) => Piece::new().set("path", &file.path).run(FILE).text(),
        Question::Directory(directory) => format!("[ -d {} ] || exit {NONE}", word(&directory.path)),
        Question::System(_) => SYSTEM.to_owned(),
        Question::RootPartition(_) => ROOT_PARTITION.to_owned(),
        Question::Disk(disk) => Piece::new().set("disk", disk.path.as_str()).run(DISK).text(),
        Question::CloudInit(_) => CLOUD_INIT.to_owned(),
        Question::Packages(packages) => Piece::new().arguments(&packages.names).run(PACKAGES).text(),
        Question::Upgrades(_) => UPGRADES.to_owned(),
        Question::RebootRequired(_) => format!("[ -e /run/reboot-required ] || exit {NONE}"),
        Question::Unit(unit) => Piece::new().set("name", &unit.name).run(UNIT).text(),
        Question::JobState(job) => jobs::state(job.name),
        Question::RunningJobs(_) => jobs::RUNNING.to_owned(),
        Question::PackagesBusy(_) => PACKAGES_BUSY.to_owned(),
        Question::GpuDriver(_) => GPU_DRIVER.to_owned(),
        Question::K3s(_) => k3s::state(),
        Question::K3sConfig(_) => k3s::config(),
        Question::K3sTrouble(_) => k3s::trouble(),
        Question::K3sBefore(_) => k3s::BEFORE.to_owned(),
        Question::Reaches(reaches) => k3s::reaches(&reaches.host, reaches.port),
        Question::MissingKernelFeatures(_) => k3s::MISSING_FEATURES.to_owned(),
        Question::JoinToken(_) => k3s::JOIN_TOKEN.to_owned(),
        Question::AgentToken(_) => k3s::agent_token(),
        Question::AdminKubeconfig(_) => format!("cat {ADMIN_KUBECONFIG}"),
    })
}

/// The piece of script that asks; `None` for what is asked from outside.
#[cfg(test)]
pub(super) fn piece(question: &Question) -> Option<String> {
    if let Asking::Shell(piece) = asking(question) { Some(piece) } else { None }
}

/// SHA-256, then size, permission bits and time of the last change.
const FILE: &str = script!("file.sh");

const SYSTEM: &str = script!("system.sh");

/// By device number where the root is on a block device: `findmnt` may call it `/dev/root`.
const ROOT_PARTITION: &str = script!("root_partition.sh");

/// Size, model, serial, whether `/` is on it, then a line for each place where something of it is mounted, `at /srv`, and
/// one for each file system, `ext4 cloudimg-rootfs`. A partition is no disk.
const DISK: &str = script!("disk.sh");

/// A line for each package that dpkg has heard of.
const PACKAGES: &str = script!("packages.sh");

/// From what cloud-init leaves under `/run`: asking `cloud-init status` itself starts Python, which takes a second on
/// a CM4. Its generator writes `enabled` or `disabled` before anything else starts.
const CLOUD_INIT: &str = script!("cloud_init.sh");

/// Half-configured packages, packages to change, packages to remove, age of the lists.
///
/// A simulated dist-upgrade costs a second of work, so what it said is kept under `/run` for as long as
/// dpkg's state, apt's lists and apt's settings are what they were. Lists may be newer than a clock that was wrong.
const UPGRADES: &str = script!("upgrades.sh");

/// The kernel's own list of locks names the files by their inodes. What takes them is `fcntl`, which no tool asks for.
const PACKAGES_BUSY: &str = script!("packages_busy.sh");

/// With the time since boot and the time now, which turn systemd's monotonic times into those of the clock.
const UNIT: &str = script!("unit.sh");

/// The driver that the kernel has loaded, else the module that is installed, else the package.
const GPU_DRIVER: &str = script!("gpu_driver.sh");
