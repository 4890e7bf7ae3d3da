//! How a simulated world begins.

use std::collections::BTreeMap;
use std::sync::Arc;

use bringup_core::contract::{FlashMarkState, FlashPhase};
use bringup_core::ids::{BoardName, NodeName, Sha256, Slot};
use bringup_core::run::hazard::Liveness;
use bringup_core::site::{Node, Site};
use bringup_core::text::known_hosts::KnownHosts;

use crate::board::Board;
use crate::controller::Controller;
use crate::faults::Faults;
use crate::machine::{Boot, Machine, System, key_of};
use crate::referee::Referee;
use crate::state::State;
use crate::target::installed_by_hand;
use crate::{SimWorld, Snapshot};

/// What a machine is like when the story begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// A module as it comes out of its box, without power.
    Blank,
    /// An operating system runs on it.
    Installed,
    /// An operating system is on it that has run; it has power and says nothing.
    Silent,
    /// An operating system is on it that has run; it is off.
    SwitchedOff,
    /// An earlier run wrote the image and came no further.
    Flashed,
    /// It never answers.
    Dead,
}

/// How a world begins: what each machine is like. Modules that are not named are blank, extra machines installed.
#[derive(Clone, Debug, Default)]
pub struct Story {
    conditions: BTreeMap<NodeName, Condition>,
    trusted: bool,
    old_firmware: bool,
}

impl Story {
    /// Everything new.
    pub fn fresh() -> Self {
        Self::default()
    }

    /// A machine is like this.
    #[must_use]
    pub fn with(mut self, node: &str, condition: Condition) -> Self {
        self.conditions.insert(NodeName::new(node), condition);
        self
    }

    /// The user's known_hosts knows the boards and the machines that run.
    #[must_use]
    pub fn trusted(mut self) -> Self {
        self.trusted = true;
        self
    }

    /// The boards have a firmware from before 2.1.0.
    #[must_use]
    pub fn with_old_firmware(mut self) -> Self {
        self.old_firmware = true;
        self
    }

    /// The world at the beginning of the story.
    pub fn begin(&self, site: &Arc<Site>) -> Snapshot {
        let mut state = State {
            site: Arc::clone(site),
            // Whatever runs has been running for an hour.
            now: 3_600_000,
            controller: Controller::default(),
            boards: BTreeMap::new(),
            machines: BTreeMap::new(),
            cluster: None,
            clusters: 0,
            faults: Faults::none(),
            referee: Referee::default(),
        };
        place_boards(&mut state, site, !self.old_firmware);
        for (index, node) in site.nodes.iter().enumerate() {
            let usual = if node.flashable().is_some() { Condition::Blank } else { Condition::Installed };
            let condition = self.conditions.get(&node.name).copied().unwrap_or(usual);
            let machine = machine(node, index, condition, &mut state);
            state.machines.insert(node.name.clone(), machine);
        }
        state.controller.known_hosts = known_hosts(&state, self.trusted);
        state.controller.foreign = FOREIGN.lines().map(str::to_owned).collect();
        Snapshot(state)
    }
}

/// What stands in the user's known_hosts and is none of ours.
const FOREIGN: &str = "\
# my own hosts
git.example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGdpdC1leGFtcGxlLW9yZy1ub3QtYS1yZWFsLWtleSEh
@cert-authority *.corp.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGNvcnAtZXhhbXBsZS1ub3QtYS1yZWFsLWtleS0h
";

fn address(index: usize) -> String {
    format!("10.{}.{}.{}", 20 + index / 62_500, (index / 250) % 250, 2 + index % 250)
}

fn place_boards(state: &mut State, site: &Site, unpacks_xz: bool) {
    for (index, board) in site.boards.iter().enumerate() {
        state.boards.insert(
            board.name.clone(),
            Board {
                host_key: key_of(board.name.as_str()),
                address: address(200_000 + index),
                card: Some(28_000_000_000),
                unpacks_xz,
                images: BTreeMap::new(),
                marks: BTreeMap::new(),
                modules: BTreeMap::new(),
                transfer: None,
                waiting: None,
                stored_usb_boot: None,
            },
        );
    }
    for node in &site.nodes {
        if let Some(place) = &node.place
            && let Some(board) = state.boards.get_mut(&place.board)
        {
            board.modules.insert(place.slot, node.name.clone());
        }
    }
}

fn machine(node: &Node, index: usize, condition: Condition, state: &mut State) -> Machine {
    let address = match &node.node_ip {
        Some(address) => address.clone(),
        None => address(index),
    };
    let mut machine = Machine {
        name: node.name.clone(),
        kind: node.kind,
        address,
        dead: condition == Condition::Dead,
        disk_holds_root: false,
        boot: Boot::Off,
        boots: 0,
        installs: 0,
        system: None,
        when_cut: Liveness::Idle,
        up_since: 0,
        was_member: false,
        down_since: 0,
    };
    match condition {
        Condition::Blank => {}
        Condition::Installed | Condition::Silent | Condition::SwitchedOff | Condition::Dead => {
            installed_by_hand(&mut machine);
            if let (Some(system), Some(_)) = (&mut machine.system, &node.place) {
                system.root = "/dev/mmcblk0p2".to_owned();
            }
            machine.boot = match condition {
                Condition::Silent => Boot::Hung,
                Condition::SwitchedOff => Boot::Off,
                _ => Boot::Up,
            };
        }
        Condition::Flashed => {
            if let Some(sha256) = state.site.settings.image(node.kind).map(|image| image.sha256) {
                machine.installs = 1;
                machine.system = Some(System::of_image(&node.name, 1));
                mark_flashed(node, sha256, state);
            }
        }
    }
    machine
}

fn mark_flashed(node: &Node, sha256: Sha256, state: &mut State) {
    let Some(place) = &node.place else { return };
    let mark = FlashMarkState {
        node: node.name.clone(),
        phase: FlashPhase::Flashed,
        was: Liveness::Idle,
        image_sha256: sha256,
        instance_id: format!("{}-earlier", node.name),
        host_key: None,
        run: "earlier".to_owned(),
    };
    if let Some(board) = state.boards.get_mut(&place.board) {
        board.marks.insert(place.slot, mark);
    }
}

fn known_hosts(state: &State, trusted: bool) -> KnownHosts {
    let mut known = KnownHosts::parse(FOREIGN);
    if !trusted {
        return known;
    }
    let name = |connection: &bringup_core::site::Connection| {
        bringup_core::text::known_hosts::host_pattern(&connection.host, connection.port.value)
    };
    for board in &state.site.boards {
        if let Some(sim) = state.boards.get(&board.name) {
            known.add(&name(&board.connection), &sim.host_key);
            known.add(&sim.address, &sim.host_key);
        }
    }
    for node in &state.site.nodes {
        let machine = state.machines.get(&node.name);
        let system = machine.and_then(|machine| machine.system.as_ref()).filter(|system| system.lived);
        if let (Some(machine), Some(system)) = (machine, system) {
            for key in &system.host_keys {
                known.add(&name(&node.connection), key);
                known.add(&machine.address, key);
            }
        }
    }
    known
}

/// Someone else adds a line to known_hosts, if the faults say so.
pub(crate) fn foreign_line(state: &mut State) {
    let chance = state.faults.foreign_line;
    if !state.faults.strike(chance) {
        return;
    }
    let name = format!("other-{}.example.org", state.controller.foreign.len());
    let key = key_of(&name);
    state.controller.known_hosts.add(&name, &key);
    state.controller.foreign.push(format!("{name} {key}"));
}

impl SimWorld {
    /// A machine hangs: it has power and says nothing, for good.
    pub fn hang(&self, node: &str) {
        let mut state = self.lock();
        if let Some(machine) = state.machines.get_mut(&NodeName::new(node)) {
            machine.boot = Boot::Hung;
        }
    }

    /// A machine's package manager was stopped half-way.
    pub fn half_configure(&self, node: &str) {
        self.change_system(node, |system| system.half_configured = 1);
    }

    /// Someone removes a package from a machine.
    pub fn remove_package(&self, node: &str, package: &str) {
        self.change_system(node, |system| {
            system.packages.remove(package);
        });
    }

    /// A machine is given other host keys.
    pub fn change_host_key(&self, node: &str) {
        self.change_system(node, |system| system.host_keys = vec![key_of(&format!("another {node}"))]);
    }

    fn change_system(&self, node: &str, change: impl FnOnce(&mut System)) {
        if let Some(system) = self.lock().machines.get_mut(&NodeName::new(node)).and_then(|one| one.system.as_mut()) {
            change(system);
        }
    }

    /// A slot's power is cut by someone else.
    pub fn switch_off(&self, node: &str) {
        let mut state = self.lock();
        if let Some(machine) = state.machines.get_mut(&NodeName::new(node)) {
            machine.boot = Boot::Off;
        }
    }

    /// Somebody has left a slot's module in the mode in which it waits for a boot over USB.
    pub fn leave_on_usb(&self, board: &str, slot: Slot) {
        let mut state = self.lock();
        if let Some(board) = state.boards.get_mut(&BoardName::new(board)) {
            board.waiting = Some(slot);
        }
    }

    /// Somebody has stored the USB mode `flash` for a slot.
    pub fn store_usb_boot(&self, board: &str, slot: Slot) {
        let mut state = self.lock();
        if let Some(board) = state.boards.get_mut(&BoardName::new(board)) {
            board.stored_usb_boot = Some(slot);
        }
    }

    /// The mark of a node's flash is another one.
    pub fn change_mark(&self, node: &str, change: impl Fn(&mut FlashMarkState)) {
        let mut state = self.lock();
        let marks = state.boards.values_mut().flat_map(|board| board.marks.values_mut());
        marks.filter(|mark| mark.node.as_str() == node).for_each(change);
    }

    /// Someone records another key under a node's address.
    pub fn misremember_address(&self, node: &str) {
        let mut state = self.lock();
        let Some(address) = state.machines.get(&NodeName::new(node)).map(|machine| machine.address.clone()) else {
            return;
        };
        state.controller.known_hosts.add(&address, &key_of("another machine"));
    }

    /// Time has gone by: every machine that runs has upgrades to install that want a reboot.
    pub fn age(&self) {
        let mut state = self.lock();
        let now = state.now;
        for machine in state.machines.values_mut() {
            let up = machine.is_up(now);
            if let Some(system) = machine.system.as_mut().filter(|_| up) {
                system.upgradable = 17;
                system.removable = 2;
            }
        }
    }
}
