//! `testbed up`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{alone, list};
use crate::failure::{Failure, Tried};
use crate::host::{kubernetes, power, ready, watches};
use crate::net::{bridge, dnsmasq, serve};
use crate::places::{self, Lock};
use crate::process::Process;
use crate::run::Run;
use crate::subnet::{self, Subnet};
use crate::testbed::{Host, Place, Testbed, directory_of};
use crate::{base, board, disks, images, k3s_release, owner, say, services, site, tools};

/// As many hosts as have addresses.
const MOST: usize = 200;

/// What is wanted.
#[derive(Debug)]
pub struct Wanted {
    /// How many nodes.
    pub nodes: usize,
    /// How many boards.
    pub boards: u8,
    /// How many slots of each have a module.
    pub slots: u8,
    /// Which of them have a CM4.
    pub cm4: Vec<u8>,
    /// Whether each host has two disks.
    pub disks: bool,
    /// Whether hosts can be nodes of a cluster.
    pub kubernetes: bool,
    /// The names of workstations.
    pub workstations: Vec<String>,
}

/// Makes what is missing, starts what is off, and waits until all is ready. `owner` is the number of the process that the
/// testbed belongs to.
pub fn run(name: &str, wanted: &Wanted, owner: Option<i32>) -> Result<(), Failure> {
    tools::root()?;
    let owner = owner.map(living).transpose()?;
    tools::provide()?;
    let base = base::provide()?;
    let bmc_base =
        if wanted.boards > 0 { base::tpi::provide().and_then(|_| base::bmc::provide())? } else { String::new() };
    if wanted.kubernetes {
        services::provide()?;
    }
    let _lock = alone(name)?;
    owner::claim(name, owner)?;
    let existing = if directory_of(name).join("testbed.json").exists() { Some(Testbed::load(name)?) } else { None };
    // Before the lock of all testbeds is taken, which nobody is to wait for as long as this may take.
    let lacks_images = wanted.boards > 0 && existing.as_ref().is_none_or(|testbed| testbed.images.is_empty());
    let images = if lacks_images {
        images::provide(existing.as_ref().map_or(&base, |testbed| &testbed.base))?
    } else {
        String::new()
    };
    let testbed = claim(name, existing, Systems { base, bmc_base, images }, wanted)?;
    if testbed.kubernetes {
        kubernetes::provide(&testbed)?;
        k3s_release::provide()?;
        watches::allow()?;
    }
    make_key(&testbed)?;
    bridge::make(&testbed)?;
    bridge::masquerade(&testbed)?;
    dnsmasq::tell(&testbed)?;
    if testbed.kubernetes {
        services::make(&testbed)?;
    }
    serve::provide(&testbed)?;
    if testbed.kubernetes {
        services::fill(&testbed)?;
    }
    for host in &testbed.hosts {
        match host.place {
            Place::Bmc => board::make(&testbed, host)?,
            Place::Alone if testbed.disks => disks::make(&testbed, host)?,
            _ => {}
        }
        power::on(&testbed, host)?;
    }
    site::write(&testbed)?;
    for host in &testbed.hosts {
        // A module comes up when it has been flashed and its BMC gives it power.
        if !matches!(host.place, Place::Slot { .. }) {
            ready::wait(&testbed, host)?;
        }
        say::line(&list::line(&testbed, host)?);
    }
    Ok(())
}

fn living(pid: i32) -> Result<Process, Failure> {
    Process::of(pid).ok_or_else(|| Failure::new(format!("make a testbed for process {pid}"), "there is none"))
}

/// What hosts are made from, as directories' names in the cache.
struct Systems {
    base: String,
    bmc_base: String,
    images: String,
}

/// Writes down which testbed this is, with a network that nobody else has. One that exists keeps its network, its base
/// system and its hosts, and may get more hosts.
fn claim(name: &str, existing: Option<Testbed>, made: Systems, wanted: &Wanted) -> Result<Testbed, Failure> {
    let state = places::state();
    let _lock = places::lock(&state, "all", Lock::Alone, Duration::from_secs(60))?;
    let mut testbed = if let Some(testbed) = existing {
        testbed
    } else {
        let taken = taken(&state)?;
        let subnet = subnet::first_free(&taken).ok_or_else(|| {
            Failure::new("find a free network", "all of 10.97.1.0/24 to 10.97.254.0/24 are in use")
                .help(format!("see the testbeds in {}, and take some down", state.display()))
        })?;
        Testbed {
            name: name.to_owned(),
            subnet,
            base: made.base,
            bmc_base: String::new(),
            images: String::new(),
            disks: wanted.disks,
            kubernetes: wanted.kubernetes,
            hosts: Vec::new(),
        }
    };
    if testbed.bmc_base.is_empty() {
        testbed.bmc_base = made.bmc_base;
    }
    if testbed.images.is_empty() {
        testbed.images = made.images;
    }
    if testbed.disks != wanted.disks {
        return Err(Failure::new(format!("change the disks of `{name}`"), "its hosts are made without or with them")
            .help(format!("testbed down --name {name}, and up again")));
    }
    if testbed.kubernetes != wanted.kubernetes {
        return Err(Failure::new(
            format!("change what the hosts of `{name}` can be"),
            "they are made with or without --kubernetes",
        )
        .help(format!("testbed down --name {name}, and up again")));
    }
    add_hosts(&mut testbed, wanted)?;
    testbed.save()?;
    Ok(testbed)
}

fn taken(state: &Path) -> Result<BTreeSet<Subnet>, Failure> {
    let mut taken = subnet::in_use(&bridge::addresses()?);
    let entries = fs::read_dir(state).tried(|| format!("read {}", state.display()))?;
    for entry in entries.flatten().filter(|entry| entry.path().join("testbed.json").exists()) {
        if let Some(name) = entry.file_name().to_str() {
            taken.insert(Testbed::load(name)?.subnet);
        }
    }
    Ok(taken)
}

fn add_hosts(testbed: &mut Testbed, wanted: &Wanted) -> Result<(), Failure> {
    let nodes = (1..=wanted.nodes).map(|number| (format!("node{number:02}"), false));
    let all: Vec<_> = nodes.chain(wanted.workstations.iter().map(|name| (name.clone(), true))).collect();
    for (name, workstation) in all {
        if let Some(host) = testbed.hosts.iter().find(|host| host.name == name) {
            if host.workstation != workstation {
                return Err(Failure::new(format!("make the workstation {name}"), "a node is called so"));
            }
            continue;
        }
        add(testbed, name, workstation, Place::Alone)?;
    }
    (1..=wanted.boards).try_for_each(|number| add_board(testbed, &format!("board{number}"), wanted))
}

/// A BMC and its modules. Their nodes are called by the first free numbers.
fn add_board(testbed: &mut Testbed, name: &str, wanted: &Wanted) -> Result<(), Failure> {
    if testbed.hosts.iter().all(|host| host.name != name) {
        add(testbed, name.to_owned(), false, Place::Bmc)?;
    }
    for slot in 1..=wanted.slots {
        let place = Place::Slot { board: name.to_owned(), slot, cm4: wanted.cm4.contains(&slot) };
        if testbed.slots(name).any(|(_, taken)| taken == slot) {
            continue;
        }
        let mut names = (1..=MOST).map(|number| format!("node{number:02}"));
        let free = names.find(|name| testbed.hosts.iter().all(|host| host.name != *name));
        add(testbed, free.unwrap_or_default(), false, place)?;
    }
    Ok(())
}

fn add(testbed: &mut Testbed, name: String, workstation: bool, place: Place) -> Result<(), Failure> {
    let number = testbed.hosts.len() + 1;
    let number = u8::try_from(number).ok().filter(|_| number <= MOST);
    let number = number.ok_or_else(|| Failure::new("make so many hosts", format!("{MOST} is the most")))?;
    testbed.hosts.push(Host { name, number, workstation, place });
    Ok(())
}

fn make_key(testbed: &Testbed) -> Result<(), Failure> {
    let key = testbed.key();
    if key.exists() {
        return Ok(());
    }
    if let Some(directory) = key.parent() {
        fs::create_dir_all(directory).tried(|| format!("make {}", directory.display()))?;
    }
    let comment = format!("testbed-{}", testbed.name);
    Run::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", &comment, "-f"]).arg(&key).output()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_keep_their_numbers_when_more_are_added() {
        let mut testbed = Testbed {
            name: "x".to_owned(),
            subnet: 1,
            base: String::new(),
            bmc_base: String::new(),
            images: String::new(),
            disks: false,
            kubernetes: false,
            hosts: Vec::new(),
        };
        let wanted = |nodes, workstations: &[&str]| Wanted {
            nodes,
            boards: 0,
            slots: 4,
            cm4: vec![2],
            disks: false,
            kubernetes: false,
            workstations: workstations.iter().map(|name| (*name).to_owned()).collect(),
        };
        add_hosts(&mut testbed, &wanted(1, &["ws01"])).unwrap();
        add_hosts(&mut testbed, &wanted(2, &["ws01"])).unwrap();
        let all: Vec<_> = testbed.hosts.iter().map(|host| (host.name.as_str(), host.number)).collect();
        assert_eq!(all, [("node01", 1), ("ws01", 2), ("node02", 3)]);
        let board = Wanted { boards: 1, slots: 2, ..wanted(2, &["ws01"]) };
        add_hosts(&mut testbed, &board).unwrap();
        add_hosts(&mut testbed, &Wanted { slots: 3, ..board }).unwrap();
        let slots: Vec<_> = testbed.slots("board1").map(|(host, slot)| (host.name.as_str(), slot)).collect();
        assert_eq!(slots, [("node03", 1), ("node04", 2), ("node05", 3)]);
        assert_eq!((testbed.has_cm4("board1", 2), testbed.has_cm4("board1", 3)), (true, false));
        assert!(add_hosts(&mut testbed, &wanted(2, &["node01"])).is_err());
        assert!(add_hosts(&mut testbed, &wanted(201, &[])).is_err());
    }
}
