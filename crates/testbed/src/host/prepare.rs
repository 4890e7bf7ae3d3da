//! What a host is given before its first boot, as a flashed image would be.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::failure::{Failure, Tried};
use crate::net::dnsmasq::DOMAIN;
use crate::records::write_whole;
use crate::subnet;
use crate::template::filled;
use crate::testbed::{ACCOUNT, Host, REPOSITORY_PORT, Testbed};

/// Writes it into the host's root, once in the life of that root.
pub fn once(testbed: &Testbed, host: &Host, root: &Path) -> Result<(), Failure> {
    let done = testbed.host_directory(host).join("prepared");
    if done.exists() {
        return Ok(());
    }
    let key = testbed.key().with_extension("pub");
    let key = fs::read_to_string(&key).tried(|| format!("read {}", key.display()))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let seed = [
        ("var/lib/cloud/seed/nocloud/meta-data", meta_data(&host.name, now)),
        ("var/lib/cloud/seed/nocloud/user-data", user_data(key.trim())),
    ];
    for (path, text) in seed {
        put(root, path, &text)?;
    }
    surroundings(testbed, host, root)?;
    write_whole(&done, b"")
}

/// Writes what comes with the place a host is in, whatever it runs: its network card, and where its packages are.
pub fn surroundings(testbed: &Testbed, host: &Host, root: &Path) -> Result<(), Failure> {
    let gateway = testbed.gateway();
    let files = [
        ("etc/systemd/network/10-testbed.network", network(testbed, host)),
        ("etc/resolv.conf", format!("nameserver {gateway}\nsearch {DOMAIN}\n")),
        (
            "etc/apt/sources.list.d/testbed.list",
            format!("deb [signed-by=/usr/share/keyrings/testbed.gpg] http://{gateway}:{REPOSITORY_PORT}/apt ./\n"),
        ),
    ];
    for (path, text) in files {
        put(root, path, &text)?;
    }
    Ok(())
}

fn put(root: &Path, path: &str, text: &str) -> Result<(), Failure> {
    let path = root.join(path);
    write_whole(&path, text.as_bytes())?;
    let readable = fs::Permissions::from_mode(0o644);
    fs::set_permissions(&path, readable).tried(|| format!("make {} readable", path.display()))
}

fn meta_data(name: &str, now: u128) -> String {
    format!("instance-id: {name}-{now}\nlocal-hostname: {name}\n")
}

/// Two kinds of host keys will do: to make an RSA and a DSA key as well takes a core seconds at each first boot.
fn user_data(key: &str) -> String {
    filled(include_str!("prepare/user-data.yaml"), &[("ACCOUNT", ACCOUNT), ("KEY", key)])
}

/// With a hardware address of its own, the host is given the same address after whatever happens to it.
fn network(testbed: &Testbed, host: &Host) -> String {
    let mac = subnet::hardware_address(testbed.subnet, host.number);
    filled(include_str!("prepare/host0.network"), &[("MAC", &mac)])
}
