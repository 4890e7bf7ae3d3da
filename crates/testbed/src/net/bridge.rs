//! The bridge, and the masquerade that lets hosts out.

use std::fs;
use std::path::Path;

use crate::failure::{Failure, Tried};
use crate::places;
use crate::records::{Thing, write_whole};
use crate::run::Run;
use crate::testbed::Testbed;

const FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

/// Holds what the switch said before the first testbed, for the last one to put back.
const FORWARD_BEFORE: &str = ".ip-forward-before";

fn ip(words: &[&str]) -> Result<String, Failure> {
    Run::new("ip").args(words).output()
}

fn exists(interface: &str) -> bool {
    Path::new("/sys/class/net").join(interface).exists()
}

/// What addresses this machine has, as JSON.
pub fn addresses() -> Result<String, Failure> {
    ip(&["-j", "-4", "address"])
}

/// Makes the bridge with its address, unless it is there.
pub fn make(testbed: &Testbed) -> Result<(), Failure> {
    let bridge = testbed.bridge();
    testbed.records().write(&Thing::Bridge { name: bridge.clone() })?;
    if !exists(&bridge) {
        ip(&["link", "add", &bridge, "type", "bridge"])?;
    }
    let address = format!("{}/24", testbed.gateway());
    ip(&["address", "replace", &address, "dev", &bridge])?;
    ip(&["link", "set", &bridge, "up"])?;
    Ok(())
}

/// Lets hosts out under this machine's own address.
pub fn masquerade(testbed: &Testbed) -> Result<(), Failure> {
    let (table, bridge, subnet) = (testbed.table(), testbed.bridge(), testbed.subnet);
    testbed.records().write(&Thing::NftTable { name: table.clone() })?;
    let rules = format!(
        "table ip {table}\ndelete table ip {table}\ntable ip {table} {{\n  chain out {{\n    \
         type nat hook postrouting priority srcnat;\n    \
         ip saddr 10.97.{subnet}.0/24 oifname != \"{bridge}\" masquerade\n  }}\n}}\n"
    );
    Run::new("nft").args(["-f", "-"]).input(rules).output()?;
    let before = fs::read_to_string(FORWARD).tried(|| format!("read {FORWARD}"))?;
    let kept = places::state().join(FORWARD_BEFORE);
    if before.trim() != "1" {
        write_whole(&kept, before.as_bytes())?;
        fs::write(FORWARD, "1").tried(|| format!("write 1 to {FORWARD}"))?;
    }
    Ok(())
}

/// Puts the switch for forwarding back, if no testbed is left. The caller holds the lock of all testbeds.
pub fn stop_forwarding() -> Result<(), Failure> {
    let kept = places::state().join(FORWARD_BEFORE);
    if let Ok(before) = fs::read_to_string(&kept) {
        fs::write(FORWARD, before).tried(|| format!("put back {FORWARD}"))?;
        fs::remove_file(&kept).tried(|| format!("remove {}", kept.display()))?;
    }
    Ok(())
}

/// Takes a bridge away, if it is there.
pub fn remove(bridge: &str) -> Result<(), Failure> {
    if exists(bridge) { ip(&["link", "delete", bridge]).map(drop) } else { Ok(()) }
}

/// Takes a table away, if it is there.
pub fn remove_table(table: &str) -> Result<(), Failure> {
    let there = Run::new("nft").args(["list", "tables", "ip"]).output()?;
    if there.lines().any(|line| line.trim() == format!("table ip {table}")) {
        Run::new("nft").args(["delete", "table", "ip", table]).output()?;
    }
    Ok(())
}

/// Whether an interface is there: that of a container goes a moment after the container.
pub fn has_interface(interface: &str) -> bool {
    exists(interface)
}
