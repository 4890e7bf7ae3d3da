//! YAML with the place of everything in it, its plain scalars read as Ansible's parser reads them (YAML 1.1).

use std::collections::BTreeMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, SpannedEventReceiver, Tag};

use super::problem::{Problem, Severity, Spot};

/// A file's text by lines.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileText {
    name: String,
    /// None for one that was sealed: no report shows them.
    lines: Vec<String>,
    sealed: bool,
}

impl FileText {
    /// A file of this name, as the operator knows it, and its text.
    pub fn new(name: &str, text: &str) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned(), lines: text.lines().map(str::to_owned).collect(), sealed: false })
    }

    /// A file of this name that was sealed as a whole: its places are known, its text is nobody's business.
    pub fn sealed(name: &str) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned(), lines: Vec::new(), sealed: true })
    }
}

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    file: Arc<FileText>,
    line: usize,
    column: usize,
    length: usize,
}

impl Origin {
    /// The beginning of a file.
    pub fn file(file: &Arc<FileText>) -> Self {
        Self { file: Arc::clone(file), line: 1, column: 1, length: 1 }
    }

    /// Whether it stands in a file that was sealed as a whole.
    pub fn is_sealed(&self) -> bool {
        self.file.sealed
    }

    /// Where that is, with the line's text.
    pub fn spot(&self) -> Spot {
        let text = self.file.lines.get(self.line.saturating_sub(1)).cloned().unwrap_or_default();
        let room = text.chars().count().saturating_sub(self.column - 1);
        Spot {
            file: self.file.name.clone(),
            line: self.line,
            column: self.column,
            length: self.length.min(room).max(1),
            text,
        }
    }

    /// An error here.
    pub fn error(&self, message: impl Into<String>, help: Option<String>) -> Problem {
        Problem { severity: Severity::Error, message: message.into(), spot: Some(self.spot()), help }
    }

    /// A warning here.
    pub fn warning(&self, message: impl Into<String>, help: Option<String>) -> Problem {
        Problem { severity: Severity::Warning, ..self.error(message, help) }
    }
}

/// A value as it is written, and where.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Raw {
    pub value: RawValue,
    pub origin: Origin,
}

/// A value as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RawValue {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// `!unsafe`: never a template.
    Unsafe(String),
    /// `!vault`.
    Vault(String),
    List(Vec<Raw>),
    Map(Vec<(Key, Raw)>),
}

/// A key of a map, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    pub text: String,
    pub origin: Origin,
}

impl Raw {
    /// Its entries, if it is a map; an empty value is an empty map, as Ansible has it.
    pub fn entries(&self) -> Option<&[(Key, Raw)]> {
        match &self.value {
            RawValue::Map(entries) => Some(entries),
            RawValue::Null => Some(&[]),
            _ => None,
        }
    }
}

/// Reads a file's text. `None`: it is empty.
pub(crate) fn parse(file: &Arc<FileText>, text: &str, problems: &mut Vec<Problem>) -> Option<Raw> {
    let mut tree = Tree { file, stack: Vec::new(), root: None, anchors: BTreeMap::new(), problems };
    let mut parser = Parser::new_from_str(text);
    if let Err(error) = parser.load(&mut tree, false) {
        let marker = error.marker();
        let origin = Origin { file: Arc::clone(file), line: marker.line(), column: marker.col() + 1, length: 1 };
        problems.push(origin.error(format!("this is no YAML: {}", error.info()), None));
        return None;
    }
    tree.root
}

/// Builds values from the parser's events.
struct Tree<'a> {
    file: &'a Arc<FileText>,
    stack: Vec<Open>,
    root: Option<Raw>,
    anchors: BTreeMap<usize, Raw>,
    problems: &'a mut Vec<Problem>,
}

/// A collection that is not closed yet.
enum Open {
    List { items: Vec<Raw>, anchor: usize, origin: Origin },
    Map { entries: Vec<(Key, Raw)>, key: Option<Raw>, anchor: usize, origin: Origin },
}

impl Tree<'_> {
    fn origin(&self, span: Span) -> Origin {
        let (start, end) = (span.start, span.end);
        let length = if end.line() == start.line() { end.col().saturating_sub(start.col()) } else { usize::MAX };
        Origin { file: Arc::clone(self.file), line: start.line(), column: start.col() + 1, length: length.max(1) }
    }

    fn add(&mut self, raw: Raw, anchor: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, raw.clone());
        }
        match self.stack.last_mut() {
            None => {
                self.root.get_or_insert(raw);
            }
            Some(Open::List { items, .. }) => items.push(raw),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                None => *key = Some(raw),
                Some(written) => {
                    let text = key_text(&written);
                    let merges = text == "<<" && written.value == RawValue::Text("<<".to_owned());
                    if merges {
                        merge(entries, &raw);
                        return;
                    }
                    if let Some((first, value)) = entries.iter_mut().find(|(other, _)| other.text == text) {
                        let message = format!("`{text}` stands here twice; the later one counts");
                        self.problems.push(written.origin.warning(message, None));
                        (first.origin, *value) = (written.origin, raw);
                    } else {
                        entries.push((Key { text, origin: written.origin }, raw));
                    }
                }
            },
        }
    }
}

/// What a merge key brings: only what is not there already.
fn merge(entries: &mut Vec<(Key, Raw)>, from: &Raw) {
    match &from.value {
        RawValue::Map(others) => {
            for (key, value) in others {
                if !entries.iter().any(|(present, _)| present.text == key.text) {
                    entries.push((key.clone(), value.clone()));
                }
            }
        }
        RawValue::List(maps) => maps.iter().for_each(|map| merge(entries, map)),
        _ => {}
    }
}

fn key_text(raw: &Raw) -> String {
    match &raw.value {
        RawValue::Null => "null".to_owned(),
        RawValue::Bool(value) => if *value { "True" } else { "False" }.to_owned(),
        RawValue::Int(value) => value.to_string(),
        RawValue::Float(value) => value.to_string(),
        RawValue::Text(text) | RawValue::Unsafe(text) | RawValue::Vault(text) => text.clone(),
        RawValue::List(_) | RawValue::Map(_) => String::new(),
    }
}

impl<'input> SpannedEventReceiver<'input> for Tree<'_> {
    fn on_event(&mut self, event: Event<'input>, span: Span) {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref());
                let origin = self.origin(span);
                self.add(Raw { value, origin }, anchor);
            }
            Event::Alias(anchor) => {
                if let Some(raw) = self.anchors.get(&anchor).cloned() {
                    self.add(raw, 0);
                }
            }
            Event::SequenceStart(anchor, _) => {
                let origin = self.origin(span);
                self.stack.push(Open::List { items: Vec::new(), anchor, origin });
            }
            Event::MappingStart(anchor, _) => {
                let origin = self.origin(span);
                self.stack.push(Open::Map { entries: Vec::new(), key: None, anchor, origin });
            }
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(Open::List { items, anchor, origin }) => {
                    self.add(Raw { value: RawValue::List(items), origin }, anchor);
                }
                Some(Open::Map { entries, anchor, origin, .. }) => {
                    self.add(Raw { value: RawValue::Map(entries), origin }, anchor);
                }
                None => {}
            },
            _ => {}
        }
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> RawValue {
    if let Some(tag) = tag {
        match (tag.handle.as_str(), tag.suffix.as_str()) {
            ("!", "vault" | "vault-encrypted") => return RawValue::Vault(text.to_owned()),
            ("!", "unsafe") => return RawValue::Unsafe(text.to_owned()),
            ("tag:yaml.org,2002:", "str") => return RawValue::Text(text.to_owned()),
            _ => {}
        }
    }
    if style == ScalarStyle::Plain { plain(text) } else { RawValue::Text(text.to_owned()) }
}

/// A plain scalar as YAML 1.1 has it.
fn plain(text: &str) -> RawValue {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return RawValue::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return RawValue::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return RawValue::Bool(false),
        _ => {}
    }
    if let Some(number) = integer(text) {
        return RawValue::Int(number);
    }
    match float(text) {
        Some(number) => RawValue::Float(number),
        None => RawValue::Text(text.to_owned()),
    }
}

fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let first = digits.chars().next()?;
    if !first.is_ascii_digit() {
        return None;
    }
    let bare = digits.replace('_', "");
    let number = if let Some(binary) = bare.strip_prefix("0b") {
        i64::from_str_radix(binary, 2).ok()?
    } else if let Some(hexadecimal) = bare.strip_prefix("0x") {
        i64::from_str_radix(hexadecimal, 16).ok()?
    } else if bare.len() > 1 && first == '0' && !bare.contains(':') {
        i64::from_str_radix(&bare, 8).ok()?
    } else if bare.contains(':') && first != '0' {
        sexagesimal(&bare)?
    } else if bare.contains(':') {
        return None;
    } else {
        bare.parse().ok()?
    };
    Some(sign * number)
}

/// `1:30` is ninety in YAML 1.1.
fn sexagesimal(text: &str) -> Option<i64> {
    let mut number: i64 = 0;
    for (index, part) in text.split(':').enumerate() {
        let digit: i64 = part.parse().ok()?;
        if index > 0 && (part.len() > 2 || digit > 59) {
            return None;
        }
        number = number.checked_mul(60)?.checked_add(digit)?;
    }
    Some(number)
}

fn float(text: &str) -> Option<f64> {
    let unsigned = text.trim_start_matches(['-', '+']);
    match unsigned.to_ascii_lowercase().as_str() {
        ".inf" => return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }),
        ".nan" => return Some(f64::NAN),
        _ => {}
    }
    let begins = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let plain = mantissa.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'_');
    // YAML 1.1 wants a point, and a sign in the exponent.
    let dots = mantissa.bytes().filter(|byte| *byte == b'.').count();
    let signed = exponent.is_none_or(|exponent| exponent.starts_with(['+', '-']));
    if !begins || !plain || dots != 1 || !signed {
        return None;
    }
    text.replace('_', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_those_of_yaml_1_1() {
        for (text, value) in [
            ("yes", RawValue::Bool(true)),
            ("Off", RawValue::Bool(false)),
            ("y", RawValue::Text("y".to_owned())),
            ("~", RawValue::Null),
            ("0644", RawValue::Int(420)),
            ("0x1F", RawValue::Int(31)),
            ("-12_000", RawValue::Int(-12_000)),
            ("1:30", RawValue::Int(90)),
            ("1.5", RawValue::Float(1.5)),
            ("1e3", RawValue::Text("1e3".to_owned())),
            ("1.0e+3", RawValue::Float(1000.0)),
            ("v1.33.6+k3s1", RawValue::Text("v1.33.6+k3s1".to_owned())),
            ("10.0.0.1", RawValue::Text("10.0.0.1".to_owned())),
            ("08", RawValue::Text("08".to_owned())),
        ] {
            assert_eq!(plain(text), value, "{text}");
        }
    }

    #[test]
    fn everything_has_its_place() {
        let text = "a:\n  b: [1, two]\n  c: &x\n    d: yes\ne:\n  <<: *x\n  f: !vault |\n    $ANSIBLE\n";
        let file = FileText::new("hosts.yml", text);
        let mut problems = Vec::new();
        let root = parse(&file, text, &mut problems).unwrap();
        let entries = root.entries().unwrap();
        assert_eq!(problems, []);
        let b = &entries[0].1.entries().unwrap()[0].1;
        let RawValue::List(items) = &b.value else { panic!("{b:?}") };
        let spot = items[1].origin.spot();
        assert_eq!((spot.line, spot.column, spot.length, spot.text.as_str()), (2, 10, 3, "  b: [1, two]"));
        let e = entries[1].1.entries().unwrap();
        assert_eq!((e[0].0.text.as_str(), &e[0].1.value), ("d", &RawValue::Bool(true)));
        assert_eq!(e[1].1.value, RawValue::Vault("$ANSIBLE\n".to_owned()));
    }
}
