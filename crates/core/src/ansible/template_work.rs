//! How much resolving one value may take. Variables refer to variables, so forty short lines can double forty times.

use std::fmt;

use minijinja::value::Value as JinjaValue;
use minijinja::{Error, ErrorKind};
use serde_json::Value;

/// Lists, maps and variables within each other. What walks a resolved value may recurse, because of this.
const DEPTH: usize = 200;
/// Expressions that are evaluated.
const EXPRESSIONS: usize = 20_000;
/// Bytes of one expression.
const EXPRESSION: usize = 4 << 10;
/// Bytes of all that expressions and texts give.
const BYTES: usize = 16 << 20;
/// Bytes that one filter or lookup gives.
const ONE: usize = 1 << 20;

/// What was done for one value.
#[derive(Debug, Default)]
pub(super) struct Work {
    depth: usize,
    expressions: usize,
    bytes: usize,
}

/// The bound that a value goes beyond.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TooMuch {
    Depth,
    Expressions,
    Expression,
    Bytes,
}

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Depth => write!(f, "variables are nested too deeply, at most {DEPTH} levels are resolved"),
            Self::Expressions => write!(f, "too many templates in one value, at most {EXPRESSIONS} are resolved"),
            Self::Expression => write!(f, "template too long, at most {} KiB are read", EXPRESSION >> 10),
            Self::Bytes => write!(f, "templates expand to too much text, at most {} MiB are made", BYTES >> 20),
        }
    }
}

impl Work {
    /// A value within those that are being resolved; [`Self::leave`] ends it.
    pub fn enter(&mut self) -> Result<(), TooMuch> {
        self.depth += 1;
        if self.depth > DEPTH { Err(TooMuch::Depth) } else { Ok(()) }
    }

    pub fn leave(&mut self) {
        self.depth -= 1;
    }

    /// An expression, before it is compiled.
    pub fn expression(&mut self, expression: &str) -> Result<(), TooMuch> {
        self.expressions += 1;
        if expression.len() > EXPRESSION {
            Err(TooMuch::Expression)
        } else if self.expressions > EXPRESSIONS {
            Err(TooMuch::Expressions)
        } else {
            Ok(())
        }
    }

    /// The values that an expression is about to use, each as often as its name has room in it.
    pub fn uses(&self, expression: &str, name: &str, value: &Value) -> Result<(), TooMuch> {
        let times = expression.matches(name).count();
        if size(value).saturating_mul(times) > BYTES { Err(TooMuch::Bytes) } else { Ok(()) }
    }

    /// What an expression or a text gave.
    pub fn made(&mut self, value: &Value) -> Result<(), TooMuch> {
        self.bytes += size(value);
        if self.bytes > BYTES { Err(TooMuch::Bytes) } else { Ok(()) }
    }
}

/// About how many bytes a value takes. Values are no deeper than documents and [`DEPTH`] let them be.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| size(item) + 8).sum(),
        Value::Object(entries) => entries.iter().map(|(key, value)| key.len() + size(value) + 8).sum(),
        _ => 8,
    }
}

fn within(bytes: usize) -> Result<(), Error> {
    if bytes <= ONE {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidOperation, format!("a filter or lookup gives more than {} MiB", ONE >> 20)))
}

/// A text that a lookup found.
pub(super) fn found(text: &str) -> Result<(), Error> {
    within(text.len())
}

/// The filter `replace`: a short text may ask for a long one many times.
#[expect(clippy::needless_pass_by_value, reason = "filters are given values")]
pub(super) fn replace(text: String, from: String, to: String) -> Result<String, Error> {
    within(text.matches(from.as_str()).count().saturating_mul(to.len()).saturating_add(text.len()))?;
    Ok(text.replace(&from, &to))
}

/// The filter `join`.
#[expect(clippy::needless_pass_by_value, reason = "filters are given values")]
pub(super) fn join(items: Vec<JinjaValue>, with: Option<String>) -> Result<String, Error> {
    let with = with.unwrap_or_default();
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    let all: usize = items.iter().map(String::len).sum();
    within(items.len().saturating_mul(with.len()).saturating_add(all))?;
    Ok(items.join(&with))
}
