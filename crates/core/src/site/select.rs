//! `--limit`, `--tags`, `--skip-tags`: what of a site a run is about.

use std::collections::BTreeSet;

use super::model::{Service, Site};
use super::scope::Scope;
use crate::ansible::inventory::Inventory;
use crate::ids::{BoardName, NodeName, StageName};
use crate::text::nearest::did_you_mean;
use crate::text::problem::{Problem, Problems, Severity};

impl Scope {
    /// Selects as Ansible does. A node brings its board along; a board does not bring its nodes. The controller, and
    /// with it what goes through the cluster's API, is in scope without a limit and where the limit names it.
    ///
    /// # Errors
    /// A tag or host that is not known, and a selection that selects nothing.
    pub fn select(
        inventory: &Inventory,
        site: &Site,
        tags: &[String],
        skip_tags: &[String],
        limit: &[String],
    ) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        for (flag, given) in [("--tags", tags), ("--skip-tags", skip_tags), ("--limit", limit)] {
            if given.iter().any(|given| is_empty(given)) {
                problems
                    .push(error(format!("{flag} is empty"), Some(format!("leave {flag} out to select everything"))));
            }
        }
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let stages = stages(tags, skip_tags, &mut problems);
        if stages.is_empty() && problems.is_empty() {
            problems.push(error("no stage is left to run".to_owned(), None));
        }
        let mut scope = Self {
            stages,
            controller: limit.is_empty(),
            boards: site.boards.iter().map(|board| board.name.clone()).collect(),
            nodes: site.nodes.iter().map(|node| node.name.clone()).collect(),
            named: BTreeSet::new(),
        };
        if !limit.is_empty() {
            let hosts = hosts(inventory, limit, &mut problems);
            let has = |name: &str| hosts.contains(name);
            scope.controller = has("localhost") || inventory.hosts_below("controller").into_iter().any(has);
            scope.nodes.retain(|node| has(node.as_str()));
            let of_nodes: BTreeSet<BoardName> = site
                .nodes
                .iter()
                .filter(|node| scope.nodes.contains(&node.name))
                .filter_map(|node| node.place.as_ref().map(|place| place.board.clone()))
                .collect();
            scope.boards.retain(|board| has(board.as_str()) || of_nodes.contains(board));
            let words: BTreeSet<&str> = limit.iter().flat_map(|limit| limit.split([',', ':'])).map(str::trim).collect();
            scope.named = scope
                .nodes
                .iter()
                .filter(|node| words.contains(node.as_str()))
                .cloned()
                .collect::<BTreeSet<NodeName>>();
            if hosts.is_empty() && problems.is_empty() {
                problems.push(error(format!("--limit {} selects nothing", limit.join(",")), None));
            }
        }
        problems.extend(scope.missing(site));
        if problems.is_empty() { Ok(scope) } else { Err(Problems(problems)) }
    }

    /// What the stage `cluster` needs and the site does not state: found now, and not when everything else is done.
    fn missing(&self, site: &Site) -> Vec<Problem> {
        let settings = &site.settings;
        let is_asked_for = self.stages.contains(&StageName::Cluster) && self.controller;
        // Only Argo CD uses them.
        let installs = settings.cluster_install_list.contains(&Service::Argocd);
        if !is_asked_for || !installs || site.control_plane().is_none() {
            return Vec::new();
        }
        let needed = [
            ("repo_remote", &settings.repo_remote),
            ("cluster_domain", &settings.cluster_domain),
            ("domain_email", &settings.domain_email),
        ];
        let help = || Some("set it in group_vars/all.yml, or leave the stage out with --skip-tags cluster".to_owned());
        let missing = needed.into_iter().filter(|(_, value)| value.trim().is_empty());
        missing
            .map(|(name, _)| error(format!("`{name}` is not set, and the stage `cluster` needs it"), help()))
            .collect()
    }
}

/// Whether a selection names nothing: what `--limit "$NODE"` is where the variable is not set.
pub fn is_empty(selection: &str) -> bool {
    selection.split([',', ':']).all(|word| word.trim().is_empty())
}

fn error(message: String, help: Option<String>) -> Problem {
    Problem { severity: Severity::Error, message, spot: None, help }
}

fn stages(tags: &[String], skip_tags: &[String], problems: &mut Vec<Problem>) -> BTreeSet<StageName> {
    let mut named = |given: &[String]| {
        let mut stages = BTreeSet::new();
        for tag in given.iter().flat_map(|tags| tags.split(',')).map(str::trim).filter(|tag| !tag.is_empty()) {
            match tag {
                "all" | "always" => stages.extend(StageName::ALL),
                "servers" => stages.extend([StageName::MoveFs, StageName::UpdatePackages]),
                _ => match tag.parse() {
                    Ok(stage) => {
                        stages.insert(stage);
                    }
                    Err(()) => {
                        let tags = StageName::ALL.map(StageName::tag);
                        let help = did_you_mean(tag, tags.into_iter().chain(["servers"]))
                            .or_else(|| Some(format!("one of {}, servers", tags.join(", "))));
                        problems.push(error(format!("there is no stage `{tag}`"), help));
                    }
                },
            }
        }
        stages
    };
    let mut stages = if tags.is_empty() { StageName::ALL.into() } else { named(tags) };
    let skipped = named(skip_tags);
    stages.retain(|stage| !skipped.contains(stage));
    stages
}

/// The hosts of Ansible's patterns: names, groups, globs, joined by `,` or `:`; `!` takes away, `&` keeps only.
fn hosts<'a>(inventory: &'a Inventory, limit: &[String], problems: &mut Vec<Problem>) -> BTreeSet<&'a str> {
    let (mut plain, mut kept, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    for pattern in limit.iter().flat_map(|limit| limit.split([',', ':'])).map(str::trim) {
        match pattern.chars().next() {
            None => {}
            Some('!') => taken.push(&pattern[1..]),
            Some('&') => kept.push(&pattern[1..]),
            Some(_) => plain.push(pattern),
        }
    }
    if plain.is_empty() {
        plain.push("all");
    }
    let mut selected: BTreeSet<&str> = BTreeSet::new();
    for pattern in plain {
        selected.extend(matching(inventory, pattern, problems));
    }
    for pattern in kept {
        let kept: BTreeSet<&str> = matching(inventory, pattern, problems).into_iter().collect();
        selected.retain(|host| kept.contains(host));
    }
    for pattern in taken {
        for host in matching(inventory, pattern, problems) {
            selected.remove(host);
        }
    }
    selected
}

fn matching<'a>(inventory: &'a Inventory, pattern: &str, problems: &mut Vec<Problem>) -> Vec<&'a str> {
    let groups = &inventory.groups;
    if pattern == "all" || pattern == "*" {
        return inventory.hosts_below("all");
    }
    let mut found: Vec<&str> = Vec::new();
    for group in groups.groups.keys().filter(|group| glob(pattern, group)) {
        found.extend(inventory.hosts_below(group));
    }
    found.extend(groups.host_order.iter().map(String::as_str).filter(|host| glob(pattern, host)));
    let known = found.is_empty() && !groups.groups.contains_key(pattern);
    if known && pattern != "localhost" {
        let names = groups.hosts.keys().chain(groups.groups.keys()).map(String::as_str);
        problems.push(error(format!("there is no host or group `{pattern}`"), did_you_mean(pattern, names)));
    }
    found
}

/// `*` and `?` as a shell has them.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut place) = (0, 0);
    // The last `*`, and up to where it takes the text. An earlier one never needs to take more.
    let mut star: Option<(usize, usize)> = None;
    while place < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || *wanted == text[place] => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((before, taken)) = star else { return false };
                star = Some((before, taken + 1));
                (at, place) = (before + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn globs() {
        for (pattern, text, matches) in [
            ("node*", "node01", true),
            ("*", "", true),
            ("n?de", "node", true),
            ("*01", "node01", true),
            ("node", "node01", false),
            ("n*d*2", "node01", false),
            ("n*d*1*", "node01", true),
            ("*?1", "node01", true),
            ("", "", true),
            ("?", "", false),
            ("ä*", "äh", true),
            // Each `*` more would double the tries, were they all tried.
            (&"*n".repeat(100), &"n".repeat(99), false),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} {text}");
        }
    }
}
