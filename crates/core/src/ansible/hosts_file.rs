//! Reads `hosts.yml`: groups, their hosts, variables and children.

use crate::ansible::inventory::Groups;
use crate::ansible::range;
use crate::ansible::variables::Variables;
use crate::text::problem::Problem;
use crate::text::yaml::{Key, Raw, RawValue};

/// Puts what a hosts file says into `groups`.
pub(crate) fn read(root: &Raw, groups: &mut Groups, problems: &mut Vec<Problem>) {
    let Some(entries) = root.entries() else {
        problems.push(root.origin.error("an inventory is a map of groups", None));
        return;
    };
    let mut reader = Reader { groups, problems, within: Vec::new() };
    for (name, body) in entries {
        reader.group(name, body);
    }
}

struct Reader<'a> {
    groups: &'a mut Groups,
    problems: &'a mut Vec<Problem>,
    /// The groups that are being read, the outermost first.
    within: Vec<String>,
}

impl Reader<'_> {
    fn group(&mut self, name: &Key, body: &Raw) {
        let Some(sections) = body.entries() else {
            let message = format!("group `{}` is a map of hosts, vars and children", name.text);
            self.problems.push(body.origin.error(message, None));
            return;
        };
        self.groups.add_group(&name.text, &name.origin);
        self.within.push(name.text.clone());
        for (section, content) in sections {
            match section.text.as_str() {
                "vars" => self.variables(&name.text, content),
                "hosts" => self.hosts(&name.text, content),
                "children" => self.children(&name.text, content),
                other => {
                    let help = crate::text::nearest::did_you_mean(other, ["vars", "hosts", "children"]);
                    let message = format!("`{other}` is no part of a group and is passed over");
                    self.problems.push(section.origin.warning(message, help));
                }
            }
        }
        self.within.pop();
    }

    fn variables(&mut self, group: &str, content: &Raw) {
        let Some(entries) = self.section(content, "vars") else { return };
        for (key, value) in entries.iter() {
            if let Err(problem) = self.groups.set_group_variable(group, key, value.clone()) {
                self.problems.push(problem);
            }
        }
    }

    fn hosts(&mut self, group: &str, content: &Raw) {
        let Some(entries) = self.section(content, "hosts") else { return };
        for (pattern, body) in entries.iter() {
            let (names, port) = range::without_port(&pattern.text);
            let names = match range::expand(names) {
                Ok(names) => names,
                Err(message) => {
                    self.problems.push(pattern.origin.error(message, None));
                    continue;
                }
            };
            let Some(variables) = body.entries() else {
                let message = format!("what stands below host `{}` is a map of its variables", pattern.text);
                self.problems.push(body.origin.error(message, None));
                continue;
            };
            for name in names {
                if let Some(problem) = bad_host_name(&name, pattern) {
                    self.problems.push(problem);
                    continue;
                }
                let is_new = !self.groups.hosts.contains_key(&name);
                self.groups.add_host(&name, group, &pattern.origin);
                if let Some(port) = port.filter(|_| is_new) {
                    let key = Key { text: "ansible_port".to_owned(), origin: pattern.origin.clone() };
                    let raw = Raw { value: RawValue::Int(port.into()), origin: pattern.origin.clone() };
                    self.groups.set_host_variables(&name, Variables::from_iter([Variables::entry(&key, raw)]));
                }
                let variables: Variables =
                    variables.iter().map(|(key, value)| Variables::entry(key, value.clone())).collect();
                self.groups.set_host_variables(&name, variables);
            }
        }
    }

    fn children(&mut self, group: &str, content: &Raw) {
        let Some(entries) = self.section(content, "children") else { return };
        for (child, body) in entries.iter() {
            if self.within.contains(&child.text) {
                let chain = [self.within.as_slice(), std::slice::from_ref(&child.text)].concat().join(" → ");
                self.problems.push(child.origin.error(format!("groups go round in a circle: {chain}"), None));
                continue;
            }
            self.group(child, body);
            if let Err(chain) = self.groups.add_child(group, &child.text) {
                self.problems.push(child.origin.error(format!("groups go round in a circle: {chain}"), None));
            }
        }
    }

    /// A section is a map; a lone word stands for a map with that key.
    fn section<'r>(&mut self, content: &'r Raw, what: &str) -> Option<std::borrow::Cow<'r, [(Key, Raw)]>> {
        if let Some(entries) = content.entries() {
            return Some(entries.into());
        }
        if let RawValue::Text(word) = &content.value {
            let key = Key { text: word.clone(), origin: content.origin.clone() };
            return Some(vec![(key, Raw { value: RawValue::Null, origin: content.origin.clone() })].into());
        }
        self.problems.push(
            content.origin.error(format!("`{what}` is a map"), Some("write `name:` on a line of its own".to_owned())),
        );
        None
    }
}

/// What cannot be a host's name: it reaches DNS, known_hosts and command lines.
fn bad_host_name(name: &str, at: &Key) -> Option<Problem> {
    let good = |character: char| character.is_ascii_alphanumeric() || "-_.:".contains(character);
    if !name.is_empty() && !name.starts_with('-') && name.chars().all(good) {
        return None;
    }
    let help = "letters, digits, dots, hyphens and underscores; not a hyphen first".to_owned();
    Some(at.origin.error(format!("`{}` cannot be a host's name", name.escape_debug()), Some(help)))
}
