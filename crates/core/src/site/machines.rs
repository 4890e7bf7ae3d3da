//! Boards and nodes out of an inventory's groups.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::fields::{Fields, Found};
use super::model::{Board, Connection, Kind, Node, Place, Settings, Stated};
use crate::ansible::inventory::Inventory;
use crate::ids::{BoardName, DiskPath, NodeName, Slot};
use crate::text::nearest::did_you_mean;
use crate::text::yaml::Origin;

/// The names of a site's nodes, in the inventory's order, with the board of those that sit in one.
pub(crate) struct Roll<'a> {
    pub boards: Vec<&'a str>,
    pub nodes: Vec<(&'a str, Option<&'a str>)>,
}

/// Who is who.
pub(crate) fn roll<'a>(inventory: &'a Inventory, found: &mut Found) -> Roll<'a> {
    let boards = inventory.hosts_below("turing_pis");
    let mut board_of: BTreeMap<&str, &str> = BTreeMap::new();
    for board in &boards {
        for node in inventory.hosts_below(&format!("{board}_nodes")) {
            if let Some(other) = board_of.insert(node, board).filter(|other| other != board)
                && let Some(host) = inventory.groups.hosts.get(node)
            {
                found.push(host.origin.error(format!("`{node}` sits in two boards, `{other}` and `{board}`"), None));
            }
        }
    }
    let extra: BTreeSet<&str> = inventory.hosts_below("extra_nodes").into_iter().collect();
    let all = inventory.groups.host_order.iter().map(String::as_str);
    let nodes = all
        .filter(|name| board_of.contains_key(name) || extra.contains(name))
        .map(|name| (name, board_of.get(name).copied()))
        .collect();
    check_groups(inventory, &boards, found);
    Roll { boards, nodes }
}

/// Groups that look as if they were meant to be something.
fn check_groups(inventory: &Inventory, boards: &[&str], found: &mut Found) {
    let of_boards: Vec<String> = boards.iter().map(|board| format!("{board}_nodes")).collect();
    let known = || ["controller", "turing_pis", "extra_nodes", "all_nodes"].into_iter();
    let names: BTreeSet<&str> = known().chain(of_boards.iter().map(String::as_str)).collect();
    for (name, group) in &inventory.groups.groups {
        let Some(origin) = &group.origin else { continue };
        if names.contains(name.as_str()) || ["all", "ungrouped"].contains(&name.as_str()) {
            continue;
        }
        let slots = group.hosts.iter().filter_map(|host| inventory.groups.hosts.get(host));
        let has_slots = slots
            .into_iter()
            .any(|host| host.inline.0.contains_key("slot_num") || host.from_files.0.contains_key("slot_num"));
        match name.strip_suffix("_nodes") {
            Some(board) if has_slots => {
                let help = did_you_mean(board, boards.iter().copied())
                    .or_else(|| Some(format!("add `{board}` to turing_pis")));
                found.push(origin.error(format!("`{name}` holds slots, but there is no board `{board}`"), help));
            }
            _ => {
                let meant = did_you_mean(name, names.iter().copied()).filter(|_| name.len() > 4);
                if meant.is_some() {
                    found.push(origin.warning(format!("group `{name}` means nothing to bringup"), meant));
                }
            }
        }
    }
}

/// The boards.
pub(crate) fn boards(
    inventory: &Inventory,
    roll: &Roll<'_>,
    settings: &Settings,
    home: &str,
    found: &mut Found,
    notices: &mut BTreeSet<String>,
) -> Vec<Board> {
    let board = |name: &&str| {
        let fields = Fields::of_host(inventory, name, home);
        Board {
            name: BoardName::new(name),
            connection: connection(name, &fields, &settings.tpi_user, settings, found, notices),
            fingerprints: fields.texts("ssh_host_key_fingerprints", found).unwrap_or_default(),
        }
    };
    roll.boards.iter().map(board).collect()
}

/// The nodes.
pub(crate) fn nodes(
    inventory: &Inventory,
    roll: &Roll<'_>,
    settings: &Settings,
    home: &str,
    found: &mut Found,
    notices: &mut BTreeSet<String>,
) -> Vec<Node> {
    let mut slots: BTreeMap<(&str, Slot), &str> = BTreeMap::new();
    let mut nodes = Vec::with_capacity(roll.nodes.len());
    for (name, board) in &roll.nodes {
        let fields = Fields::of_host(inventory, name, home);
        let origin = inventory.groups.hosts.get(*name).map(|host| host.origin.clone());
        let slot = board.and_then(|_| slot(name, &fields, origin.as_ref(), found));
        if let (Some(board), Some(slot)) = (board, slot)
            && let Some(other) = slots.insert((board, slot), name)
            && let Some(at) = fields.origin("slot_num")
        {
            found.push(at.error(format!("slot {slot} of `{board}` is `{other}`'s already"), None));
        }
        let place = board.zip(slot).map(|(board, slot)| Place { board: BoardName::new(board), slot });
        nodes.push(Node {
            name: NodeName::new(name),
            kind: kind(name, board.is_some(), &fields, origin.as_ref(), found),
            place,
            connection: connection(name, &fields, &settings.ansible_account, settings, found, notices),
            root_dev: root_dev(&fields, found),
            nvidia_gpu_node: fields.yes("nvidia_gpu_node", found).unwrap_or(false),
            workstation: fields.yes("workstation", found).unwrap_or(false),
            node_ip: fields.with("node_ip", "an address", found, |value| {
                let text = value.as_str()?;
                text.parse::<std::net::IpAddr>().ok().map(|_| text.to_owned())
            }),
            flannel_iface: fields.with("flannel_iface", "an interface's name", found, |value| {
                value.as_str().filter(|text| is_word(text) && text.len() < 16).map(str::to_owned)
            }),
            fingerprints: fields.texts("ssh_host_key_fingerprints", found).unwrap_or_default(),
        });
    }
    nodes
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && text.chars().all(|character| character.is_ascii_alphanumeric() || "-_.:@".contains(character))
}

fn slot(name: &str, fields: &Fields<'_>, origin: Option<&Origin>, found: &mut Found) -> Option<Slot> {
    if fields.origin("slot_num").is_none() {
        if let Some(origin) = origin {
            found
                .push(origin.error(format!("`{name}` sits in a board and has no slot_num"), Some("1 to 4".to_owned())));
        }
        return None;
    }
    fields.with("slot_num", "a slot from 1 to 4", found, |value| {
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
        u8::try_from(number).ok().and_then(Slot::new)
    })
}

fn kind(name: &str, on_board: bool, fields: &Fields<'_>, origin: Option<&Origin>, found: &mut Found) -> Kind {
    let Some(at) = fields.origin("type") else {
        if let Some(origin) = origin.filter(|_| on_board) {
            let help = "rk1, pi4 (or cm4); any other type is never flashed".to_owned();
            found.push(origin.error(format!("`{name}` sits in a board and has no type"), Some(help)));
        }
        return Kind::Other;
    };
    let Some(word) = fields.text("type", found) else { return Kind::Other };
    match word.as_str() {
        "rk1" => Kind::Rk1,
        "pi4" | "cm4" => Kind::Cm4,
        other => {
            if let Some(meant) = did_you_mean(other, ["rk1", "pi4", "cm4"]).filter(|_| on_board) {
                found.push(at.warning(format!("a node of type `{other}` is never flashed"), Some(meant)));
            }
            Kind::Other
        }
    }
}

fn root_dev(fields: &Fields<'_>, found: &mut Found) -> Option<DiskPath> {
    let wanted = "the path of a disk such as /dev/nvme0n1";
    fields.with("root_dev", wanted, found, |value| value.as_str().and_then(DiskPath::parse))
}

fn connection(
    name: &str,
    fields: &Fields<'_>,
    account: &str,
    settings: &Settings,
    found: &mut Found,
    notices: &mut BTreeSet<String>,
) -> Connection {
    let host = fields.with("ansible_host", "a name or an address", found, |value| {
        value.as_str().filter(|text| is_word(text)).map(str::to_owned)
    });
    let host = host.unwrap_or_else(|| {
        let complete = name.contains('.') || name.contains(':') || name == "localhost";
        if complete { name.to_owned() } else { format!("{name}{}", settings.local_domain) }
    });
    let port = ["ansible_port", "ansible_ssh_port"].iter().find_map(|variable| {
        fields.with(variable, "a port from 1 to 65535", found, |value| {
            let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
            u16::try_from(number).ok().filter(|port| *port > 0)
        })
    });
    let user = ["ansible_user", "ansible_ssh_user"].iter().find_map(|variable| fields.text(variable, found));
    let way = fields.text("ansible_connection", found).unwrap_or_else(|| "ssh".to_owned());
    let mut not_followed = |what: String| {
        notices.insert(what);
    };
    if !["ssh", "local", "smart"].contains(&way.as_str()) {
        not_followed(format!("ansible_connection `{way}` of {name} is not followed: it is reached over SSH"));
    }
    if let Some(method) = fields
        .text("ansible_become_method", found)
        .filter(|method| !["sudo", "ansible.builtin.sudo"].contains(&method.as_str()))
    {
        not_followed(format!("ansible_become_method `{method}` of {name} is not followed: sudo is used"));
    }
    for variable in ["ansible_ssh_common_args", "ansible_ssh_extra_args"] {
        if fields.value(variable, found).is_some_and(|value| value != Value::String(String::new())) {
            not_followed(format!("{variable} of {name} is not followed: what ~/.ssh/config can say belongs there"));
        }
    }
    Connection {
        host,
        port: port.unwrap_or(22),
        user: Stated { stated: user.is_some(), value: user.unwrap_or_else(|| account.to_owned()) },
        private_key_file: ["ansible_ssh_private_key_file", "ansible_private_key_file"]
            .iter()
            .find_map(|variable| fields.path(variable, found)),
        password: fields.secret(&["ansible_password", "ansible_ssh_pass", "ansible_ssh_password"], found),
        become_password: fields.secret(&["ansible_become_password", "ansible_become_pass"], found),
        local: way == "local",
    }
}

/// Two hosts that are dialled alike are one machine under two names.
pub(crate) fn check_addresses(inventory: &Inventory, boards: &[Board], nodes: &[Node], found: &mut Found) {
    let all = boards.iter().map(|board| (board.name.as_str(), &board.connection));
    let all = all.chain(nodes.iter().map(|node| (node.name.as_str(), &node.connection)));
    let mut first: BTreeMap<(&str, u16), &str> = BTreeMap::new();
    for (name, connection) in all.filter(|(_, connection)| !connection.local) {
        if let Some(other) = first.insert((connection.host.as_str(), connection.port), name)
            && let Some(host) = inventory.groups.hosts.get(name)
        {
            let origin = host.inline.0.get("ansible_host").map_or(&host.origin, |variable| &variable.raw.origin);
            let message = format!("`{name}` and `{other}` have the same address, {}", connection.host);
            found.push(origin.error(message, None));
        }
    }
}
