//! The text of an OpenSSH `known_hosts` file, edited line by line.
//!
//! The file belongs to the operator and to every other tool that uses SSH, so an edit touches the entries of
//! the one name it is about and leaves every other byte as it was. An entry is *ours* to read and to remove if
//! it states a name literally, plain or hashed. Never ours, and never changed:
//!
//! - lines marked `@cert-authority` or `@revoked`, comments, blank lines, and lines OpenSSH could not use;
//! - wildcard patterns; a literal name beside one is ours, the pattern stays;
//! - lines with a negated pattern: what they mean depends on all their patterns together.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::Digest;

use crate::ids::Sha256;

mod key;
#[cfg(test)]
mod tests;

pub use key::HostKey;

/// How OpenSSH names what listens at `port` of `host`: `node01.lan`, or `[node01.lan]:2222` off the usual port.
/// Brackets that already stand around an address are not doubled; letters become lower-case, as OpenSSH has them.
pub fn host_pattern(host: &str, port: u16) -> String {
    let host = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host).to_ascii_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

/// A `known_hosts` file as text that can be asked and edited by name.
#[derive(Clone, Debug, Default)]
pub struct KnownHosts {
    /// The lines in file order; removed ones leave a gap, so that the indexes stay true.
    lines: Vec<Option<Line>>,
    /// Where each plain name stands.
    plain: BTreeMap<String, Vec<usize>>,
    /// Which lines have a hashed name.
    hashed: Vec<usize>,
    /// How lines end here, as the last ended line has it.
    ending: Ending,
    /// The version, once asked for, until the next edit.
    version: OnceLock<String>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Ending {
    #[default]
    Lf,
    CrLf,
}

impl Ending {
    fn as_str(self) -> &'static str {
        match self {
            Self::Lf => "\n",
            Self::CrLf => "\r\n",
        }
    }
}

#[derive(Clone, Debug)]
struct Line {
    /// As it was read, its ending included.
    text: String,
    /// What it says, if it is one that we may read and remove.
    entry: Option<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    names: Names,
    key: HostKey,
}

#[derive(Clone, Debug)]
enum Names {
    /// Where the comma list stands in the line.
    Plain(Range<usize>),
    /// The MAC keyed with the line's salt, ready to take a name, and what it has to give.
    Hashed { salted: Hmac<Sha1>, wanted: Vec<u8> },
}

impl KnownHosts {
    /// Reads a file's text. Nothing is refused: what is not understood is kept as it is.
    pub fn parse(text: &str) -> Self {
        let mut known = Self::default();
        for line in text.split_inclusive('\n') {
            if line.ends_with('\n') {
                known.ending = if line.ends_with("\r\n") { Ending::CrLf } else { Ending::Lf };
            }
            known.push(line.to_owned());
        }
        known
    }

    /// The file's text: what was read, but for the edits.
    pub fn render(&self) -> String {
        self.texts().collect()
    }

    /// The keys recorded for exactly this name, in file order, each once. Keys that only a wildcard, a
    /// negated list or a marked line would bring are not among them.
    pub fn keys_for(&self, name: &str) -> Vec<HostKey> {
        let mut keys: Vec<HostKey> = Vec::new();
        for at in self.lines_of(&name.to_ascii_lowercase()) {
            if let Some(key) = self.entry(at).map(|entry| &entry.key)
                && !keys.contains(key)
            {
                keys.push(key.clone());
            }
        }
        keys
    }

    /// The keys that `@revoked` lines take away from everyone; whom else a line names is not looked at.
    pub fn revoked_keys(&self) -> Vec<HostKey> {
        let lines = self.lines.iter().flatten().map(|line| line.text.trim_start());
        let revoked = lines.filter_map(|line| line.strip_prefix("@revoked")?.trim_start().split_once([' ', '\t']));
        revoked.filter_map(|(_, key)| HostKey::parse(key)).collect()
    }

    /// The lines whose names are patterns, with wildcards or negated, each with its key: no name of a host is looked for
    /// in them.
    pub fn pattern_lines(&self) -> Vec<(&str, HostKey)> {
        let lines = self.lines.iter().flatten().map(|line| line.text.trim());
        let lines = lines.filter_map(|line| line.split_once([' ', '\t']));
        let patterns =
            lines.filter(|(names, _)| !names.starts_with(['#', '@', '|']) && names.contains(['*', '?', '!']));
        patterns.filter_map(|(names, key)| Some((names, HostKey::parse(key.trim_start())?))).collect()
    }

    /// Drops the entries for exactly this name; a line that lists others too keeps those. Says whether there were any.
    pub fn remove(&mut self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        self.remove_at(&name, self.lines_of(&name))
    }

    /// Drops this one key of a name, as [`remove`](Self::remove) drops them all.
    pub fn remove_key(&mut self, name: &str, key: &HostKey) -> bool {
        let name = name.to_ascii_lowercase();
        let mut at = self.lines_of(&name);
        at.retain(|at| self.entry(*at).is_some_and(|entry| entry.key == *key));
        self.remove_at(&name, at)
    }

    /// Records a key for a name in a line of its own at the end, unless it is recorded for that name already.
    /// Says whether it was added. A name is one that [`host_pattern`] gives; anything that could not stand as
    /// one plain name in a line is not added.
    pub fn add(&mut self, name: &str, key: &HostKey) -> bool {
        let name = name.to_ascii_lowercase();
        let there = |at: usize| self.entry(at).is_some_and(|entry| entry.key == *key);
        if !is_plain_name(&name) || self.lines_of(&name).into_iter().any(there) {
            return false;
        }
        let ending = self.ending.as_str();
        if let Some(last) = self.lines.iter_mut().rev().flatten().next()
            && !last.text.ends_with('\n')
        {
            // Half an ending is completed, not doubled.
            last.text.push_str(if last.text.ends_with('\r') { "\n" } else { ending });
        }
        self.push(format!("{name} {key}{ending}"));
        self.version = OnceLock::new();
        true
    }

    /// Names the present text: the SHA-256 of [`render`](Self::render), in hexadecimal. For compare-and-swap,
    /// ask right after reading and again before writing. Computed once between edits.
    pub fn version(&self) -> &str {
        self.version.get_or_init(|| {
            let mut hash = sha2::Sha256::new();
            self.texts().for_each(|text| hash.update(text));
            Sha256::from(hash).to_string()
        })
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().flatten().map(|line| line.text.as_str())
    }

    fn entry(&self, at: usize) -> Option<&Entry> {
        self.lines.get(at)?.as_ref()?.entry.as_ref()
    }

    /// The lines with an entry for a lower-case name, in file order.
    fn lines_of(&self, name: &str) -> Vec<usize> {
        let mut at = self.plain.get(name).cloned().unwrap_or_default();
        at.extend(self.hashed.iter().filter(|at| self.entry(**at).is_some_and(|entry| entry.names.is_hash_of(name))));
        at.sort_unstable();
        at
    }

    /// Appends a line and keeps the indexes true.
    fn push(&mut self, text: String) {
        let at = self.lines.len();
        let entry = Entry::parse(&text);
        match entry.as_ref().map(|entry| &entry.names) {
            Some(Names::Plain(range)) => {
                for name in text[range.clone()].split(',').filter(|name| is_plain_name(name)) {
                    let lines = self.plain.entry(name.to_ascii_lowercase()).or_default();
                    // A line that states a name twice is still one line.
                    if lines.last() != Some(&at) {
                        lines.push(at);
                    }
                }
            }
            Some(Names::Hashed { .. }) => self.hashed.push(at),
            None => {}
        }
        self.lines.push(Some(Line { text, entry }));
    }

    /// Takes a lower-case name out of these of its lines.
    fn remove_at(&mut self, name: &str, at: Vec<usize>) -> bool {
        let any = !at.is_empty();
        for at in at {
            let Some(slot) = self.lines.get_mut(at) else { continue };
            let kept = slot.as_ref().and_then(|line| line.without(name));
            if slot.as_ref().and_then(|line| line.entry.as_ref()).is_some_and(|entry| entry.names.is_hashed()) {
                self.hashed.retain(|hashed| *hashed != at);
            } else if let Some(lines) = self.plain.get_mut(name) {
                lines.retain(|plain| *plain != at);
                if lines.is_empty() {
                    self.plain.remove(name);
                }
            }
            *slot = kept;
        }
        if any {
            self.version = OnceLock::new();
        }
        any
    }
}

impl Line {
    /// The line with a lower-case name taken out of its comma list; `None` if it stated no other.
    fn without(&self, name: &str) -> Option<Self> {
        let Some(Entry { names: Names::Plain(range), key }) = &self.entry else { return None };
        let stays = |listed: &&str| !listed.is_empty() && !listed.eq_ignore_ascii_case(name);
        let list: Vec<&str> = self.text[range.clone()].split(',').filter(stays).collect();
        if list.is_empty() {
            return None;
        }
        let mut text = self.text.clone();
        let list = list.join(",");
        text.replace_range(range.clone(), &list);
        let names = Names::Plain(range.start..range.start + list.len());
        Some(Self { text, entry: Some(Entry { names, key: key.clone() }) })
    }
}

impl Entry {
    /// What a line says, if it is one of the kind that is ours.
    fn parse(line: &str) -> Option<Self> {
        let start = line.len() - line.trim_start_matches(BLANK).len();
        let content = &line[start..];
        if content.starts_with(['#', '@', '\r', '\n']) {
            return None;
        }
        let end = start + content.find(BLANK)?;
        let list = &line[start..end];
        // Asked before the key is decoded: cheap, and all the same in the end.
        let names = if list.starts_with('|') { Names::parse_hash(list)? } else { Names::parse_list(list, start..end)? };
        Some(Self { names, key: HostKey::parse(&line[end..])? })
    }
}

impl Names {
    fn parse_list(list: &str, range: Range<usize>) -> Option<Self> {
        let ours = list.split(',').any(is_plain_name) && !list.split(',').any(|name| name.starts_with('!'));
        ours.then_some(Self::Plain(range))
    }

    /// Reads `|1|salt|hash`, both of SHA-1's length and in Base64.
    fn parse_hash(text: &str) -> Option<Self> {
        let (salt, hash) = text.strip_prefix("|1|")?.split_once('|')?;
        let (salt, wanted) = (STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?);
        let length = Sha1::output_size();
        if salt.len() != length || wanted.len() != length {
            return None;
        }
        Some(Self::Hashed { salted: Hmac::new_from_slice(&salt).ok()?, wanted })
    }

    fn is_hashed(&self) -> bool {
        matches!(self, Self::Hashed { .. })
    }

    fn is_hash_of(&self, name: &str) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Hashed { salted, wanted } => {
                let given = salted.clone().chain_update(name).finalize().into_bytes();
                given[..] == wanted[..]
            }
        }
    }
}

/// What separates the fields of a line.
const BLANK: [char; 2] = [' ', '\t'];

/// Whether `name` can stand in a comma list and mean itself.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['|', '#', '@', '!'])
        && !name.chars().any(|c| matches!(c, '*' | '?' | ',') || c.is_whitespace() || c.is_control())
}
