//! One testbed: its name, its network, its hosts and where their things are.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::failure::{Failure, Tried};
use crate::places;
use crate::records::{Records, Thing, write_whole};
use crate::subnet::{self, Subnet};

/// The port of the package repository, on the bridge's address.
pub const REPOSITORY_PORT: u16 = 8917;

/// The account on every host.
pub const ACCOUNT: &str = "ansible";

/// What a host is to a board.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Place {
    /// Nothing.
    #[default]
    Alone,
    /// Its BMC.
    Bmc,
    /// The module in one of its slots.
    Slot {
        /// The board.
        board: String,
        /// Which, from 1.
        slot: u8,
        /// It is a CM4 and no RK1.
        #[serde(default)]
        cm4: bool,
    },
}

/// One host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its number, which its addresses come from.
    pub number: u8,
    /// Whether it is a workstation.
    pub workstation: bool,
    /// What it is to a board.
    #[serde(default)]
    pub place: Place,
}

/// One testbed, as it is kept in its `testbed.json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Testbed {
    /// Its name.
    pub name: String,
    /// Its network.
    pub subnet: Subnet,
    /// The base system of its hosts: a directory's name in the cache.
    pub base: String,
    /// The system of its BMCs, likewise.
    #[serde(default)]
    pub bmc_base: String,
    /// The images of its modules, likewise.
    #[serde(default)]
    pub images: String,
    /// Whether hosts have two disks each.
    pub disks: bool,
    /// Whether its hosts can be nodes of a cluster, and what a cluster wants is served beside them.
    #[serde(default)]
    pub kubernetes: bool,
    /// Its hosts.
    pub hosts: Vec<Host>,
}

impl Testbed {
    /// The one of this name.
    pub fn load(name: &str) -> Result<Self, Failure> {
        let path = directory_of(name).join("testbed.json");
        let text = fs::read_to_string(&path).map_err(|error| {
            Failure::new(format!("find the testbed `{name}` in {}", path.display()), error)
                .help(format!("make it: testbed up --name {name} --nodes 2"))
        })?;
        serde_json::from_str(&text).tried(|| format!("understand {}", path.display()))
    }

    /// Keeps it.
    pub fn save(&self) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self).tried(|| "write down the testbed".to_owned())?;
        write_whole(&self.directory().join("testbed.json"), text.as_bytes())
    }

    /// Where its things are.
    pub fn directory(&self) -> PathBuf {
        directory_of(&self.name)
    }

    /// Where a host's things are.
    pub fn host_directory(&self, host: &Host) -> PathBuf {
        self.directory().join("hosts").join(&host.name)
    }

    /// Writes down a process of the testbed's own. Fails if the testbed was taken down while the process was being started:
    /// `down` removes the testbed's file before it reads the records, so one of the two notices.
    pub fn record_process(&self, process: &Thing) -> Result<(), Failure> {
        self.records().write(process)?;
        if let Err(gone) = Self::load(&self.name) {
            self.records().strike(process)?;
            // Made anew for that record. What others still need is not empty, and stays.
            let _ = fs::remove_dir(self.directory().join("records")).and_then(|()| fs::remove_dir(self.directory()));
            return Err(gone);
        }
        Ok(())
    }

    /// What it has made.
    pub fn records(&self) -> Records {
        records_of(&self.name)
    }

    /// The host of this name.
    pub fn host(&self, name: &str) -> Result<&Host, Failure> {
        self.hosts.iter().find(|host| host.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.hosts.iter().map(|host| host.name.as_str()).collect();
            Failure::new(format!("find the host `{name}`"), format!("testbed `{}` has {}", self.name, names.join(", ")))
        })
    }

    /// The bridge's name.
    pub fn bridge(&self) -> String {
        format!("tb-{}", tag(&self.name))
    }

    /// The name of its table of nftables.
    pub fn table(&self) -> String {
        format!("testbed_{}", tag(&self.name))
    }

    /// A host's name as a container. The interface on the bridge is called after it and may have 15 characters.
    pub fn machine(&self, host: &Host) -> String {
        format!("t{}-{}", tag(&self.name), host.number)
    }

    /// A host's interface on the bridge.
    pub fn interface(&self, host: &Host) -> String {
        format!("vb-{}", self.machine(host))
    }

    /// The bridge's address.
    pub fn gateway(&self) -> Ipv4Addr {
        subnet::gateway(self.subnet)
    }

    /// A host's address.
    pub fn address(&self, host: &Host) -> Ipv4Addr {
        subnet::address(self.subnet, host.number)
    }

    /// The private key that hosts let in.
    pub fn key(&self) -> PathBuf {
        self.directory().join("ssh/id_ed25519")
    }

    /// Where the system of its BMCs is.
    pub fn bmc_base_directory(&self) -> PathBuf {
        places::cache().join(&self.bmc_base)
    }

    /// The modules in a board's slots.
    pub fn slots<'a>(&'a self, board: &'a str) -> impl Iterator<Item = (&'a Host, u8)> {
        self.hosts.iter().filter_map(move |host| match &host.place {
            Place::Slot { board: its, slot, .. } if its == board => Some((host, *slot)),
            _ => None,
        })
    }

    /// Whether a board has a CM4 in a slot.
    pub fn has_cm4(&self, board: &str, slot: u8) -> bool {
        let sought = Place::Slot { board: board.to_owned(), slot, cm4: true };
        self.hosts.iter().any(|host| host.place == sought)
    }

    /// Where the base system is.
    pub fn base_directory(&self) -> PathBuf {
        places::cache().join(&self.base)
    }
}

/// Where the things of the testbed of this name are.
pub fn directory_of(name: &str) -> PathBuf {
    places::state().join(name)
}

/// The records of the testbed of this name.
pub fn records_of(name: &str) -> Records {
    Records::in_directory(directory_of(name).join("records"))
}

/// Short, and of characters that any name may have.
fn tag(name: &str) -> String {
    hex::encode(&Sha256::digest(name.as_bytes())[..3])
}

/// A name of a testbed or a host that can be part of a path, a host's name and an inventory.
pub fn check_name(name: &str) -> Result<String, String> {
    let good = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-';
    if name.is_empty() || name.len() > 32 || name.starts_with('-') || name.ends_with('-') || !name.chars().all(good) {
        return Err("up to 32 of a-z, 0-9 and -, not at the ends".to_owned());
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_have_names_that_the_kernel_takes_and_testbeds_have_their_own() {
        let host = Host {
            name: "a-workstation-with-a-long-name".to_owned(),
            number: 255,
            workstation: true,
            place: Place::Alone,
        };
        let testbed = |name: &str| Testbed {
            name: name.to_owned(),
            subnet: 1,
            base: String::new(),
            bmc_base: String::new(),
            images: String::new(),
            disks: false,
            kubernetes: false,
            hosts: vec![host.clone()],
        };
        let (one, two) = (testbed("one"), testbed("two"));
        assert!(one.interface(&host).len() <= 15 && one.bridge().len() <= 15);
        assert_ne!(one.interface(&host), two.interface(&host));
        assert_ne!(one.bridge(), two.bridge());
        assert_ne!(one.table(), two.table());
        assert!(one.host("node01").unwrap_err().to_string().contains("a-workstation"));
    }

    #[test]
    fn names() {
        assert!(check_name("node01").is_ok());
        for name in ["", "..", "a/b", "-a", "A", "a b", &"a".repeat(33)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
