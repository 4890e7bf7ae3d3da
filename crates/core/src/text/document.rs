//! A YAML document as it is written, for files of others: read with the one parser and its budgets, changed in a part,
//! and written again with every scalar as it was.
//!
//! What a plain scalar means is left to whoever reads the file: kubectl and Ansible differ about `1:30` and `0644`.

use std::fmt::{self, Write};

use saphyr_parser::{ScalarStyle, Tag};

use crate::text::yaml::{self, Budget, FileText, Key, Node, Origin, Parts, What};

/// A value of a document.
#[derive(Clone, PartialEq, Eq)]
pub enum Document {
    /// A scalar without quotes: a text, a number, `true`, `null`.
    Plain(String),
    /// A text in quotes or in a block, which is nothing but a text.
    Quoted(String),
    /// A list.
    List(Vec<Document>),
    /// A map, in its order; each key once.
    Map(Vec<(String, Document)>),
}

/// It may hold secrets.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(crate::text::secret::HIDDEN)
    }
}

/// What is wrong with a text, and where; nothing of the text itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Malformed {
    why: String,
    line: usize,
    column: usize,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.why)
    }
}

impl std::error::Error for Malformed {}

impl Document {
    /// Reads a file that a target has. `None`: nothing is in it.
    ///
    /// # Errors
    /// When it is not YAML, says something twice, or takes more than such a file may.
    pub fn of_target(text: &str) -> Result<Option<Self>, Malformed> {
        Self::read(text, &Budget::FILE)
    }

    /// Reads a file of the user's, which may be larger. `None`: nothing is in it.
    ///
    /// # Errors
    /// As with [`Self::of_target`].
    pub fn of_user(text: &str) -> Result<Option<Self>, Malformed> {
        Self::read(text, &Budget::SITE)
    }

    fn read(text: &str, budget: &Budget) -> Result<Option<Self>, Malformed> {
        let read = yaml::build::<Self>(&FileText::sealed(""), text, budget).map_err(|malformed| Malformed {
            why: malformed.what.without_text(),
            line: malformed.line,
            column: malformed.column,
        })?;
        if let Some(key) = read.repeated.first() {
            let (line, column) = key.origin.line_and_column();
            return Err(Malformed { why: "duplicate key".to_owned(), line, column });
        }
        Ok(read.root)
    }

    /// A text, which is written with quotes.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Quoted(text.into())
    }

    /// Whether it says that there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Plain(text) if matches!(text.as_str(), "~" | "null" | "Null" | "NULL"))
    }

    /// Its text, if it is a scalar with a value.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Plain(text) | Self::Quoted(text) if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// Its value of a key, if it is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Sets the value of a key. What is no map becomes one.
    pub fn set(&mut self, key: &str, value: Self) {
        self.change(key, |_| value);
    }

    /// Makes another value of the one that a key has, `null` if it has none. What is no map becomes one.
    pub fn change(&mut self, key: &str, change: impl FnOnce(Self) -> Self) {
        if !matches!(self, Self::Map(_)) {
            *self = Self::Map(Vec::new());
        }
        let Self::Map(entries) = self else { return };
        let place = entries.iter().position(|(name, _)| name == key).unwrap_or(entries.len());
        if place == entries.len() {
            entries.push((key.to_owned(), Self::null()));
        }
        let before = std::mem::replace(&mut entries[place].1, Self::null());
        entries[place].1 = change(before);
    }

    fn null() -> Self {
        Self::Plain("null".to_owned())
    }

    /// It as text. `None`: it could not be read again as it is, a key too long for YAML for one.
    pub fn render(&self) -> Option<String> {
        let mut text = String::new();
        self.write(0, &mut text);
        // What was written is held against what was meant: another program will read it.
        (Self::of_user(&text).ok()?.as_ref() == Some(self)).then_some(text)
    }

    /// Writes it in lines that begin at this column. It recurses no deeper than budgets let documents be.
    fn write(&self, indent: usize, text: &mut String) {
        match self {
            Self::Map(entries) if !entries.is_empty() => {
                for (key, value) in entries {
                    let _ = write!(text, "{:indent$}{}:", "", key_in_text(key));
                    match value {
                        Self::Map(inner) if !inner.is_empty() => {
                            text.push('\n');
                            value.write(indent + 2, text);
                        }
                        // As kubectl writes them: items stand below their key.
                        Self::List(items) if !items.is_empty() => {
                            text.push('\n');
                            value.write(indent, text);
                        }
                        _ => {
                            text.push(' ');
                            value.write(0, text);
                        }
                    }
                }
            }
            Self::List(items) if !items.is_empty() => {
                for item in items {
                    let mut inner = String::new();
                    let is_scalar = matches!(item, Self::Plain(_) | Self::Quoted(_));
                    item.write(if is_scalar { 0 } else { indent + 2 }, &mut inner);
                    let _ = write!(text, "{:indent$}- {}", "", inner.trim_start_matches(' '));
                }
            }
            Self::Map(_) => text.push_str("{}\n"),
            Self::List(_) => text.push_str("[]\n"),
            Self::Plain(plain) => {
                text.push_str(plain);
                text.push('\n');
            }
            Self::Quoted(quoted) => {
                quote(quoted, text);
                text.push('\n');
            }
        }
    }
}

fn key_in_text(key: &str) -> String {
    let begins = key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let plain = key.chars().all(|character| character.is_ascii_alphanumeric() || "_-./".contains(character));
    let word = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    if begins && plain && !word.contains(&key.to_ascii_lowercase().as_str()) {
        return key.to_owned();
    }
    let mut text = String::new();
    quote(key, &mut text);
    text
}

/// A text between double quotes, in ASCII where YAML has no other way to write a character.
fn quote(from: &str, text: &mut String) {
    text.push('"');
    for character in from.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\u{2028}' | '\u{2029}' | '\u{feff}' => drop(write!(text, "\\u{:04x}", u32::from(character))),
            control if control.is_control() => drop(write!(text, "\\x{:02x}", u32::from(control))),
            other => text.push(other),
        }
    }
    text.push('"');
}

impl Node for Document {
    fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, _: Origin) -> Result<Self, What> {
        match tag {
            None => {}
            Some(tag) if tag.handle == "tag:yaml.org,2002:" && tag.suffix == "str" => {
                return Ok(Self::Quoted(text.to_owned()));
            }
            Some(_) => return Err(What::Tag),
        }
        Ok(match style {
            ScalarStyle::Plain if text.is_empty() => Self::null(),
            // Over several lines it can only be a text.
            ScalarStyle::Plain if !text.contains('\n') => Self::Plain(text.to_owned()),
            _ => Self::Quoted(text.to_owned()),
        })
    }

    fn list(items: Vec<Self>, _: Origin) -> Self {
        Self::List(items)
    }

    fn map(entries: Vec<(Key, Self)>, _: Origin) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.text, value)).collect())
    }

    fn key(&self) -> Option<String> {
        match self {
            Self::Plain(text) | Self::Quoted(text) => Some(text.clone()),
            _ => None,
        }
    }

    fn is_merge_key(&self) -> bool {
        matches!(self, Self::Plain(text) if text == "<<")
    }

    fn parts(self) -> Parts<Self> {
        match self {
            Self::List(items) => Parts::List(items),
            Self::Map(entries) => {
                let key = |text| Key { text, origin: Origin::file(&FileText::sealed("")) };
                Parts::Map(entries.into_iter().map(|(text, value)| (key(text), value)).collect())
            }
            _ => Parts::Scalar,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(text: &str) -> String {
        Document::of_user(text).unwrap().unwrap().render().unwrap()
    }

    #[test]
    fn every_scalar_stays_as_it_is_written() {
        for (text, expected) in [
            ("a: 1:30\nb: 0644\nc: 1e3\nd: 2020-01-01\ne: yes\n", None),
            ("a: '0644'\nb: \"on\"\n", Some("a: \"0644\"\nb: \"on\"\n")),
            ("a:\nb: ~\nc: []\nd: {}\n", Some("a: null\nb: ~\nc: []\nd: {}\n")),
            ("a: |\n  two\n  lines\n", Some("a: \"two\\nlines\\n\"\n")),
            ("a: [b, [c, {d: e}], {f: g, h: [i]}]\n", Some("a:\n- b\n- - c\n  - d: e\n- f: g\n  h:\n  - i\n")),
            ("'yes': 1\n1: x\n'a b': {c: 'd\\'}\n", Some("\"yes\": 1\n\"1\": x\n\"a b\":\n  c: \"d\\\\\"\n")),
            ("a: &x {b: c}\nd: {<<: *x, e: f}\n", Some("a:\n  b: c\nd:\n  b: c\n  e: f\n")),
            ("a: \"\\u2028\\x7f\\x01\\ufeff\"\n", Some("a: \"\\u2028\\x7f\\x01\\ufeff\"\n")),
        ] {
            let written = again(text);
            assert_eq!(written, expected.unwrap_or(text), "{text:?}");
            assert_eq!(again(&written), written);
        }
    }

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let mut document = Document::Map(Vec::new());
        document.set(&"k".repeat(3_000), Document::text("v"));
        assert_eq!(document.render(), None);
    }

    #[test]
    fn errors_say_where_and_show_nothing() {
        for (text, expected) in [
            ("a: s3cr3t\n  b: [s3cr3t\n", "line 2, column 4: invalid YAML"),
            ("a: 1\nb: {a: s3cr3t, a: s3cr3t}\n", "line 2, column 16: duplicate key"),
            ("a: !!binary s3cr3t\n", "line 1, column 4: unsupported YAML tag"),
            ("a: 1\n---\na: s3cr3t\n", "line 2, column 1: a second YAML document, expected one"),
        ] {
            let error = Document::of_target(text).unwrap_err().to_string();
            assert_eq!(error, expected, "{text:?}");
        }
    }
}
