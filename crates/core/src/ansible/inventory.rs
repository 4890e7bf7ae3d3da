//! Groups and hosts with their variables, merged as Ansible merges them.
//!
//! From weakest to strongest: variables inline in `all`, inline in other groups (parents before children, then by
//! `ansible_group_priority`, then by name), `group_vars/all`, `group_vars/GROUP` in the same order, inline at the
//! host, `host_vars/HOST`, extra variables. So a variable inline in a group is weaker than `group_vars/all`. Source:
//! Ansible's `VARIABLE_PRECEDENCE` and `sort_groups`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::ansible::template::{Resolved, Templates};
use crate::ansible::variables::Variables;
use crate::text::problem::Problem;
use crate::text::secret::HIDDEN;
use crate::text::yaml::{Key, Origin, Raw, RawValue};

/// A group.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub origin: Option<Origin>,
    pub children: Vec<String>,
    pub hosts: Vec<String>,
    /// The same hosts, for looking one up.
    pub members: BTreeSet<String>,
    pub inline: Variables,
    pub from_files: Variables,
    depth: usize,
    priority: i64,
}

/// A host.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub origin: Origin,
    /// The groups that list it.
    pub groups: BTreeSet<String>,
    pub inline: Variables,
    pub from_files: Variables,
}

/// How deep groups may lie below `all`. Whatever walks down the groups may recurse, because of this.
const DEEPEST: usize = 64;

/// The most lines of a graph: a group that several have as a child is drawn below each, so lines may double per level.
const LINES: usize = 100_000;

/// Groups and hosts while they are read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    pub groups: BTreeMap<String, Group>,
    /// In the order in which they were first named.
    pub group_order: Vec<String>,
    pub hosts: BTreeMap<String, Host>,
    pub host_order: Vec<String>,
    /// The groups that another has as a child.
    are_children: BTreeSet<String>,
}

impl Groups {
    pub fn add_group(&mut self, name: &str, origin: &Origin) {
        if let Some(group) = self.groups.get_mut(name) {
            group.origin.get_or_insert_with(|| origin.clone());
            return;
        }
        self.group_order.push(name.to_owned());
        self.groups.insert(name.to_owned(), Group::new(Some(origin.clone())));
    }

    /// Sets a variable of a group.
    ///
    /// # Errors
    /// When it is the group's priority, and not a number.
    pub fn set_group_variable(&mut self, group: &str, key: &Key, raw: Raw) -> Result<(), Problem> {
        let Some(group) = self.groups.get_mut(group) else { return Ok(()) };
        if key.text == "ansible_group_priority" {
            // Ansible takes `int()` of it (`Group.set_priority`).
            let priority = match &raw.value {
                RawValue::Int(priority) => Some(*priority),
                RawValue::Bool(priority) => Some((*priority).into()),
                RawValue::Text(text) => text.trim().parse().ok(),
                _ => None,
            };
            group.priority = priority
                .ok_or_else(|| raw.origin.error("`ansible_group_priority` is a whole number, such as 10", None))?;
            return Ok(());
        }
        let (name, variable) = Variables::entry(key, raw);
        group.inline.0.insert(name, variable);
        Ok(())
    }

    pub fn add_host(&mut self, name: &str, group: &str, origin: &Origin) {
        if !self.hosts.contains_key(name) {
            self.host_order.push(name.to_owned());
            let host = Host {
                origin: origin.clone(),
                groups: BTreeSet::new(),
                inline: Variables::default(),
                from_files: Variables::default(),
            };
            self.hosts.insert(name.to_owned(), host);
        }
        if let Some(host) = self.hosts.get_mut(name) {
            host.groups.insert(group.to_owned());
        }
        if let Some(group) = self.groups.get_mut(group)
            && group.members.insert(name.to_owned())
        {
            group.hosts.push(name.to_owned());
        }
    }

    pub fn set_host_variables(&mut self, name: &str, variables: Variables) {
        if let Some(host) = self.hosts.get_mut(name) {
            host.inline.extend(&variables);
        }
    }

    /// Makes a group another's child; the circle that this would close otherwise.
    pub fn add_child(&mut self, parent: &str, child: &str) -> Result<(), String> {
        // Every group lies below `all`, whether a file says so or not.
        if child == "all" {
            return Err(format!("all → {parent} → all"));
        }
        // Most groups are nobody's child yet: nothing leads to them.
        if (parent == child || self.are_children.contains(parent))
            && let Some(path) = self.path(child, parent)
        {
            return Err(format!("{parent} → {}", path.join(" → ")));
        }
        self.are_children.insert(child.to_owned());
        if let Some(group) = self.groups.get_mut(parent)
            && !group.children.iter().any(|other| other == child)
        {
            group.children.push(child.to_owned());
        }
        Ok(())
    }

    /// The way down from one group to another. Each group is visited once, in a list and not by calls: a chain of groups is
    /// as long as the file that names them.
    fn path(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut above: BTreeMap<&str, &str> = BTreeMap::new();
        let mut open = vec![from];
        while let Some(name) = open.pop() {
            if name == to {
                let mut path = vec![name.to_owned()];
                let mut at = name;
                while let Some(parent) = above.get(at).filter(|_| at != from) {
                    path.push((*parent).to_owned());
                    at = parent;
                }
                path.reverse();
                return Some(path);
            }
            for child in self.groups.get(name).into_iter().flat_map(|group| &group.children).rev() {
                if child != from && !above.contains_key(child.as_str()) {
                    above.insert(child, name);
                    open.push(child);
                }
            }
        }
        None
    }

    /// Puts what stands alone below `all` and `ungrouped`, and measures how deep each group lies.
    pub fn settle(&mut self) -> Vec<Problem> {
        for name in ["all", "ungrouped"] {
            if !self.groups.contains_key(name) {
                self.groups.insert(name.to_owned(), Group::new(None));
                self.group_order.push(name.to_owned());
            }
        }
        let children: BTreeSet<String> =
            self.groups.values().flat_map(|group| group.children.iter().cloned()).collect();
        let mut of_all = vec!["ungrouped".to_owned()];
        of_all.extend(self.groups["all"].children.iter().filter(|child| *child != "ungrouped").cloned());
        let alone = self.group_order.iter().filter(|name| *name != "all" && !children.contains(*name));
        of_all.extend(alone.filter(|name| *name != "ungrouped").cloned());
        if let Some(all) = self.groups.get_mut("all") {
            all.children = of_all;
        }
        self.settle_ungrouped();
        self.measure()
    }

    /// How deep each group lies: one more than the deepest group that has it as a child.
    fn measure(&mut self) -> Vec<Problem> {
        let mut waits: BTreeMap<String, usize> = BTreeMap::new();
        for child in self.groups.values().flat_map(|group| &group.children) {
            *waits.entry(child.clone()).or_default() += 1;
        }
        let mut problems = Vec::new();
        // A group is taken once all that have it as a child were, so each is taken once.
        let mut open: Vec<String> = self.groups.keys().filter(|name| !waits.contains_key(*name)).cloned().collect();
        while let Some(name) = open.pop() {
            let Some((depth, children)) = self.groups.get(&name).map(|group| (group.depth, group.children.clone()))
            else {
                continue;
            };
            for child in children {
                let Some(group) = self.groups.get_mut(&child) else { continue };
                group.depth = group.depth.max(depth + 1);
                if group.depth == DEEPEST + 1
                    && problems.is_empty()
                    && let Some(origin) = &group.origin
                {
                    let message = format!("groups are nested too deeply, at most {DEEPEST} levels are read");
                    problems.push(origin.error(message, None));
                }
                if let Some(left) = waits.get_mut(&child) {
                    *left -= 1;
                    if *left == 0 {
                        open.push(child);
                    }
                }
            }
        }
        problems
    }

    /// Who is in no group of its own is in `ungrouped`, after those that the file puts there; who is in another is not.
    fn settle_ungrouped(&mut self) {
        let alone = |host: &Host| host.groups.iter().all(|group| group == "all" || group == "ungrouped");
        let named = self.groups.get("ungrouped").map(|group| group.hosts.clone()).unwrap_or_default();
        let mut members = BTreeSet::new();
        let mut hosts = Vec::new();
        for name in named.iter().chain(&self.host_order) {
            let Some(host) = self.hosts.get_mut(name) else { continue };
            if !alone(host) {
                host.groups.remove("ungrouped");
            } else if members.insert(name.clone()) {
                host.groups.insert("ungrouped".to_owned());
                hosts.push(name.clone());
            }
        }
        if let Some(group) = self.groups.get_mut("ungrouped") {
            (group.members, group.hosts) = (members, hosts);
        }
    }
}

impl Group {
    fn new(origin: Option<Origin>) -> Self {
        Self {
            origin,
            children: Vec::new(),
            hosts: Vec::new(),
            members: BTreeSet::new(),
            inline: Variables::default(),
            from_files: Variables::default(),
            depth: 0,
            priority: 1,
        }
    }
}

/// An inventory as it was read: groups, hosts, and each host's variables.
#[derive(Clone, Debug)]
pub struct Inventory {
    pub(crate) groups: Groups,
    pub(crate) extra: Variables,
    pub(crate) templates: Templates,
    parents: BTreeMap<String, Vec<String>>,
}

impl Inventory {
    pub(crate) fn new(groups: Groups, extra: Variables, templates: Templates) -> Self {
        let mut parents: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, group) in &groups.groups {
            for child in &group.children {
                parents.entry(child.clone()).or_default().push(name.clone());
            }
        }
        Self { groups, extra, templates, parents }
    }

    /// All groups that a host is in, itself or through children, in the order of their precedence.
    fn groups_of<'a>(&'a self, host: &'a Host) -> Vec<&'a str> {
        let mut found: BTreeSet<&str> = BTreeSet::from(["all"]);
        let mut open: Vec<&str> = host.groups.iter().map(String::as_str).collect();
        while let Some(group) = open.pop() {
            if found.insert(group) {
                open.extend(self.parents.get(group).into_iter().flatten().map(String::as_str));
            }
        }
        let mut groups: Vec<&str> = found.into_iter().collect();
        groups.sort_by_key(|name| {
            let group = self.groups.groups.get(*name);
            (group.map_or(0, |group| group.depth), group.map_or(1, |group| group.priority), *name)
        });
        groups
    }

    /// A host's variables, merged.
    pub(crate) fn variables(&self, name: &str) -> Variables {
        let mut merged = Variables::default();
        let Some(host) = self.groups.hosts.get(name) else { return merged };
        let names = self.groups_of(host);
        let groups = || names.iter().filter_map(|name| self.groups.groups.get(*name));
        groups().for_each(|group| merged.extend(&group.inline));
        groups().for_each(|group| merged.extend(&group.from_files));
        merged.extend(&host.inline);
        merged.extend(&host.from_files);
        merged.extend(&self.extra);
        merged
    }

    /// The variables that all hosts have, whichever they are.
    pub(crate) fn site_variables(&self) -> Variables {
        let mut merged = Variables::default();
        if let Some(all) = self.groups.groups.get("all") {
            merged.extend(&all.inline);
            merged.extend(&all.from_files);
        }
        merged.extend(&self.extra);
        merged
    }

    /// What Ansible knows of a host without being told.
    pub(crate) fn magic(&self, name: &str) -> BTreeMap<String, Value> {
        let mut magic = BTreeMap::new();
        let short = name.split('.').next().unwrap_or(name);
        magic.insert("inventory_hostname".to_owned(), json!(name));
        magic.insert("inventory_hostname_short".to_owned(), json!(short));
        if let Some(host) = self.groups.hosts.get(name) {
            let mut names = self.groups_of(host);
            names.retain(|group| *group != "all");
            names.sort_unstable();
            magic.insert("group_names".to_owned(), json!(names));
        }
        magic
    }

    /// The hosts of a group and of the groups below it, in the inventory's order.
    pub(crate) fn hosts_below(&self, group: &str) -> Vec<&str> {
        if group == "all" {
            return self.groups.host_order.iter().map(String::as_str).collect();
        }
        let mut found: BTreeSet<&str> = BTreeSet::new();
        let mut order = Vec::new();
        let mut open = vec![group];
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        while let Some(name) = open.pop() {
            let Some(group) = self.groups.groups.get(name).filter(|_| seen.insert(name)) else { continue };
            order.extend(group.hosts.iter().map(String::as_str).filter(|host| found.insert(host)));
            open.extend(group.children.iter().rev().map(String::as_str));
        }
        order
    }

    /// The inventory in the shape of `ansible-inventory --list`. Secrets are not shown.
    ///
    /// With `raw`, templates stand as they are written; otherwise they are resolved, and one that cannot be stands as
    /// it is written.
    pub fn list(&self, raw: bool) -> Value {
        let mut list = Map::new();
        let mut seen = BTreeSet::new();
        self.list_group("all", &mut seen, &mut list);
        let mut hosts = Map::new();
        for name in &self.groups.host_order {
            let variables = self.host(name, raw);
            if variables.as_object().is_some_and(|variables| !variables.is_empty()) {
                hosts.insert(name.clone(), variables);
            }
        }
        list.insert("_meta".to_owned(), json!({"hostvars": hosts, "profile": "inventory_legacy"}));
        list.sort_keys();
        Value::Object(list)
    }

    /// Whether there is a host of that name.
    pub fn has_host(&self, name: &str) -> bool {
        self.groups.hosts.contains_key(name)
    }

    /// One host's variables, secrets hidden.
    pub fn host(&self, name: &str, raw: bool) -> Value {
        let variables = self.variables(name);
        let magic = self.magic(name);
        let mut shown = Map::new();
        for (key, variable) in &variables.0 {
            let value = if raw {
                self.templates.written(&variable.raw)
            } else {
                let resolved = self.templates.resolve(&variable.raw, &variables, &magic);
                resolved.unwrap_or_else(|_| self.templates.written(&variable.raw))
            };
            shown.insert(key.clone(), hide(key, value));
        }
        Value::Object(shown)
    }

    fn list_group<'a>(&'a self, name: &'a str, seen: &mut BTreeSet<&'a str>, list: &mut Map<String, Value>) {
        let Some(group) = self.groups.groups.get(name) else { return };
        let mut entry = Map::new();
        if name != "all" && !group.hosts.is_empty() {
            entry.insert("hosts".to_owned(), json!(group.hosts));
        }
        if !group.children.is_empty() {
            entry.insert("children".to_owned(), json!(group.children));
        }
        for child in &group.children {
            if seen.insert(child) {
                self.list_group(child, seen, list);
            }
        }
        if !entry.is_empty() {
            entry.sort_keys();
            list.insert(name.to_owned(), Value::Object(entry));
        }
    }

    /// The inventory as a tree, as `ansible-inventory --graph` draws it, a line each.
    pub fn graph(&self) -> Vec<String> {
        let mut lines = Vec::new();
        self.graph_group("all", 0, &mut lines);
        if lines.len() >= LINES {
            lines.truncate(LINES);
            lines.push(format!("(the first {LINES} lines)"));
        }
        lines
    }

    fn graph_group(&self, name: &str, depth: usize, lines: &mut Vec<String>) {
        let branch = |depth: usize| if depth == 0 { String::new() } else { format!("{}--", "  |".repeat(depth)) };
        if lines.len() >= LINES {
            return;
        }
        lines.push(format!("{}@{name}:", branch(depth)));
        let Some(group) = self.groups.groups.get(name) else { return };
        for child in &group.children {
            self.graph_group(child, depth + 1, lines);
        }
        if name != "all" {
            lines.extend(group.hosts.iter().map(|host| format!("{}{host}", branch(depth + 1))));
        }
    }
}

/// Variables that hold secrets, whoever wrote them in the open.
const SECRETS: [&str; 6] = [
    "ansible_password",
    "ansible_ssh_pass",
    "ansible_ssh_password",
    "ansible_become_password",
    "ansible_become_pass",
    "ansible_sudo_pass",
];

fn hide(key: &str, resolved: Resolved) -> Value {
    if resolved.secret || SECRETS.contains(&key) { json!(HIDDEN) } else { resolved.value }
}

#[cfg(test)]
mod tests;
