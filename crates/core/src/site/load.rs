//! From a directory's text to a site.

use crate::text::home::expand;
use std::cell::Cell;
use std::collections::BTreeSet;

use super::fields::{Fields, Found};
use super::inventories::{self, Inventories};
use super::machines;
use super::model::{Site, Stated};
use super::settings;
use crate::ansible::cfg::join;
use crate::ansible::hosts_file;
use crate::ansible::inventory::{Groups, Inventory};
use crate::ansible::source::Source;
use crate::ansible::template::{Lookup, Templates};
use crate::ansible::variables::Variables;
use crate::ansible::vault::{self, Vault};
use crate::text::nearest::nearest;
use crate::text::problem::{Problem, Problems, Severity};
use crate::text::secret::Secret;
use crate::text::yaml::{FileText, Origin, Raw, parse};

/// What to load, and how.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// A site's directory, or its hosts file; several are read in this order. The first is the site's own.
    pub inventory: Vec<String>,
    /// As given to `-e`: `k=v`, a JSON or YAML map, or `@file`.
    pub extra_vars: Vec<String>,
    /// Opens what is sealed.
    pub vault_password: Option<Secret>,
    /// Account to log in with where neither host nor group says, from `ansible.cfg`.
    pub remote_user: Option<String>,
    /// Port to dial where neither host nor group says, from `ansible.cfg`.
    pub remote_port: Option<u16>,
    /// Private key to log in with where neither host nor group says, from `ansible.cfg`.
    pub private_key_file: Option<String>,
}

/// A site and what it was made of.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Groups, hosts and variables as they were read.
    pub inventory: Inventory,
    /// The site.
    pub site: Site,
    /// What may be a mistake.
    pub warnings: Problems,
    /// The site's directory.
    pub directory: String,
}

/// An inventory as it was read, not checked yet.
struct Read {
    inventory: Inventory,
    directory: String,
    files: Vec<String>,
    problems: Vec<Problem>,
}

/// Loads and checks a site. All its problems come at once.
///
/// # Errors
/// The problems, if one of them is an error; warnings are among them.
pub fn load(source: &dyn Source, options: &LoadOptions) -> Result<Loaded, Problems> {
    let Read { inventory, directory, files, problems } = read(source, options)?;
    let mut found = Found::default();
    problems.into_iter().for_each(|problem| found.push(problem));
    let home = source.home();
    let mut notices = BTreeSet::new();
    let site = loop {
        let mut now = Found::default();
        notices.clear();
        let site = check(source, &inventory, &directory, &home, &mut now, &mut notices);
        if !answer_lookups(source, &inventory.templates, &directory) {
            now.sorted().into_iter().for_each(|problem| found.push(problem));
            break site;
        }
    };
    misspelt(&inventory, &mut found);
    let problems = Problems(found.sorted());
    if problems.has_errors() {
        return Err(problems);
    }
    let mut site = site;
    if files.len() > 1 {
        site.notices.push(format!("the inventory is {}", files.join(", ")));
    }
    let accounts = site.nodes.iter_mut().map(|node| &mut node.connection);
    for connection in accounts.chain(site.boards.iter_mut().map(|board| &mut board.connection)) {
        if connection.private_key_file.is_none() {
            connection.private_key_file.clone_from(&options.private_key_file);
        }
        if let Some(port) = options.remote_port.filter(|_| !connection.port.stated) {
            connection.port = Stated { value: port, stated: true };
        }
    }
    if let Some(user) = &options.remote_user {
        for node in site.nodes.iter_mut().filter(|node| !node.connection.user.stated) {
            node.connection.user = Stated { value: user.clone(), stated: true };
        }
    }
    Ok(Loaded { inventory, site, warnings: problems, directory })
}

/// Loads an inventory without checking whether it is a site: for looking at.
///
/// # Errors
/// What keeps it from being read at all.
pub fn load_inventory(source: &dyn Source, options: &LoadOptions) -> Result<(Inventory, Problems), Problems> {
    let Read { inventory, directory, problems, .. } = read(source, options)?;
    let problems = Problems(problems);
    if problems.has_errors() {
        return Err(problems);
    }
    while {
        inventory.list(false);
        answer_lookups(source, &inventory.templates, &directory)
    } {}
    Ok((inventory, problems))
}

fn read(source: &dyn Source, options: &LoadOptions) -> Result<Read, Problems> {
    let mut inventories = Inventories::find(source, &options.inventory)?;
    let mut problems = std::mem::take(&mut inventories.warnings);
    let vault = Vault::new(options.vault_password.clone());
    let is_unread = Cell::new(false);
    let files = Files { source, vault: &vault, is_unread: &is_unread };
    let mut groups = Groups::default();
    for path in &inventories.files {
        if let Ok(Some(text)) = source.read(path)
            && inventories::is_ini(&text)
        {
            return Err(inventories::not_ini(path));
        }
        if let Some(root) = read_file(files, path, &mut problems) {
            hosts_file::read(&root, &mut groups, &mut problems);
        }
    }
    problems.extend(groups.settle());
    for directory in &inventories.directories {
        read_variables(files, directory, &mut groups, &mut problems);
    }
    let mut extra = Variables::default();
    for text in &options.extra_vars {
        extra.0.extend(extra_vars(files, text, &mut problems).0);
    }
    // What a file says that nobody could read would seem to be missing everywhere.
    if is_unread.get() {
        let mut found = Found::default();
        problems.into_iter().for_each(|problem| found.push(problem));
        return Err(Problems(found.sorted()));
    }
    let inventory = Inventory::new(groups, extra, Templates::new(vault.clone()));
    let directory = inventories.directories.into_iter().next().unwrap_or_default();
    Ok(Read { inventory, directory, files: inventories.files, problems })
}

/// The files of a site, and what opens those that are sealed.
#[derive(Clone, Copy)]
struct Files<'a> {
    source: &'a dyn Source,
    vault: &'a Vault,
    /// Whether one of them could not be read.
    is_unread: &'a Cell<bool>,
}

fn read_file(files: Files<'_>, path: &str, problems: &mut Vec<Problem>) -> Option<Raw> {
    let errors = |problems: &[Problem]| problems.iter().filter(|one| one.severity == Severity::Error).count();
    let before = errors(problems);
    let read = text_of(files, path, problems);
    if errors(problems) > before {
        files.is_unread.set(true);
    }
    read
}

fn text_of(files: Files<'_>, path: &str, problems: &mut Vec<Problem>) -> Option<Raw> {
    match files.source.read(path) {
        Ok(text) => {
            let text = text?;
            let file = FileText::new(path, &text);
            if !vault::is_sealed(&text) {
                return parse(&file, &text, problems);
            }
            match files.vault.open_at(&text, &Origin::file(&file)) {
                Ok(text) => parse(&FileText::sealed(path), &text, problems),
                Err(problem) => {
                    problems.push(problem);
                    None
                }
            }
        }
        Err(why) => {
            let message = format!("cannot read {path}: {why}");
            problems.push(Problem { severity: Severity::Error, message, spot: None, help: None });
            None
        }
    }
}

/// Reads `group_vars` and `host_vars`.
fn read_variables(files: Files<'_>, directory: &str, groups: &mut Groups, problems: &mut Vec<Problem>) {
    let (group_vars, host_vars) = (join(directory, "group_vars"), join(directory, "host_vars"));
    let present =
        |path: &str| files.source.list(path).ok().flatten().unwrap_or_default().into_iter().collect::<BTreeSet<_>>();
    let names = present(&group_vars);
    for (name, group) in &mut groups.groups {
        group.from_files.extend(&variables_of(files, &group_vars, name, &names, problems));
    }
    let names = present(&host_vars);
    for (name, host) in &mut groups.hosts {
        host.from_files.extend(&variables_of(files, &host_vars, name, &names, problems));
    }
}

const ENDINGS: [&str; 4] = ["", ".yml", ".yaml", ".json"];

/// The variables of one group or host: of the first of its files or directories that is there, as Ansible looks for
/// them.
fn variables_of(
    files: Files<'_>,
    directory: &str,
    name: &str,
    present: &BTreeSet<String>,
    problems: &mut Vec<Problem>,
) -> Variables {
    let mut variables = Variables::default();
    for ending in ENDINGS {
        let file = format!("{name}{ending}");
        if !present.contains(&file) {
            continue;
        }
        for path in files_of(files.source, &join(directory, &file), problems) {
            variables.0.extend(variables_in(files, &path, problems).0);
        }
        break;
    }
    variables
}

/// How deep directories of variables may lie within each other. A link to a directory above would go on for ever.
const DIRECTORIES: usize = 16;

/// A file, or all files below a directory that hold variables, sorted as Ansible sorts them.
fn files_of(source: &dyn Source, path: &str, problems: &mut Vec<Problem>) -> Vec<String> {
    let mut files = Vec::new();
    // What was found last is looked at first, so each directory puts what it has there in reverse.
    let mut open = vec![(path.to_owned(), 0)];
    while let Some((path, depth)) = open.pop() {
        let Ok(Some(mut names)) = source.list(&path) else {
            files.push(path);
            continue;
        };
        if depth > DIRECTORIES {
            let message = format!("{path}: directories are nested too deeply, at most {DIRECTORIES} levels are read");
            let help = Some("a symbolic link may lead to a directory above".to_owned());
            problems.push(Problem { severity: Severity::Error, message, spot: None, help });
            break;
        }
        names.sort_unstable();
        for name in names.into_iter().rev().filter(|name| !name.starts_with('.') && !name.ends_with('~')) {
            let below = join(&path, &name);
            let ending = name.rfind('.').map_or("", |at| &name[at..]);
            let is_directory = source.list(&below).ok().flatten().is_some();
            if if is_directory { ending.is_empty() } else { ENDINGS.contains(&ending) } {
                open.push((below, depth + 1));
            }
        }
    }
    files
}

fn variables_in(files: Files<'_>, path: &str, problems: &mut Vec<Problem>) -> Variables {
    let Some(root) = read_file(files, path, problems) else { return Variables::default() };
    match root.entries() {
        Some(entries) => entries.iter().map(|(key, raw)| Variables::entry(key, raw.clone())).collect(),
        None => {
            problems.push(root.origin.error("a file of variables is a map", None));
            Variables::default()
        }
    }
}

/// What `-e` gives.
fn extra_vars(files: Files<'_>, text: &str, problems: &mut Vec<Problem>) -> Variables {
    if let Some(path) = text.strip_prefix('@') {
        let path = expand(path, &files.source.home());
        if matches!(files.source.read(&path), Ok(None)) {
            let message = format!("there is no {path}, which -e names");
            problems.push(Problem { severity: Severity::Error, message, spot: None, help: None });
        }
        return variables_in(files, &path, problems);
    }
    let trimmed = text.trim();
    let file = FileText::new("-e", text);
    if trimmed.starts_with(['{', '[']) {
        let root = parse(&file, text, problems);
        let entries = root.as_ref().and_then(Raw::entries).unwrap_or_default();
        return entries.iter().map(|(key, raw)| Variables::entry(key, raw.clone())).collect();
    }
    let mut variables = Variables::default();
    let Some(words) = words(text) else {
        let help = Some("-e takes k=v, a JSON map or @file".to_owned());
        problems.push(Origin::file(&file).error("a quote is not closed".to_owned(), help));
        return variables;
    };
    for word in words {
        let Some((name, value)) = word.split_once('=') else {
            let help = Some("-e takes k=v, a JSON map or @file".to_owned());
            problems.push(Origin::file(&file).error(format!("`{word}` sets no variable"), help));
            continue;
        };
        // As Ansible has it, k=v gives texts; what wants a yes or a number reads it from there.
        let raw = Raw { value: crate::text::yaml::RawValue::Text(value.to_owned()), origin: Origin::file(&file) };
        let key = crate::text::yaml::Key { text: name.to_owned(), origin: Origin::file(&file) };
        let (name, variable) = Variables::entry(&key, raw);
        variables.0.insert(name, variable);
    }
    variables
}

/// Words as Ansible cuts them: quotes hold one together, and a backslash is a character like any other, so that a password
/// with one in it stays what it is. `None`: a quote is not closed.
fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote, mut inside) = (Vec::new(), String::new(), None, false);
    for character in text.chars() {
        match quote {
            Some(open) if character == open => quote = None,
            None if character == '\'' || character == '"' => (quote, inside) = (Some(character), true),
            None if character.is_whitespace() => {
                if inside || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                inside = false;
            }
            _ => word.push(character),
        }
    }
    if inside || !word.is_empty() {
        words.push(word);
    }
    quote.is_none().then_some(words)
}

/// Looks up what templates asked for; whether there was anything.
fn answer_lookups(source: &dyn Source, templates: &Templates, directory: &str) -> bool {
    let open = templates.open_lookups();
    for (lookup, term) in &open {
        let text = match lookup {
            Lookup::Env => source.env(term).unwrap_or_default(),
            Lookup::File => {
                let path = expand(term, &source.home());
                let places = if path.starts_with('/') {
                    vec![path]
                } else {
                    vec![join(directory, &path), join(directory, &format!("files/{path}")), path]
                };
                let text = places.iter().find_map(|place| source.read(place).ok().flatten());
                text.unwrap_or_default().trim_end().to_owned()
            }
        };
        templates.answer((*lookup, term.clone()), text);
    }
    !open.is_empty()
}

/// The file of `$KUBECONFIG` that kubectl would write a new context to: the first that is there, else the last.
fn kubeconfig_of(paths: &str, source: &dyn Source) -> Option<String> {
    let paths: Vec<&str> = paths.split(':').filter(|path| !path.is_empty()).collect();
    let there = paths.iter().find(|path| !matches!(source.read(path), Ok(None)));
    there.or(paths.last()).map(|path| (*path).to_owned())
}

fn check(
    source: &dyn Source,
    inventory: &Inventory,
    directory: &str,
    home: &str,
    found: &mut Found,
    notices: &mut BTreeSet<String>,
) -> Site {
    let roll = machines::roll(inventory, found);
    let names: Vec<&str> = roll.nodes.iter().filter(|node| node.is_member).map(|node| node.name).collect();
    let fields = Fields::of_site(inventory, home);
    let name = site_name(&source.directory_name(directory).unwrap_or_default());
    let keys = own_keys(source, directory, home, found);
    let bin_dir = source.env("BIN_DIR").filter(|path| !path.is_empty());
    let kubeconfig = source.env("KUBECONFIG").and_then(|paths| kubeconfig_of(&paths, source));
    let settings = settings::read(&fields, &name, home, (bin_dir, kubeconfig), &names, keys, found);
    let boards = machines::boards(inventory, &roll, &settings, home, found, notices);
    let nodes = machines::nodes(inventory, &roll, &settings, home, found, notices);
    machines::check_addresses(inventory, &boards, &nodes, found);
    if settings.ssh_public_keys.is_empty() && (settings.do_flash || settings.flash_force) {
        let help = "put your public key into pub_keys/ of the site, or make one with ssh-keygen".to_owned();
        let message = "there is no public key that could log in to flashed nodes".to_owned();
        found.push(Problem { severity: Severity::Error, message, spot: None, help: Some(help) });
    }
    Site { name, settings, boards, nodes, notices: notices.iter().cloned().collect() }
}

/// The name of the site's directory, as far as it can name a context.
fn site_name(directory: &str) -> String {
    let name: String =
        directory.chars().filter(|character| character.is_ascii_alphanumeric() || "-_.".contains(*character)).collect();
    if name.trim_matches('.').is_empty() { "site".to_owned() } else { name }
}

/// The site's public keys, else the user's own. One of the site's that cannot be read is said: who it belongs to would not
/// be let in.
fn own_keys(source: &dyn Source, directory: &str, home: &str, found: &mut Found) -> Vec<String> {
    let keys_in = |directory: &str, good: &dyn Fn(&str) -> bool| {
        let names = source.list(directory).ok().flatten().unwrap_or_default();
        let names = names.into_iter().filter(|name| name.ends_with(".pub") && good(name));
        let (mut keys, mut unread) = (Vec::new(), Vec::new());
        for path in names.map(|name| join(directory, &name)) {
            match source.read(&path) {
                Ok(text) => keys.extend(text.unwrap_or_default().lines().map(str::to_owned)),
                Err(why) => unread.push(format!("cannot read {path}: {why}; its keys are not used")),
            }
        }
        (keys, unread)
    };
    let (keys, unread) = keys_in(&join(directory, "pub_keys"), &|_| true);
    for message in unread {
        found.push(Problem { severity: Severity::Warning, message, spot: None, help: None });
    }
    if keys.is_empty() { keys_in(&join(home, ".ssh"), &|name| name.starts_with("id_")).0 } else { keys }
}

/// Variables whose names are nearly those of ours.
fn misspelt(inventory: &Inventory, found: &mut Found) {
    let groups = inventory.groups.groups.values().flat_map(|group| [&group.inline, &group.from_files]);
    let hosts = inventory.groups.hosts.values().flat_map(|host| [&host.inline, &host.from_files]);
    let mut own = BTreeSet::new();
    for variables in groups.chain(hosts).chain([&inventory.extra]) {
        for (name, variable) in &variables.0 {
            if settings::KNOWN.contains(&name.as_str()) || name.starts_with("ansible_") || own.contains(name.as_str()) {
                continue;
            }
            match nearest(name, settings::KNOWN).filter(|_| name.len() > 4) {
                Some(meant) => {
                    let origin = Origin::clone(&variable.name);
                    let message = format!("variable `{name}` means nothing to bringup");
                    found.push(origin.warning(message, Some(format!("did you mean `{meant}`?"))));
                }
                None => {
                    own.insert(name.as_str());
                }
            }
        }
    }
}
