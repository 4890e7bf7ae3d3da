//! From the parser's events to a tree, within a budget.
//!
//! The parser's own loader recurses, so its events are taken one by one; nothing here recurses.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use super::budget::{Budget, Limit, Size, Spent};
use super::{FileText, Key, Origin};

/// What a document is read into.
pub(crate) trait Node: Clone {
    /// A scalar; `Err`: its tag is not supported.
    fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, origin: Origin) -> Result<Self, What>;
    /// A list.
    fn list(items: Vec<Self>, origin: Origin) -> Self;
    /// A map, each of its keys once.
    fn map(entries: Vec<(Key, Self)>, origin: Origin) -> Self;
    /// Its text as a key of a map; `None`: it is a collection.
    fn key(&self) -> Option<String>;
    /// Whether it is `<<` without quotes.
    fn is_merge_key(&self) -> bool;
    /// What a merge key takes from it.
    fn parts(self) -> Parts<Self>;
}

/// A value taken apart.
pub(crate) enum Parts<N> {
    Scalar,
    List(Vec<N>),
    Map(Vec<(Key, N)>),
}

/// What is wrong with a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// The parser's words. They may quote the text.
    Syntax(String),
    /// A bound.
    Over(Limit),
    /// A list or a map as a key.
    CollectionAsKey,
    /// An alias inside what it stands for.
    CircularAlias,
    /// A second document.
    SecondDocument,
    /// A tag that would change what a value is.
    Tag,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(words) => write!(f, "invalid YAML: {words}"),
            Self::Over(limit) => limit.fmt(f),
            Self::CollectionAsKey => f.write_str("invalid YAML: a key must not be a list or a map"),
            Self::CircularAlias => f.write_str("invalid YAML: an alias inside the value that it stands for"),
            Self::SecondDocument => f.write_str("a second YAML document, expected one"),
            Self::Tag => f.write_str("unsupported YAML tag"),
        }
    }
}

impl What {
    /// The same without the parser's words, which may quote a text that nobody may see.
    pub fn without_text(&self) -> String {
        match self {
            Self::Syntax(_) => "invalid YAML".to_owned(),
            other => other.to_string(),
        }
    }
}

/// What is wrong, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Malformed {
    pub what: What,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

/// A document that was read.
pub(crate) struct Read<N> {
    /// `None`: it is empty.
    pub root: Option<N>,
    /// Keys that their map has already, the first [`REPEATED`] of them.
    pub repeated: Vec<Key>,
    /// What it took.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests hold it against the budget"))]
    pub spent: Spent,
}

/// More repeated keys than this are not reported one by one.
pub(crate) const REPEATED: usize = 100;

/// How many tabs after colons are read. Each costs a reading of the whole text.
const TABS: usize = 100;

/// Reads a document. A tab between a key's colon and its value is read as PyYAML reads it, which our parser does not.
pub(crate) fn build<N: Node>(file: &Arc<FileText>, text: &str, budget: &Budget) -> Result<Read<N>, Malformed> {
    let mut text = std::borrow::Cow::Borrowed(text);
    for _ in 0..TABS {
        match build_strictly(file, &text, budget) {
            Err(malformed) => match without_tab(&text, &malformed) {
                Some(changed) => text = changed.into(),
                None => return Err(malformed),
            },
            read => return read,
        }
    }
    build_strictly(file, &text, budget)
}

/// The text with blanks in place of the tabs that stand after a colon, where it is malformed there.
fn without_tab(text: &str, malformed: &Malformed) -> Option<String> {
    if !matches!(malformed.what, What::Syntax(_)) {
        return None;
    }
    let start = text.split_inclusive('\n').take(malformed.line.checked_sub(1)?).map(str::len).sum::<usize>();
    let line = text[start..].lines().next()?;
    // The place is that of a tab or of what follows the last one.
    let place = line.char_indices().nth(malformed.column).map_or(line.len(), |(at, _)| at);
    let tabs = line[..place].rfind(":\t")? + 1;
    let end = tabs + line[tabs..].find(|character| character != '\t').unwrap_or(line.len() - tabs);
    if line[..end].chars().count() + 1 < malformed.column {
        return None;
    }
    Some([&text[..start + tabs], &" ".repeat(end - tabs), &text[start + end..]].concat())
}

fn build_strictly<N: Node>(file: &Arc<FileText>, text: &str, budget: &Budget) -> Result<Read<N>, Malformed> {
    budget.check_text(text).map_err(|(limit, line)| Malformed { what: What::Over(limit), line, column: 1 })?;
    let mut builder = Builder {
        file,
        budget,
        open: Vec::new(),
        root: None,
        anchors: BTreeMap::new(),
        repeated: Vec::new(),
        spent: Spent::default(),
    };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| syntax(&error, text, budget))?;
        builder.take(event, span).map_err(|what| Malformed {
            what,
            line: span.start.line(),
            column: span.start.col() + 1,
        })?;
    }
    Ok(Read { root: builder.root.map(|(node, _)| node), repeated: builder.repeated, spent: builder.spent })
}

fn syntax(error: &ScanError, text: &str, budget: &Budget) -> Malformed {
    let marker = error.marker();
    // The scanner reads ahead, and has a bound of its own for brackets within brackets.
    let before = text.chars().take(marker.index());
    let open = before.fold(0_usize, |open, character| match character {
        '[' | '{' => open + 1,
        ']' | '}' => open.saturating_sub(1),
        _ => open,
    });
    let what = if open > budget.depth {
        What::Over(Limit::Depth(budget.depth))
    } else {
        What::Syntax(error.info().to_owned())
    };
    Malformed { what, line: marker.line(), column: marker.col() + 1 }
}

struct Builder<'a, N> {
    file: &'a Arc<FileText>,
    budget: &'a Budget,
    open: Vec<Open<N>>,
    root: Option<(N, Size)>,
    anchors: BTreeMap<usize, (N, Size)>,
    repeated: Vec<Key>,
    spent: Spent,
}

/// A collection that is not closed yet.
struct Open<N> {
    kind: Kind<N>,
    anchor: usize,
    origin: Origin,
    size: Size,
}

enum Kind<N> {
    List(Vec<N>),
    Map(OpenMap<N>),
}

struct OpenMap<N> {
    entries: Vec<(Key, N)>,
    /// Where each key stands in `entries`, and whether a merge key brought it.
    index: BTreeMap<String, (usize, bool)>,
    /// A key that waits for its value.
    key: Option<(N, Origin)>,
}

impl<N> Default for OpenMap<N> {
    fn default() -> Self {
        Self { entries: Vec::new(), index: BTreeMap::new(), key: None }
    }
}

impl<N: Node> OpenMap<N> {
    /// Sets a key; the key if the map has it already.
    fn set(&mut self, key: Key, value: N) -> Option<Key> {
        match self.index.get_mut(&key.text) {
            None => {
                self.index.insert(key.text.clone(), (self.entries.len(), false));
                self.entries.push((key, value));
                None
            }
            Some((at, merged)) => {
                // A map may say otherwise than what it merges.
                let repeated = (!std::mem::take(merged)).then(|| key.clone());
                self.entries[*at] = (key, value);
                repeated
            }
        }
    }

    /// What a merge key brings: only what is not there already.
    fn merge(&mut self, from: N) {
        let mut waiting = vec![from];
        while let Some(node) = waiting.pop() {
            match node.parts() {
                Parts::Scalar => {}
                Parts::List(nodes) => waiting.extend(nodes.into_iter().rev()),
                Parts::Map(entries) => {
                    for (key, value) in entries {
                        if !self.index.contains_key(&key.text) {
                            self.index.insert(key.text.clone(), (self.entries.len(), true));
                            self.entries.push((key, value));
                        }
                    }
                }
            }
        }
    }
}

impl<N: Node> Builder<'_, N> {
    fn origin(&self, span: Span) -> Origin {
        let (start, end) = (span.start, span.end);
        let length = if end.line() == start.line() { end.col().saturating_sub(start.col()) } else { usize::MAX };
        Origin { file: Arc::clone(self.file), line: start.line(), column: start.col() + 1, length: length.max(1) }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), What> {
        let origin = self.origin(span);
        match event {
            Event::DocumentStart(_) if self.root.is_some() => Err(What::SecondDocument),
            Event::Scalar(text, style, anchor, tag) => {
                self.spent.node(self.budget).map_err(What::Over)?;
                let size = Size { nodes: 1, bytes: text.len(), depth: 0 };
                let node = N::scalar(&text, style, tag.as_deref(), origin.clone())?;
                self.add(node, size, anchor, origin)
            }
            Event::Alias(anchor) => {
                let (_, size) = self.anchors.get(&anchor).ok_or(What::CircularAlias)?;
                let size = *size;
                self.spent.copy(size, self.budget).map_err(What::Over)?;
                // A collection lies where its alias stands, so it counts from there.
                if size.depth > 0 {
                    self.spent.nested(self.open.len() + size.depth - 1, self.budget).map_err(What::Over)?;
                }
                let node = self.anchors.get(&anchor).map(|(node, _)| node.clone()).ok_or(What::CircularAlias)?;
                self.add(node, size, 0, origin)
            }
            Event::SequenceStart(anchor, _) => self.begin(Kind::List(Vec::new()), anchor, origin),
            Event::MappingStart(anchor, _) => self.begin(Kind::Map(OpenMap::default()), anchor, origin),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { kind, anchor, origin, mut size }) => {
                    size.depth += 1;
                    let node = match kind {
                        Kind::List(items) => N::list(items, origin.clone()),
                        Kind::Map(map) => N::map(map.entries, origin.clone()),
                    };
                    self.add(node, size, anchor, origin)
                }
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn begin(&mut self, kind: Kind<N>, anchor: usize, origin: Origin) -> Result<(), What> {
        self.spent.node(self.budget).map_err(What::Over)?;
        self.spent.nested(self.open.len(), self.budget).map_err(What::Over)?;
        self.open.push(Open { kind, anchor, origin, size: Size { nodes: 1, ..Size::default() } });
        Ok(())
    }

    fn add(&mut self, node: N, size: Size, anchor: usize, origin: Origin) -> Result<(), What> {
        if anchor > 0 {
            self.spent.copy(size, self.budget).map_err(What::Over)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(open) = self.open.last_mut() else {
            self.root.get_or_insert((node, size));
            return Ok(());
        };
        open.size.nodes += size.nodes;
        open.size.bytes += size.bytes;
        open.size.depth = open.size.depth.max(size.depth);
        match &mut open.kind {
            Kind::List(items) => items.push(node),
            Kind::Map(map) => match map.key.take() {
                None => map.key = Some((node, origin)),
                Some((key, _)) if key.is_merge_key() => map.merge(node),
                Some((key, origin)) => {
                    let key = Key { text: key.key().ok_or(What::CollectionAsKey)?, origin };
                    let repeated = map.set(key, node);
                    self.repeated.extend(repeated.filter(|_| self.repeated.len() < REPEATED));
                }
            },
        }
        Ok(())
    }
}
