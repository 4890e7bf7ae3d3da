//! Boards and nodes out of an inventory's groups.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::fields::{Fields, Found};
use super::model::{Board, Connection, Kind, Node, Place, Settings, Stated};
use crate::ansible::inventory::Inventory;
use crate::ids::{BoardName, DiskPath, NodeName, Slot};
use crate::text::nearest::did_you_mean;
use crate::text::problem::{Problem, Severity};
use crate::text::yaml::Origin;

/// The names of a site's machines.
pub(crate) struct Roll<'a> {
    pub boards: Vec<&'a str>,
    /// In the inventory's order.
    pub nodes: Vec<Enrolled<'a>>,
}

/// A machine of a site.
pub(crate) struct Enrolled<'a> {
    pub name: &'a str,
    /// The board that it sits in.
    pub board: Option<&'a str>,
    /// Whether it is in `all_nodes`.
    pub is_member: bool,
}

/// The group that decides which machines become nodes of the cluster.
const MEMBERS: &str = "all_nodes";

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
    let members = members(inventory, &boards, found);
    let all = inventory.groups.host_order.iter().map(String::as_str);
    let nodes: Vec<Enrolled<'_>> = all
        .filter_map(|name| {
            let board = board_of.get(name).copied();
            let is_member = members.as_ref().is_none_or(|members| members.contains(name));
            let is_enrolled = board.is_some() || extra.contains(name) || (members.is_some() && is_member);
            is_enrolled.then_some(Enrolled { name, board, is_member })
        })
        .collect();
    if members.is_none() && !nodes.is_empty() {
        let message = format!("there is no group `{MEMBERS}`: all machines of boards and of extra_nodes become nodes");
        found.push(Problem {
            severity: Severity::Warning,
            message,
            spot: None,
            help: Some("the playbook's plays work on the hosts of `all_nodes`".to_owned()),
        });
    }
    check_groups(inventory, &boards, found);
    Roll { boards, nodes }
}

/// The hosts of `all_nodes`, where there is such a group. A BMC or the controller among them is an error: it would be
/// upgraded, rebooted and made a node.
fn members<'a>(inventory: &'a Inventory, boards: &[&str], found: &mut Found) -> Option<BTreeSet<&'a str>> {
    inventory.groups.groups.get(MEMBERS)?;
    let members: BTreeSet<&str> = inventory.hosts_below(MEMBERS).into_iter().collect();
    let controllers = inventory.hosts_below("controller");
    let strangers = boards.iter().map(|name| (*name, "a BMC"));
    for (name, what) in strangers.chain(controllers.iter().map(|name| (*name, "the controller"))) {
        if let Some(host) = inventory.groups.hosts.get(name).filter(|_| members.contains(name)) {
            let help = format!("take it out of `{MEMBERS}` and of the groups below it");
            found.push(host.origin.error(format!("`{name}` is {what} and cannot be in `{MEMBERS}`"), Some(help)));
        }
    }
    Some(members)
}

/// Groups that look as if they were meant to be something.
fn check_groups(inventory: &Inventory, boards: &[&str], found: &mut Found) {
    let of_boards: Vec<String> = boards.iter().map(|board| format!("{board}_nodes")).collect();
    let known = || ["controller", "turing_pis", "extra_nodes", MEMBERS].into_iter();
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
    for Enrolled { name, board, is_member } in &roll.nodes {
        let fields = Fields::of_host(inventory, name, home);
        let origin = inventory.groups.hosts.get(*name).map(|host| host.origin.clone());
        if let (Some(help), Some(origin)) = (name_that_works(name), &origin)
            && *is_member
        {
            found.push(origin.error(format!("`{name}` cannot be the name of a Kubernetes node"), Some(help)));
        }
        let slot = board.and_then(|_| slot(name, &fields, origin.as_ref(), found));
        if let (Some(board), Some(slot)) = (board, slot)
            && let Some(other) = slots.insert((board, slot), name)
            && let Some(at) = fields.origin("slot_num")
        {
            found.push(at.error(format!("slot {slot} of `{board}` is `{other}`'s already"), None));
        }
        if !is_member {
            notices.insert(match board {
                Some(_) => format!("{name} is not in `{MEMBERS}`: it is flashed at most, and does not become a node"),
                None => format!("{name} is not in `{MEMBERS}`: nothing is done on it"),
            });
        }
        let place = board.zip(slot).map(|(board, slot)| Place { board: BoardName::new(board), slot });
        nodes.push(Node {
            name: NodeName::new(name),
            kind: kind(name, board.is_some(), &fields, origin.as_ref(), found),
            place,
            is_member: *is_member,
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

/// What would do instead, where a name does not stay the same on its way through cloud-init, the host and Kubernetes: capitals
/// become small (k3s-io/k3s#160), underscores are refused (RFC 1123), and cloud-init cuts at the first dot.
fn name_that_works(name: &str) -> Option<String> {
    if name.parse::<std::net::IpAddr>().is_ok() {
        return Some(format!("give it a name such as node01, and set its ansible_host to {name}"));
    }
    let label = name.split('.').next().unwrap_or_default().to_ascii_lowercase().replace('_', "-");
    let label = label.trim_matches('-');
    let help = match name.contains('.') {
        true => format!("call it `{label}`, and set its ansible_host to {}", name.trim_end_matches('.')),
        false => format!("call it `{label}`"),
    };
    (label != name).then_some(help)
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
    match word.to_ascii_lowercase().as_str() {
        "rk1" | "turing-rk1" | "turing_rk1" => Kind::Rk1,
        "pi4" | "cm4" => Kind::Cm4,
        other => {
            if let Some(meant) = did_you_mean(other, ["rk1", "pi4", "cm4"]).filter(|_| on_board) {
                found.push(at.warning(format!("a node of type `{word}` is never flashed"), Some(meant)));
            }
            Kind::Other
        }
    }
}

/// The disk of a partition, by the names that the kernel and udev give: `sda1`, `nvme0n1p2`, `mmcblk0p1`, `…-part3`.
fn disk_of_partition(path: &str) -> Option<&str> {
    let disk = path.trim_end_matches(|character: char| character.is_ascii_digit());
    if disk.len() == path.len() {
        return None;
    }
    if let Some(disk) = disk.strip_suffix("-part") {
        return Some(disk);
    }
    let name = disk.strip_prefix("/dev/")?;
    let letters = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
    if let Some(whole) = disk.strip_suffix('p').filter(|whole| whole.ends_with(|one: char| one.is_ascii_digit())) {
        return Some(whole);
    }
    ["sd", "vd", "hd", "xvd"].iter().any(|kind| name.strip_prefix(kind).is_some_and(letters)).then_some(disk)
}

fn root_dev(fields: &Fields<'_>, found: &mut Found) -> Option<DiskPath> {
    let wanted = "the path of a disk such as /dev/nvme0n1";
    fields.explained("root_dev", wanted, found, |value| {
        let path = value.as_str().and_then(DiskPath::parse).ok_or(None)?;
        match disk_of_partition(path.as_str()) {
            Some(disk) => Err(Some(format!("that is a partition: the root moves to a whole disk, such as {disk}"))),
            None => Ok(path),
        }
    })
}

/// The variables of a host's connection, the strongest last, as Ansible's plugin `ssh` orders them
/// (`ansible-doc -t connection ssh`; `-t become sudo` for the last).
pub(crate) const HOST: [&str; 2] = ["ansible_host", "ansible_ssh_host"];
pub(crate) const PORT: [&str; 2] = ["ansible_port", "ansible_ssh_port"];
pub(crate) const USER: [&str; 2] = ["ansible_user", "ansible_ssh_user"];
pub(crate) const KEY_FILE: [&str; 2] = ["ansible_private_key_file", "ansible_ssh_private_key_file"];
pub(crate) const PASSWORD: [&str; 3] = ["ansible_password", "ansible_ssh_pass", "ansible_ssh_password"];
pub(crate) const BECOME_PASSWORD: [&str; 3] = ["ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"];

/// Connections to the controller itself: it is never rebooted, and keeps its root where it is.
const LOCAL: [&str; 2] = ["local", "ansible.builtin.local"];
const OVER_SSH: [&str; 3] = ["ssh", "smart", "ansible.builtin.ssh"];

fn connection(
    name: &str,
    fields: &Fields<'_>,
    account: &str,
    settings: &Settings,
    found: &mut Found,
    notices: &mut BTreeSet<String>,
) -> Connection {
    let host = fields.strongest(&HOST, found, address);
    let host = host.unwrap_or_else(|| {
        let complete = name.contains('.') || name.contains(':') || name == "localhost";
        if complete { name.to_owned() } else { format!("{name}{}", settings.local_domain) }
    });
    let port = fields.strongest(&PORT, found, |fields, variable, found| {
        fields.with(variable, "a port from 1 to 65535", found, |value| {
            let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
            u16::try_from(number).ok().filter(|port| *port > 0)
        })
    });
    let user = fields.strongest(&USER, found, Fields::text);
    let way = fields.text("ansible_connection", found).unwrap_or_else(|| "ssh".to_owned());
    not_followed(name, &way, fields, found, notices);
    Connection {
        host,
        port: Stated { stated: port.is_some(), value: port.unwrap_or(22) },
        user: Stated { stated: user.is_some(), value: user.unwrap_or_else(|| account.to_owned()) },
        private_key_file: fields.strongest(&KEY_FILE, found, Fields::path),
        password: fields.secret(&PASSWORD, found),
        become_password: fields.secret(&BECOME_PASSWORD, found),
        local: LOCAL.contains(&way.as_str()),
    }
}

/// The name or address of a host, without brackets.
fn address(fields: &Fields<'_>, variable: &str, found: &mut Found) -> Option<String> {
    let wanted = "a name or an address";
    fields.explained(variable, wanted, found, |value| {
        let text = value.as_str().ok_or(None)?;
        dialled(text).map_err(|help| help.map(str::to_owned))
    })
}

/// What `ssh` would dial, or what else it looks like.
fn dialled(text: &str) -> Result<String, Option<&'static str>> {
    let plain = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
    let (bare, zone) = plain.split_once('%').map_or((plain, None), |(bare, zone)| (bare, Some(zone)));
    if let Ok(address) = bare.parse::<std::net::IpAddr>() {
        return match zone {
            None => Ok(plain.to_owned()),
            Some(zone) if address.is_ipv6() && is_word(zone) => Ok(plain.to_owned()),
            Some(_) => Err(Some("only an IPv6 address has a zone, such as fe80::1%eth0")),
        };
    }
    match plain.rsplit_once(':') {
        _ if plain.contains('@') => Err(Some("the account belongs into ansible_user")),
        Some((_, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && plain.matches(':').count() == 1 => {
            Err(Some("the port belongs into ansible_port"))
        }
        Some(_) => Err(None),
        // All digits and dots, and not an address: no resolver knows it as a name.
        None if plain.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
            Err(Some("an IPv4 address has four numbers from 0 to 255"))
        }
        None if is_word(plain) => Ok(plain.to_owned()),
        None => Err(None),
    }
}

/// Says what of a host's way or account is stated and not followed.
fn not_followed(name: &str, way: &str, fields: &Fields<'_>, found: &mut Found, notices: &mut BTreeSet<String>) {
    if !OVER_SSH.contains(&way) && !LOCAL.contains(&way) {
        notices.insert(format!("ansible_connection `{way}` of {name} is not followed: it is reached over SSH"));
    }
    let method = fields.strongest(&["ansible_become_method"], found, Fields::text);
    if let Some(method) = method.filter(|method| !["sudo", "ansible.builtin.sudo"].contains(&method.as_str())) {
        notices.insert(format!("ansible_become_method `{method}` of {name} is not followed: sudo is used"));
    }
    for variable in ["ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args"] {
        if fields.value(variable, found).is_some_and(|value| value != Value::String(String::new())) {
            notices.insert(format!("{variable} of {name} is not followed: what ~/.ssh/config can say belongs there"));
        }
    }
    if fields.yes("ansible_become", found) == Some(false) {
        notices.insert(format!("ansible_become: false of {name} is not followed: all work is done as root"));
    }
    let become_user = fields.strongest(&["ansible_become_user", "ansible_sudo_user"], found, Fields::text);
    if let Some(user) = become_user.filter(|user| user != "root") {
        notices.insert(format!("ansible_become_user `{user}` of {name} is not followed: all work is done as root"));
    }
    for variable in ["ansible_become_exe", "ansible_sudo_exe", "ansible_become_flags", "ansible_sudo_flags"] {
        if fields.text(variable, found).is_some_and(|text| !text.is_empty()) {
            notices.insert(format!("{variable} of {name} is not followed: `sudo -n` or `sudo -S` is called"));
        }
    }
}

/// Two hosts that are dialled alike are one machine under two names.
pub(crate) fn check_addresses(inventory: &Inventory, boards: &[Board], nodes: &[Node], found: &mut Found) {
    let all = boards.iter().map(|board| (board.name.as_str(), &board.connection));
    let all = all.chain(nodes.iter().map(|node| (node.name.as_str(), &node.connection)));
    let mut first: BTreeMap<(&str, u16), &str> = BTreeMap::new();
    for (name, connection) in all.filter(|(_, connection)| !connection.local) {
        if let Some(other) = first.insert((connection.host.as_str(), connection.port.value), name)
            && let Some(host) = inventory.groups.hosts.get(name)
        {
            let origin = host.inline.0.get("ansible_host").map_or(&host.origin, |variable| &variable.raw.origin);
            let message = format!("`{name}` and `{other}` have the same address, {}", connection.host);
            found.push(origin.error(message, None));
        }
    }
}
