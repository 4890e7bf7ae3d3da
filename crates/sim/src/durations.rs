//! How long things take in virtual time, in milliseconds.
//!
//! Sources: bmcd's write rates as users report them (CM4 5 MB/s, RK1 6–10 MB/s with read-back); what a real bmcd 2.3.7 and a
//! real k3s v1.36.3 took on a PC of two cores in November 2026, named where it is used. The rest are guesses; none was
//! measured on a board.

use bringup_core::contract::{Job, K3sRole};
use bringup_core::site::Kind;

/// One question to the controller itself.
pub const ASK_CONTROLLER: u64 = 4;
/// One trip to a node over SSH.
pub const ASK_NODE: u64 = 180;
/// One trip to a BMC over SSH: its processor is slow.
pub const ASK_BMC: u64 = 350;
/// One request to the Kubernetes API.
pub const ASK_CLUSTER: u64 = 40;
/// Until a silent address is given up.
pub const SILENCE: u64 = 3_000;
/// From the order to reboot until the SSH server is gone.
pub const GOING_DOWN: u64 = 4_000;
/// From a boot's SSH server until it lets anyone in: pam_nologin(8) keeps accounts out until the system is up.
pub const NOLOGIN: u64 = 2_000;
/// How long a Node that is down still counts as Ready (measured: 45 s).
pub const STILL_READY: u64 = 45_000;
/// From an agent's start until its kubelet renews its Lease (4.0 to 5.2 s on a PC).
pub const KUBELET: u64 = 4_000;
/// How often a kubelet renews its Lease.
pub const LEASE: u64 = 10_000;
/// From which age on a Lease is that of a kubelet that is gone: it is doubted after 20 s, and watched for 20 s more.
pub const LEASE_ENDS: u64 = 40_000;
/// From k3s's start to an API that is ready (measured: 7.2 to 17.7 s at the first, 11.5 to 14.2 s after a restart).
pub const API_START: u64 = 12_000;
/// From an agent's start to its Node's being Ready (measured: 5.6 to 8.8 s).
pub const JOIN: u64 = 7_000;
/// From the API's start to ready system deployments.
pub const SYSTEM_PODS: u64 = 45_000;
/// From an Application's creation to Synced and Healthy.
pub const APPLICATION: u64 = 150_000;

/// From k3s's start until its unit is up (an agent: 4.6 to 5.9 s on a PC).
pub fn until_up(role: K3sRole) -> u64 {
    match role {
        K3sRole::Server => API_START,
        K3sRole::Agent => 5_000,
    }
}

/// Compressed size of an image and size of what is written, in bytes.
pub fn image_sizes(kind: Kind) -> (u64, u64) {
    match kind {
        Kind::Cm4 => (1_150_000_000, 3_600_000_000),
        Kind::Rk1 | Kind::Other => (1_020_000_000, 4_300_000_000),
    }
}

/// Bytes a millisecond that a flash writes.
pub fn flash_rate(kind: Kind) -> u64 {
    match kind {
        Kind::Cm4 => 5_000,
        Kind::Rk1 | Kind::Other => 8_000,
    }
}

/// From power to an SSH server.
pub fn boot(kind: Kind, first: bool) -> u64 {
    let plain = match kind {
        Kind::Cm4 => 42_000,
        Kind::Rk1 => 34_000,
        Kind::Other => 62_000,
    };
    // A first boot grows the file system and makes accounts.
    if first { plain + 24_000 } else { plain }
}

/// From an SSH server to the end of cloud-init at the first boot.
pub fn cloud_init(kind: Kind) -> u64 {
    match kind {
        Kind::Cm4 => 38_000,
        Kind::Rk1 | Kind::Other => 24_000,
    }
}

/// How much slower than an RK1 a machine works through packages, in percent.
pub fn slowness(kind: Kind) -> u64 {
    match kind {
        Kind::Cm4 => 160,
        Kind::Rk1 => 100,
        Kind::Other => 60,
    }
}

/// How long a job runs.
pub fn job(job: &Job, kind: Kind) -> u64 {
    let plain = match job {
        Job::ConfigurePackages => 6_000,
        Job::DistUpgrade => 235_000,
        Job::Autoremove => 11_000,
        Job::InstallPackages { names } => 9_000 + 8_000 * names.len() as u64,
        Job::InstallGpuDriver => 420_000,
        Job::MoveRoot { .. } => return 290_000,
    };
    plain * slowness(kind) / 100
}

/// What is written, ordered or asked of an API and done at once.
pub const AT_ONCE: u64 = 150;
/// Size of a file that is no image, in bytes.
pub const OTHER_FILE: u64 = 40_000_000;

/// Until a file of so many bytes is fetched.
pub fn fetch(bytes: u64) -> u64 {
    300 + bytes / 25_000
}

/// Until an image of so many bytes is on a BMC's SD card.
pub fn stage(bytes: u64) -> u64 {
    1_000 + bytes / 11_000
}
