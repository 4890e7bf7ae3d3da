//! The whole simulated world at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use bringup_core::ids::{BoardName, NodeName, Slot, Target};
use bringup_core::run::hazard::Hazard;
use bringup_core::site::{Connection, Kind, Site};
use bringup_core::text::known_hosts::{HostKey, host_pattern};

use crate::board::Board;
use crate::cluster::{Cluster, SimNode};
use crate::controller::Controller;
use crate::durations;
use crate::faults::Faults;
use crate::machine::{Boot, Machine, System};
use crate::referee::Referee;

/// Seconds on all targets' clocks when a simulation begins.
pub(crate) const EPOCH: u64 = 1_790_000_000;

/// The world.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub site: Arc<Site>,
    /// Milliseconds of virtual time.
    pub now: u64,
    pub controller: Controller,
    pub boards: BTreeMap<BoardName, Board>,
    pub machines: BTreeMap<NodeName, Machine>,
    pub cluster: Option<Cluster>,
    pub clusters: u32,
    pub faults: Faults,
    pub referee: Referee,
}

impl State {
    /// Seconds on a target's clock at a moment of virtual time.
    pub fn seconds(ms: u64) -> u64 {
        EPOCH + ms / 1000
    }

    /// How a host is reached.
    pub fn connection(&self, target: &Target) -> Option<&Connection> {
        match target {
            Target::Bmc(board) => {
                self.site.boards.iter().find(|other| other.name == *board).map(|board| &board.connection)
            }
            Target::Node(node) => self.site.node(node).map(|node| &node.connection),
            Target::Controller | Target::Cluster => None,
        }
    }

    pub fn kind_in(&self, board: &BoardName, slot: Slot) -> Kind {
        let node = self.boards.get(board).and_then(|board| board.modules.get(&slot));
        node.and_then(|node| self.machines.get(node)).map_or(Kind::Other, |machine| machine.kind)
    }

    /// Whether the API answers.
    pub fn api_is_up(&mut self) -> bool {
        let now = self.now;
        let Some(name) = self.site.settings.control_plane.clone() else { return false };
        let Some(machine) = self.machines.get_mut(&name) else { return false };
        if !machine.is_up(now) {
            return false;
        }
        let Some(k3s) = machine.system.as_ref().and_then(|system| system.k3s.as_ref()) else { return false };
        let up = k3s.active && k3s.since + durations::API_START <= now;
        let (cluster, born) = (k3s.cluster, k3s.since + durations::API_START);
        if up && self.cluster.as_ref().is_none_or(|current| current.id != cluster) {
            self.cluster = Some(Cluster::new(cluster, born));
        }
        up
    }

    /// Lets a machine join, if it can, and tells whether its Node is Ready.
    pub fn settle_node(&mut self, name: &NodeName) -> bool {
        if !self.api_is_up() {
            return false;
        }
        let now = self.now;
        let (Some(machine), Some(cluster)) = (self.machines.get_mut(name), &mut self.cluster) else { return false };
        let up = machine.is_up(now);
        let rebooting_since = match machine.boot {
            Boot::Rebooting { down_at, .. } => Some(down_at),
            _ => None,
        };
        let down_since = rebooting_since.unwrap_or(machine.down_since);
        let install = machine.system.as_ref().map(|system| system.install);
        let runs = machine.system.as_ref().and_then(|system| system.k3s.as_ref()).filter(|k3s| k3s.active);
        let joins = runs.filter(|k3s| k3s.cluster == cluster.id && up);
        if let (Some(k3s), Some(install)) = (joins, install) {
            let since = k3s.since;
            let boot_id = machine.boot_id();
            let node = cluster.nodes.entry(name.clone()).or_insert_with(|| SimNode {
                install,
                ready_at: since.max(cluster.born) + durations::JOIN,
                renewed: 0,
                boot_id: boot_id.clone(),
                labels: [("kubernetes.io/hostname".to_owned(), name.to_string())].into(),
                taints: std::collections::BTreeSet::new(),
                unschedulable: false,
                in_maintenance: false,
            });
            // A machine that was made anew is refused until what is left of the old one is gone.
            if node.install != install || node.ready_at > now {
                return false;
            }
            // What was Ready before a restart stays so.
            let still_ready = node.renewed > 0 && now < node.renewed + durations::STILL_READY;
            let kubelet = since + durations::KUBELET;
            if kubelet <= now {
                node.renewed = now - (now - kubelet) % durations::LEASE;
            }
            let posts = since + 8_000 <= now;
            if posts {
                node.boot_id = boot_id;
            }
            return posts || still_ready;
        }
        let left = machine.system.as_ref().and_then(|system| system.k3s_left).filter(|_| up);
        let silent_since = left.or((runs.is_some() && !up).then_some(down_since));
        let recently = silent_since.is_some_and(|since| now < since + durations::STILL_READY);
        recently && cluster.nodes.get(name).is_some_and(|node| Some(node.install) == install)
    }

    /// Whether a machine's k3s belongs to the cluster, as one who knows everything sees it: the API need not answer.
    pub fn is_member(&mut self, name: &NodeName) -> bool {
        self.settle_node(name);
        let of = |name: &NodeName| self.machines.get(name)?.system.as_ref()?.k3s.as_ref();
        let Some(cluster) = &self.cluster else { return false };
        let exists =
            self.site.settings.control_plane.as_ref().and_then(of).is_some_and(|k3s| k3s.cluster == cluster.id);
        let belongs = of(name).is_some_and(|k3s| k3s.active && k3s.cluster == cluster.id);
        let install = self.machines.get(name).and_then(|machine| machine.system.as_ref()).map(|system| system.install);
        let node = cluster.nodes.get(name).filter(|node| Some(node.install) == install);
        exists && belongs && node.is_some_and(|node| node.ready_at <= self.now)
    }

    /// Whether every key that is to be recorded for one of our hosts was made for it, is known already, or was
    /// approved.
    pub fn keys_are_vouched_for(&mut self, add: &[(String, HostKey)]) {
        for (name, key) in add {
            let made = self.boards.values().flat_map(|board| board.marks.values());
            if made.filter_map(|mark| mark.host_key.as_ref()).any(|made| made == key) {
                continue;
            }
            let Some((host, address, port)) = self.host_named(name) else { continue };
            let names = [name.clone(), host_pattern(&address, port)];
            let known = names.iter().any(|name| self.controller.known_hosts.keys_for(name).contains(key));
            if !known {
                self.referee.hazard(&Hazard::TrustKey { host, fingerprint: key.fingerprint() });
            }
        }
    }

    /// The host that known_hosts calls so, with its address and port.
    fn host_named(&self, name: &str) -> Option<(Target, String, u16)> {
        let is = |to: &Connection| host_pattern(&to.host, to.port.value) == name;
        let board = self.site.boards.iter().find(|board| is(&board.connection));
        if let Some(board) = board {
            let address = self.boards.get(&board.name)?.address.clone();
            return Some((Target::Bmc(board.name.clone()), address, board.connection.port.value));
        }
        let node = self.site.nodes.iter().find(|node| is(&node.connection))?;
        let address = self.machines.get(&node.name)?.address.clone();
        Some((Target::Node(node.name.clone()), address, node.connection.port.value))
    }

    /// Lets every machine join that can.
    pub fn settle_nodes(&mut self) {
        let names: Vec<NodeName> = self.machines.keys().cloned().collect();
        for name in names {
            self.settle_node(&name);
        }
    }

    /// Lets a board's transfer come to its end.
    pub fn settle_board(&mut self, name: &BoardName) {
        let now = self.now;
        let Some(board) = self.boards.get_mut(name) else { return };
        let Some(transfer) = &mut board.transfer else { return };
        let ended = transfer.state(now).phase == bringup_core::contract::JobPhase::Succeeded;
        if !ended || transfer.written {
            return;
        }
        transfer.written = true;
        if let Some(machine) = self.machines.get_mut(&transfer.node) {
            machine.installs += 1;
            machine.system = Some(System::of_image(&transfer.node, machine.installs));
            machine.boot = Boot::Off;
        }
    }

    /// Whether we know the key that a host shows, so that SSH lets us speak to it.
    pub fn is_trusted(&self, target: &Target) -> bool {
        let Some(connection) = self.connection(target) else { return true };
        if connection.local {
            return true;
        }
        let name = bringup_core::text::known_hosts::host_pattern(&connection.host, connection.port.value);
        let known = self.controller.known_hosts.keys_for(&name);
        match target {
            Target::Bmc(board) => self.boards.get(board).is_some_and(|board| known.contains(&board.host_key)),
            Target::Node(node) => self
                .machines
                .get(node)
                .and_then(|machine| machine.system.as_ref())
                .is_some_and(|system| system.host_keys.iter().any(|key| known.contains(key))),
            Target::Controller | Target::Cluster => true,
        }
    }

    /// Whether all lines of known_hosts that are not ours are still there.
    pub fn foreign_lines_stay(&mut self) {
        let text = self.controller.known_hosts.render();
        let mut lines = text.lines();
        // In their order, byte for byte.
        let lost = self.controller.foreign.iter().find(|foreign| !lines.any(|line| line == foreign.as_str())).cloned();
        if let Some(line) = lost {
            self.referee.violation(format!("a foreign line of known_hosts is gone: {line}"));
        }
    }
}
