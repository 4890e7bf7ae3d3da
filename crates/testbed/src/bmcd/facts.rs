//! What bmcd tells of the machine it runs on.

use std::fs;

use serde_json::{Value, json};

/// The version that it answers as.
pub const BMCD_VERSION: &str = "2.3.7";

/// The version of its API.
pub const API_VERSION: &str = "1.1";

/// The machine, as it is at the moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// `PRETTY_NAME` of its os-release, with its quotes.
    pub buildroot: String,
    /// `VERSION` of its os-release, with its quotes.
    pub version: String,
    /// When it was built.
    pub buildtime: String,
    /// Its name.
    pub hostname: String,
    /// Its interfaces: name, address, hardware address.
    pub interfaces: Vec<[String; 3]>,
    /// Its storage: name, bytes in all, bytes free.
    pub storage: Vec<(String, u64, u64)>,
}

impl Facts {
    /// Those of this machine.
    pub fn gather() -> Self {
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let value = |name: &str| {
            let found = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            found.unwrap_or("unknown").to_owned()
        };
        let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let mac = fs::read_to_string("/sys/class/net/host0/address").unwrap_or_default();
        let mut storage: Vec<_> = room("/").map(|(all, free)| ("BMC".to_owned(), all, free)).into_iter().collect();
        if let Some((all, free)) = sd_card() {
            storage.push(("microSD".to_owned(), all, free));
        }
        Self {
            buildroot: value("PRETTY_NAME"),
            version: value("VERSION"),
            buildtime: "2026-01-01 00:00:00-00:00".to_owned(),
            hostname: hostname.trim().to_owned(),
            interfaces: vec![["eth0".to_owned(), "Unknown".to_owned(), mac.trim().to_owned()]],
            storage,
        }
    }

    /// `type=about`.
    pub fn about(&self) -> Value {
        json!({
            "api": API_VERSION,
            "bmcd_version": BMCD_VERSION,
            "board_model": "",
            "board_revision": "",
            "buildroot": self.buildroot.trim_matches('"'),
            "buildtime": self.buildtime,
            "hostname": self.hostname,
            "version": self.version,
        })
    }

    /// `type=other`, which is older. It looks for its address at an interface that a container does not have.
    pub fn other(&self) -> Value {
        json!([{
            "api": API_VERSION,
            "buildroot": self.buildroot,
            "buildtime": self.buildtime,
            "ip": "Unknown",
            "mac": "Unknown",
            "version": self.version,
        }])
    }

    /// `type=info`.
    pub fn info(&self) -> Value {
        let ip = |[device, ip, mac]: &[String; 3]| json!({ "device": device, "ip": ip, "mac": mac });
        let storage =
            |(name, all, free): &(String, u64, u64)| json!({ "bytes_free": free, "name": name, "total_bytes": all });
        json!({
            "ip": self.interfaces.iter().map(ip).collect::<Vec<_>>(),
            "storage": self.storage.iter().map(storage).collect::<Vec<_>>(),
        })
    }
}

/// Bytes in all and free, where a path is.
fn room(path: &str) -> Option<(u64, u64)> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some((stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize))
}

/// Bytes in all and free on the SD card, if one is mounted.
pub fn sd_card() -> Option<(u64, u64)> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounted = mounts.lines().any(|line| line.split_whitespace().nth(1) == Some("/mnt/sdcard"));
    mounted.then(|| room("/mnt/sdcard")).flatten()
}
