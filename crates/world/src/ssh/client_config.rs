//! `~/.ssh/config`, as far as it says who is reached where and with what.
//!
//! What else it can say is either of no matter to us or named in `not_followed`; nothing is passed over in silence that
//! would make another host answer or another key count. Source: ssh_config(5) of OpenSSH 9.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::wildcard::{list_matches, matches};
use crate::files::site_files;

/// How deep files may include each other, as in OpenSSH.
const DEPTH: usize = 16;

/// How many files are read. Bounded by the depth alone, one file that includes itself twice would be read 131,071 times.
const MOST_FILES: usize = 1000;

/// What decides over where and as whom, and that we do not do.
const NOT_FOLLOWED: [&str; 17] = [
    "addressfamily",
    "bindaddress",
    "bindinterface",
    "canonicalizehostname",
    "certificatefile",
    "ciphers",
    "globalknownhostsfile",
    "hostkeyalgorithms",
    "kexalgorithms",
    "knownhostscommand",
    "macs",
    "pkcs11provider",
    "preferredauthentications",
    "proxycommand",
    "pubkeyauthentication",
    "revokedhostkeys",
    "securitykeyprovider",
];

/// The settings of the user and of the machine.
#[derive(Clone, Debug, Default)]
pub struct ClientConfig {
    items: Vec<Item>,
    home: PathBuf,
    /// What could not be read.
    troubles: Vec<String>,
    /// How many files have been read.
    files: usize,
}

#[derive(Clone, Debug)]
enum Item {
    Setting {
        keyword: String,
        arguments: Vec<String>,
        place: String,
    },
    /// Holds for some hosts.
    Block {
        condition: Condition,
        items: Vec<Item>,
        place: String,
    },
}

#[derive(Clone, Debug)]
enum Condition {
    Host(Vec<String>),
    Match(Vec<String>),
}

/// What it says of one host. Of each keyword the first value counts, of key files all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HostConfig {
    /// The name or address that is dialled.
    pub host_name: Option<String>,
    /// The name under which known_hosts has it.
    pub host_key_alias: Option<String>,
    /// The account.
    pub user: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// Key files, in their order.
    pub identity_files: Vec<PathBuf>,
    /// The agent's socket, or `none`.
    pub identity_agent: Option<String>,
    /// Only the files' keys are offered.
    pub identities_only: bool,
    /// Hosts to go through, the first one first; an empty list says none.
    pub proxy_jump: Option<Vec<String>>,
    /// Files to know the host by.
    pub known_hosts: Vec<PathBuf>,
    /// What is not done as it says.
    pub not_followed: BTreeSet<String>,
}

impl ClientConfig {
    /// Reads the user's and the machine's. Files that are not there say nothing.
    pub fn read(home: &Path) -> Self {
        let mut config = Self { home: home.to_owned(), ..Self::default() };
        for path in [home.join(".ssh/config"), PathBuf::from("/etc/ssh/ssh_config")] {
            let items = config.file(&path, 0);
            config.items.extend(items);
        }
        config
    }

    /// The settings of a text, for a user without a home; see [`crate::fuzzing`].
    #[cfg(any(test, fuzzing))]
    pub(crate) fn of_text(text: &str) -> Self {
        let mut config = Self { home: PathBuf::from("/nonexistent"), ..Self::default() };
        config.items = config.lines(text, Path::new("/nonexistent/.ssh/config"), 0);
        config
    }

    /// What it says of a host that is dialled by this name with this account.
    pub fn of(&self, host: &str, user: &str) -> HostConfig {
        let mut found = HostConfig::default();
        found.not_followed.extend(self.troubles.iter().cloned());
        self.apply(&self.items, host, user, &mut found);
        let port = found.port.unwrap_or(22).to_string();
        let dialled = found.host_name.take().map(|name| expand(&name, &[('h', host), ('n', host)]));
        let account = found.user.clone().unwrap_or_else(|| user.to_owned());
        let home = self.home.to_string_lossy().into_owned();
        let tokens = [
            ('h', dialled.as_deref().unwrap_or(host)),
            ('n', host),
            ('p', port.as_str()),
            ('r', account.as_str()),
            ('d', home.as_str()),
        ];
        let file = |path: &Path| self.path(&expand(&path.to_string_lossy(), &tokens));
        found.identity_files = found.identity_files.iter().map(|path| file(path)).collect();
        found.known_hosts = found.known_hosts.iter().map(|path| file(path)).collect();
        found.identity_agent = found.identity_agent.map(|agent| match agent.as_str() {
            "none" | "SSH_AUTH_SOCK" => agent,
            path => self.path(&expand(path, &tokens)).to_string_lossy().into_owned(),
        });
        found.host_name = dialled;
        found
    }

    fn path(&self, path: &str) -> PathBuf {
        match path.strip_prefix("~/") {
            Some(rest) => self.home.join(rest),
            None => PathBuf::from(path),
        }
    }

    fn file(&mut self, path: &Path, depth: usize) -> Vec<Item> {
        self.files += 1;
        if self.files > MOST_FILES {
            if self.files == MOST_FILES + 1 {
                let after = format!("{} and all that is included after it are not read", path.display());
                self.troubles.push(format!("{after}: at most {MOST_FILES} files are"));
            }
            return Vec::new();
        }
        match site_files::read_text(path) {
            Ok(text) => self.lines(&text, path, depth),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                self.troubles.push(format!("{} is not read: {error}", path.display()));
                Vec::new()
            }
        }
    }

    fn lines(&mut self, text: &str, path: &Path, depth: usize) -> Vec<Item> {
        let mut top = Vec::new();
        let mut block: Option<(Condition, Vec<Item>, String)> = None;
        for (number, line) in text.lines().enumerate() {
            let Some((keyword, arguments)) = words(line) else { continue };
            let place = format!("{}:{}", path.display(), number + 1);
            let condition = match keyword.as_str() {
                "host" => Some(Condition::Host(arguments.clone())),
                "match" => Some(Condition::Match(arguments.clone())),
                _ => None,
            };
            if let Some(condition) = condition {
                close(&mut top, block.replace((condition, Vec::new(), place)));
                continue;
            }
            let items = if keyword == "include" {
                self.include(&arguments, path, depth, &place)
            } else {
                vec![Item::Setting { keyword, arguments, place }]
            };
            match &mut block {
                Some((_, inner, _)) => inner.extend(items),
                None => top.extend(items),
            }
        }
        close(&mut top, block);
        top
    }

    /// Relative names are below the directory of the user's, or the machine's, configuration.
    fn include(&mut self, patterns: &[String], from: &Path, depth: usize, place: &str) -> Vec<Item> {
        if depth >= DEPTH {
            self.troubles.push(format!("{place}: files include each other more than {DEPTH} deep"));
            return Vec::new();
        }
        let base = if from.starts_with("/etc/ssh") { PathBuf::from("/etc/ssh") } else { self.home.join(".ssh") };
        let mut items = Vec::new();
        for pattern in patterns {
            let path = base.join(self.path(pattern));
            for file in files_like(&path) {
                items.extend(self.file(&file, depth + 1));
            }
        }
        items
    }

    fn apply(&self, items: &[Item], host: &str, user: &str, found: &mut HostConfig) {
        for item in items {
            match item {
                Item::Setting { keyword, arguments, place } => set(found, keyword, arguments, place),
                Item::Block { condition, items, place } => {
                    let holds = match condition {
                        Condition::Host(patterns) => list_matches(patterns.iter().map(String::as_str), host),
                        Condition::Match(criteria) => match_holds(criteria, host, user, found, place),
                    };
                    if holds {
                        self.apply(items, host, user, found);
                    }
                }
            }
        }
    }
}

fn close(top: &mut Vec<Item>, block: Option<(Condition, Vec<Item>, String)>) {
    if let Some((condition, items, place)) = block {
        top.push(Item::Block { condition, items, place });
    }
}

/// The files that a path with wildcards in its last part stands for, in their order.
fn files_like(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !name.contains(['*', '?']) {
        return vec![path.to_owned()];
    }
    let entries = path.parent().and_then(|directory| std::fs::read_dir(directory).ok());
    let mut files: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter(|entry| matches(&name, &entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

/// A line's keyword, in lower case, and its arguments: `Keyword value` or `Keyword=value`, in quotes or not.
fn words(line: &str) -> Option<(String, Vec<String>)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|one: char| one.is_whitespace() || one == '=').unwrap_or(line.len());
    let rest = line[end..].trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    let (mut arguments, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    for one in rest.chars() {
        match one {
            '"' => (quoted, begun) = (!quoted, true),
            '#' if !quoted && !begun => break,
            one if one.is_whitespace() && !quoted => {
                if begun {
                    arguments.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            one => {
                word.push(one);
                begun = true;
            }
        }
    }
    if begun {
        arguments.push(word);
    }
    Some((line[..end].to_ascii_lowercase(), arguments))
}

/// `%h` and its like, and `${VARIABLE}`.
fn expand(text: &str, tokens: &[(char, &str)]) -> String {
    let mut expanded = String::new();
    let mut rest = text.chars().peekable();
    while let Some(one) = rest.next() {
        match (one, rest.peek().copied()) {
            ('%', Some('%')) => {
                rest.next();
                expanded.push('%');
            }
            ('%', Some(token)) => match tokens.iter().find(|(name, _)| *name == token) {
                Some((_, value)) => {
                    rest.next();
                    expanded.push_str(value);
                }
                None => expanded.push('%'),
            },
            ('$', Some('{')) => {
                rest.next();
                let name: String = rest.by_ref().take_while(|one| *one != '}').collect();
                expanded.push_str(&std::env::var(name).unwrap_or_default());
            }
            _ => expanded.push(one),
        }
    }
    expanded
}

fn match_holds(criteria: &[String], host: &str, user: &str, found: &mut HostConfig, place: &str) -> bool {
    let mut words = criteria.iter();
    while let Some(word) = words.next() {
        let (criterion, inline) = match word.split_once('=') {
            Some((criterion, list)) => (criterion, Some(list.to_owned())),
            None => (word.as_str(), None),
        };
        let (negated, criterion) = match criterion.strip_prefix('!') {
            Some(criterion) => (true, criterion),
            None => (false, criterion),
        };
        let criterion = criterion.to_ascii_lowercase();
        if criterion == "all" {
            if negated {
                return false;
            }
            continue;
        }
        let like = |list: Option<String>, text: &str| list.is_some_and(|list| list_matches(list.split(','), text));
        let mut list = || inline.clone().or_else(|| words.next().cloned());
        let holds = match criterion.as_str() {
            "host" => like(list(), found.host_name.as_deref().unwrap_or(host)),
            "originalhost" => like(list(), host),
            "user" => like(list(), found.user.as_deref().unwrap_or(user)),
            "localuser" => like(list(), &std::env::var("USER").unwrap_or_default()),
            other => {
                found
                    .not_followed
                    .insert(format!("{place}: Match {other} is not looked at, and what it is for is left out"));
                return false;
            }
        };
        if holds == negated {
            return false;
        }
    }
    true
}

fn set(found: &mut HostConfig, keyword: &str, arguments: &[String], place: &str) {
    let Some(first) = arguments.first() else { return };
    let once = |slot: &mut Option<String>| {
        slot.get_or_insert_with(|| first.clone());
    };
    match keyword {
        "hostname" => once(&mut found.host_name),
        "hostkeyalias" => once(&mut found.host_key_alias),
        "user" => once(&mut found.user),
        "identityagent" => once(&mut found.identity_agent),
        "port" => match first.parse() {
            Ok(port) => {
                found.port.get_or_insert(port);
            }
            Err(_) => {
                found.not_followed.insert(format!("{place}: Port {first} is no port"));
            }
        },
        "identityfile" if first != "none" => found.identity_files.push(first.into()),
        "identitiesonly" => found.identities_only |= first.eq_ignore_ascii_case("yes"),
        "userknownhostsfile" if found.known_hosts.is_empty() => {
            found.known_hosts = arguments.iter().filter(|path| *path != "none").map(PathBuf::from).collect();
        }
        "proxyjump" => {
            let hosts = || first.split(',').filter(|host| *host != "none").map(str::to_owned).collect();
            found.proxy_jump.get_or_insert_with(hosts);
        }
        "stricthostkeychecking" if !["yes", "ask"].contains(&first.to_ascii_lowercase().as_str()) => {
            found.not_followed.insert(format!("{place}: StrictHostKeyChecking {first}: host keys are always checked"));
        }
        other if NOT_FOLLOWED.contains(&other) => {
            found.not_followed.insert(format!("{place}: {other} is not followed"));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(files: &[(&str, &str)]) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = home.path().join(".ssh").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        home
    }

    #[test]
    fn the_first_value_counts_and_files_add_up() {
        let home = home(&[
            (
                "config",
                "Include conf.d/*.conf\n# mine\nHost node* !node09*\n  User=me\n  IdentityFile \"~/.ssh/my key\"\n\
                 \tHostName %h.example.org\nMatch host *.example.org user me\n  ProxyJump jump:2222,other\n  Port 2200\n\
                 Host *\n  User other\n  Port 1\n  IdentityFile ~/.ssh/%r-%p\n  UserKnownHostsFile /one ~/two\n",
            ),
            ("conf.d/b.conf", "Host node01\n  HostKeyAlias bee\n"),
            ("conf.d/a.conf", "Host node01\n  HostKeyAlias ay\n"),
        ]);
        let config = ClientConfig::read(home.path());
        let node = config.of("node01", "ansible");
        assert_eq!(node.host_name.as_deref(), Some("node01.example.org"));
        assert_eq!(node.host_key_alias.as_deref(), Some("ay"));
        assert_eq!((node.user.as_deref(), node.port), (Some("me"), Some(2200)));
        let ssh = home.path().join(".ssh");
        assert_eq!(node.identity_files, [ssh.join("my key"), ssh.join("me-2200")]);
        assert_eq!(node.proxy_jump, Some(vec!["jump:2222".to_owned(), "other".to_owned()]));
        assert_eq!(node.known_hosts, [PathBuf::from("/one"), home.path().join("two")]);
        let other = config.of("node09", "ansible");
        assert_eq!((other.user.as_deref(), other.port, other.host_name), (Some("other"), Some(1), None));
    }

    #[test]
    fn what_is_not_done_is_said() {
        let home = home(&[(
            "config",
            "Match exec \"true\"\n  Port 1\nHost a\n  ProxyCommand nc %h %p\n  StrictHostKeyChecking no\n  Compression yes\n",
        )]);
        let config = ClientConfig::read(home.path());
        let said: Vec<String> = config.of("a", "me").not_followed.into_iter().collect();
        assert_eq!(said.len(), 3, "{said:#?}");
        assert!(said.iter().any(|words| words.contains("config:4: proxycommand is not followed")));
        assert!(said.iter().any(|words| words.contains("host keys are always checked")));
        assert_eq!(config.of("a", "me").port, None);
        assert_eq!(config.of("b", "me").not_followed.len(), 1, "of what is for others, only what cannot be told");
    }

    #[test]
    fn files_that_include_themselves_end() {
        let home = home(&[("config", "Include config\nHost a\n  Port 3\n")]);
        let found = ClientConfig::read(home.path()).of("a", "me");
        assert_eq!(found.port, Some(3));
        assert!(found.not_followed.iter().any(|words| words.contains("include each other")));
    }

    #[test]
    fn files_that_include_themselves_often_end_soon() {
        let home = home(&[("config", &"Include config\n".repeat(20))]);
        let config = ClientConfig::read(home.path());
        assert!(config.files < 20 * (MOST_FILES + 1), "{}", config.files);
        let found = config.of("a", "me");
        assert!(found.not_followed.iter().any(|words| words.contains("at most 1000 files")), "{found:#?}");
    }

    #[test]
    fn a_device_is_not_read() {
        let home = home(&[("config", "Include /dev/zero\nHost a\n  Port 3\n")]);
        let found = ClientConfig::read(home.path()).of("a", "me");
        assert_eq!(found.port, Some(3));
        assert!(found.not_followed.iter().any(|words| words.contains("/dev/zero is not read: not a regular file")));
    }
}
