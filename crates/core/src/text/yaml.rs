//! YAML with the place of everything in it, its plain scalars read as Ansible's parser reads them (YAML 1.1).

mod budget;
mod build;
mod scalar;

use std::sync::Arc;

use saphyr_parser::{ScalarStyle, Tag};

pub(crate) use self::budget::Budget;
#[cfg(test)]
use self::budget::Limit;
#[cfg(test)]
use self::build::Read;
pub(crate) use self::build::{Malformed, Node, Parts, What, build};
use crate::text::problem::{Problem, Severity, Spot};

/// Of a longer line only the part around a problem is shown.
const LONG_LINE: usize = 240;

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

    /// The line, and the column in characters; both from 1.
    pub fn line_and_column(&self) -> (usize, usize) {
        (self.line, self.column)
    }

    /// Where that is, with the line's text.
    pub fn spot(&self) -> Spot {
        let line = self.file.lines.get(self.line.saturating_sub(1)).map_or("", String::as_str);
        // A line may be a megabyte long, and each of a hundred problems shows it.
        let skipped = if line.len() > LONG_LINE { (self.column - 1).saturating_sub(LONG_LINE / 2) } else { 0 };
        let text: String = line.chars().skip(skipped).take(LONG_LINE).collect();
        let room = text.chars().count().saturating_sub(self.column - 1 - skipped);
        Spot {
            file: self.file.name.clone(),
            line: self.line,
            column: self.column,
            length: self.length.min(room).max(1),
            text,
            skipped,
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

/// Reads a file's text. `None`: it is empty, or cannot be read.
pub(crate) fn parse(file: &Arc<FileText>, text: &str, problems: &mut Vec<Problem>) -> Option<Raw> {
    parse_within(&Budget::SITE, file, text, problems)
}

/// Whether a line's value begins with a template that no quotes surround: YAML takes it for a map.
fn is_bare_template(line: &str) -> bool {
    let value = line.split_once(": ").map_or(line, |(_, value)| value);
    value.trim_start().trim_start_matches("- ").trim_start().starts_with("{{")
}

/// Reads a file's text within a budget.
pub(crate) fn parse_within(
    budget: &Budget,
    file: &Arc<FileText>,
    text: &str,
    problems: &mut Vec<Problem>,
) -> Option<Raw> {
    match build::<Raw>(file, text, budget) {
        Ok(read) => {
            for key in read.repeated {
                problems.push(key.origin.warning(format!("duplicate key `{}`, the last one wins", key.text), None));
            }
            read.root
        }
        Err(Malformed { what, line, column }) => {
            let origin = Origin { file: Arc::clone(file), line, column, length: 1 };
            let message = if file.sealed { what.without_text() } else { what.to_string() };
            let near = file.lines.iter().skip(line.saturating_sub(2)).take(2);
            let help = near
                .into_iter()
                .any(|line| is_bare_template(line))
                .then(|| "a value that begins with a template wants quotes: \"{{ … }}\"".to_owned());
            problems.push(origin.error(message, help));
            None
        }
    }
}

impl Node for Raw {
    fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, origin: Origin) -> Result<Self, What> {
        Ok(Self { value: scalar::value(text, style, tag), origin })
    }

    fn list(items: Vec<Self>, origin: Origin) -> Self {
        Self { value: RawValue::List(items), origin }
    }

    fn map(entries: Vec<(Key, Self)>, origin: Origin) -> Self {
        Self { value: RawValue::Map(entries), origin }
    }

    fn key(&self) -> Option<String> {
        Some(match &self.value {
            RawValue::Null => "null".to_owned(),
            RawValue::Bool(value) => if *value { "True" } else { "False" }.to_owned(),
            RawValue::Int(value) => value.to_string(),
            RawValue::Float(value) => value.to_string(),
            RawValue::Text(text) | RawValue::Unsafe(text) | RawValue::Vault(text) => text.clone(),
            RawValue::List(_) | RawValue::Map(_) => return None,
        })
    }

    fn is_merge_key(&self) -> bool {
        matches!(&self.value, RawValue::Text(text) if text == "<<")
    }

    fn parts(self) -> Parts<Self> {
        match self.value {
            RawValue::List(items) => Parts::List(items),
            RawValue::Map(entries) => Parts::Map(entries),
            _ => Parts::Scalar,
        }
    }
}

#[cfg(test)]
mod tests;
