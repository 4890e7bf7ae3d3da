//! The small part of Jinja that inventories use.
//!
//! Variables, literals, `~`, the filters `default`, `bool`, `int`, `lower`, `upper`, `replace` and `join`, and lookups
//! of the environment and of files. All else is refused at its place: what we do not understand we do not guess.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Kwargs, Rest};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value as JinjaValue};
use serde_json::{Map, Value};

use crate::ansible::template_values::{Undefined, defined, is_undefined, missing};
use crate::ansible::template_work::{self, Work};
use crate::ansible::variables::Variables;
use crate::ansible::vault::Vault;
use crate::text::nearest::did_you_mean;
use crate::text::problem::Problem;
use crate::text::yaml::{Origin, Raw, RawValue};

/// A value after templates and vault.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Resolved {
    pub value: Value,
    /// Something secret went into it.
    pub secret: bool,
}

/// What lookups found: the environment's variables and the files that templates name.
type Found = Arc<Mutex<BTreeMap<(Lookup, String), Option<String>>>>;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Lookup {
    Env,
    File,
}

/// Resolves templates.
#[derive(Clone, Debug)]
pub(crate) struct Templates {
    vault: Vault,
    found: Found,
    environment: Environment<'static>,
}

/// How deep variables may refer to variables.
const DEPTH: usize = 40;

/// The variable whose value says that there is none: `default(omit)`.
const OMIT: &str = "omit";

struct Scope<'a> {
    variables: &'a Variables,
    magic: &'a BTreeMap<String, Value>,
    open: Vec<String>,
    work: Work,
}

impl Templates {
    pub fn new(vault: Vault) -> Self {
        let found: Found = Arc::default();
        Self { vault, environment: environment(&found), found }
    }

    /// The lookups that templates made and that nobody has answered yet.
    pub fn open_lookups(&self) -> Vec<(Lookup, String)> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.iter().filter(|(_, answer)| answer.is_none()).map(|(lookup, _)| lookup.clone()).collect()
    }

    /// Answers a lookup.
    pub fn answer(&self, lookup: (Lookup, String), text: String) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(lookup, Some(text));
    }

    /// A value as it is written, what is sealed still sealed.
    pub fn written(&self, raw: &Raw) -> Resolved {
        let plain = |value| Resolved { value, secret: raw.origin.is_sealed() };
        match &raw.value {
            RawValue::Null => plain(Value::Null),
            RawValue::Bool(value) => plain(Value::Bool(*value)),
            RawValue::Int(value) => plain(Value::from(*value)),
            RawValue::Float(value) => plain(Value::from(*value)),
            RawValue::Text(text) | RawValue::Unsafe(text) => plain(Value::String(text.clone())),
            RawValue::Vault(_) => {
                Resolved { value: Value::String(crate::text::secret::HIDDEN.to_owned()), secret: true }
            }
            RawValue::List(items) => {
                let items: Vec<Resolved> = items.iter().map(|item| self.written(item)).collect();
                let secret = items.iter().any(|item| item.secret);
                Resolved { value: items.into_iter().map(|item| item.value).collect(), secret }
            }
            RawValue::Map(entries) => {
                let mut map = Map::new();
                let mut secret = false;
                for (key, value) in entries {
                    let written = self.written(value);
                    secret |= written.secret;
                    map.insert(key.text.clone(), written.value);
                }
                Resolved { value: Value::Object(map), secret }
            }
        }
    }

    /// A value with its templates resolved and its vault opened.
    pub fn resolve(
        &self,
        raw: &Raw,
        variables: &Variables,
        magic: &BTreeMap<String, Value>,
    ) -> Result<Resolved, Problem> {
        self.value(raw, &mut Scope { variables, magic, open: Vec::new(), work: Work::default() })
    }

    fn value(&self, raw: &Raw, scope: &mut Scope<'_>) -> Result<Resolved, Problem> {
        scope.work.enter().map_err(|too_much| raw.origin.error(too_much.to_string(), None))?;
        let resolved = self.value_within(raw, scope);
        scope.work.leave();
        resolved
    }

    fn value_within(&self, raw: &Raw, scope: &mut Scope<'_>) -> Result<Resolved, Problem> {
        match &raw.value {
            RawValue::Text(text) if text.contains("{{") || text.contains("{%") || text.contains("{#") => {
                self.text(text, &raw.origin, scope)
            }
            RawValue::Vault(sealed) => {
                let text = self.vault.open_at(sealed, &raw.origin)?;
                Ok(Resolved { value: Value::String(text), secret: true })
            }
            RawValue::List(items) => {
                let mut values = Vec::with_capacity(items.len());
                let mut secret = false;
                for item in items {
                    let resolved = self.value(item, scope)?;
                    secret |= resolved.secret;
                    values.push(resolved.value);
                }
                Ok(Resolved { value: Value::Array(values), secret })
            }
            RawValue::Map(entries) => {
                let mut map = Map::new();
                let mut secret = false;
                for (key, value) in entries {
                    let resolved = self.value(value, scope)?;
                    secret |= resolved.secret;
                    map.insert(key.text.clone(), resolved.value);
                }
                Ok(Resolved { value: Value::Object(map), secret })
            }
            _ => Ok(self.written(raw)),
        }
    }

    /// A text with expressions in it. One that is nothing but an expression keeps the expression's type.
    fn text(&self, text: &str, origin: &Origin, scope: &mut Scope<'_>) -> Result<Resolved, Problem> {
        if text.contains("{%") || text.contains("{#") {
            return Err(origin.error("only `{{ … }}` is understood here, neither statements nor comments", None));
        }
        let parts = split(text).ok_or_else(|| origin.error("`{{` without its `}}`", None))?;
        let mut secret = origin.is_sealed();
        let mut values = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Part::Literal(literal) => values.push(Value::String(literal.to_owned())),
                Part::Expression(expression) => values.push(self.expression(expression, origin, scope, &mut secret)?),
            }
        }
        let value = concatenated(values, text.ends_with('\n'));
        scope.work.made(&value).map_err(|too_much| origin.error(too_much.to_string(), None))?;
        Ok(Resolved { value, secret })
    }

    fn expression(
        &self,
        expression: &str,
        origin: &Origin,
        scope: &mut Scope<'_>,
        secret: &mut bool,
    ) -> Result<Value, Problem> {
        let too_much = |too_much: template_work::TooMuch| origin.error(too_much.to_string(), None);
        scope.work.expression(expression).map_err(too_much)?;
        if let Some(word) = beyond_us(expression) {
            let help = "variables, literals, ~, default, bool, int, lower, upper, replace, join, lookup('env'|'file')";
            return Err(origin.error(format!("`{word}` is not understood in a template"), Some(help.to_owned())));
        }
        let refused = |error: &Error| origin.error(format!("this template is not understood: {}", words(error)), None);
        // A backslash escapes nothing in Ansible's templates.
        let expression = expression.replace('\\', "\\\\");
        let compiled = self.environment.compile_expression(&expression).map_err(|error| refused(&error))?;
        let mut context = BTreeMap::new();
        let (undefined, mut unknown) = (Undefined::default(), None);
        for name in compiled.undeclared_variables(false) {
            if name == "lookup" {
                continue;
            }
            if let Some(value) = scope.magic.get(&name) {
                context.insert(name, undefined.in_template(value));
            } else if name == OMIT {
                context.insert(name, JinjaValue::from(()));
            } else if let Some(variable) = scope.variables.0.get(&name).cloned() {
                if scope.open.contains(&name) || scope.open.len() > DEPTH {
                    scope.open.push(name);
                    return Err(
                        origin.error(format!("variables go round in a circle: {}", scope.open.join(" → ")), None)
                    );
                }
                scope.open.push(name.clone());
                let resolved = self.value(&variable.raw, scope)?;
                scope.open.pop();
                *secret |= resolved.secret;
                scope.work.uses(&expression, &name, &resolved.value).map_err(too_much)?;
                context.insert(name, undefined.in_template(&resolved.value));
            } else {
                unknown.get_or_insert_with(|| name.clone());
                let value = undefined.named(&name);
                context.insert(name, value);
            }
        }
        let not_defined = |name: &str| {
            let known = scope.variables.0.keys().map(String::as_str);
            origin.error(format!("variable `{name}` is not defined"), did_you_mean(name, known))
        };
        let value = compiled.eval(context).map_err(|error| match error.kind() {
            ErrorKind::UndefinedError => {
                not_defined(undefined.used().or_else(|| unknown.clone()).as_deref().unwrap_or(expression.trim()))
            }
            _ => refused(&error),
        })?;
        if is_undefined(&value) {
            return Err(not_defined(missing(&value).unwrap_or(expression.trim())));
        }
        let value = serde_json::to_value(&value)
            .map_err(|error| origin.error(format!("this template gives no value: {error}"), None))?;
        // What is in a list or a map is used here.
        if let Some(name) = undefined.used() {
            return Err(not_defined(&name));
        }
        scope.work.made(&value).map_err(too_much)?;
        Ok(value)
    }
}

/// What stands between the parts of a text: what is nothing vanishes, and a part that then stands alone keeps its type.
/// Jinja takes one newline off the end, which comes back where a text remains.
fn concatenated(mut parts: Vec<Value>, newline: bool) -> Value {
    if newline && let Some(Value::String(last)) = parts.last_mut() {
        last.pop();
        if last.is_empty() {
            parts.pop();
        }
    }
    parts.retain(|part| !part.is_null());
    let mut value = match parts.len() {
        0 | 1 => parts.pop().unwrap_or(Value::Null),
        _ => Value::String(parts.iter().map(in_text).collect()),
    };
    if let (true, Value::String(text)) = (newline, &mut value) {
        text.push('\n');
    }
    value
}

/// A value inside a text, as Python prints it.
fn in_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => in_list(other),
    }
}

/// A value inside a list inside a text, as Python prints it.
fn in_list(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
            let escaped = text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t");
            let escaped = if quote == '\'' { escaped.replace('\'', "\\'") } else { escaped };
            format!("{quote}{escaped}{quote}")
        }
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => "None".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(in_list).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, value)| format!("'{key}': {}", in_list(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

fn words(error: &Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

enum Part<'a> {
    Literal(&'a str),
    Expression(&'a str),
}

/// Cuts a text at its expressions; `None` where one is not closed. Braces inside quotes close nothing; `{{-` and `-}}`
/// take the white space beside them away.
fn split(text: &str) -> Option<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find("{{") {
        let inner = &rest[begin + 2..];
        let mut quote = None;
        let end = inner.char_indices().find_map(|(at, character)| {
            match (quote, character) {
                (None, '\'' | '"') => quote = Some(character),
                (Some(open), _) if open == character => quote = None,
                (None, '}') if inner[at..].starts_with("}}") => return Some(at),
                _ => {}
            }
            None
        })?;
        let (mut before, mut expression, mut after) = (&rest[..begin], &inner[..end], &inner[end + 2..]);
        if let Some(trimmed) = expression.strip_prefix('-') {
            (before, expression) = (before.trim_end(), trimmed);
        }
        if let Some(trimmed) = expression.strip_suffix('-') {
            (expression, after) = (trimmed, after.trim_start());
        }
        if !before.is_empty() {
            parts.push(Part::Literal(before));
        }
        parts.push(Part::Expression(expression));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest));
    }
    Some(parts)
}

/// The first thing in an expression that goes beyond what inventories use.
fn beyond_us(expression: &str) -> Option<String> {
    let mut quote = None;
    let mut word = String::new();
    let operators = ["if", "else", "not", "and", "or", "in", "is", "for"];
    for character in expression.chars().chain([' ']) {
        if let Some(open) = quote {
            if character == open {
                quote = None;
            }
            continue;
        }
        if character.is_alphanumeric() || character == '_' {
            word.push(character);
            continue;
        }
        if operators.contains(&word.as_str()) {
            return Some(word);
        }
        word.clear();
        match character {
            '\'' | '"' => quote = Some(character),
            ' ' | '\t' | '\n' | '.' | ',' | '(' | ')' | '[' | ']' | '=' | '|' | '~' | '-' | '{' | '}' | ':' => {}
            other => return Some(other.to_string()),
        }
    }
    None
}

fn environment(found: &Found) -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.add_filter("default", default_filter);
    environment.add_filter("d", default_filter);
    environment.add_filter("bool", |value: JinjaValue| Ok::<_, Error>(as_bool(&defined(value)?)));
    environment.add_filter("int", |value: JinjaValue, default: Option<i64>| {
        Ok::<_, Error>(as_int(&defined(value)?, default.unwrap_or(0)))
    });
    environment.add_filter("lower", |text: JinjaValue| Ok::<_, Error>(defined(text)?.to_string().to_lowercase()));
    environment.add_filter("upper", |text: JinjaValue| Ok::<_, Error>(defined(text)?.to_string().to_uppercase()));
    environment.add_filter("replace", template_work::replace);
    environment.add_filter("join", template_work::join);
    let found = Arc::clone(found);
    environment.add_function("lookup", move |plugin: String, terms: Rest<String>, options: Kwargs| {
        lookup(&found, &plugin, &terms, &options)
    });
    environment
}

fn default_filter(value: JinjaValue, other: Option<JinjaValue>, falsy: Option<bool>) -> JinjaValue {
    let other = other.unwrap_or_else(|| JinjaValue::from(""));
    if is_undefined(&value) || (falsy.unwrap_or(false) && !value.is_true()) { other } else { value }
}

fn as_bool(value: &JinjaValue) -> bool {
    match value.as_str() {
        Some(text) => ["yes", "on", "1", "true"].contains(&text.to_lowercase().as_str()),
        None => *value == JinjaValue::from(true) || *value == JinjaValue::from(1),
    }
}

fn as_int(value: &JinjaValue, default: i64) -> i64 {
    if let Some(text) = value.as_str() {
        let text = text.trim();
        return text.parse().ok().or_else(|| whole(text.parse::<f64>().ok()?)).unwrap_or(default);
    }
    if let Ok(number) = i64::try_from(value.clone()) {
        return number;
    }
    f64::try_from(value.clone()).ok().and_then(whole).unwrap_or(default)
}

/// The whole part of a number, where it has one that fits.
fn whole(number: f64) -> Option<i64> {
    format!("{}", number.trunc()).parse().ok()
}

fn lookup(found: &Found, plugin: &str, terms: &[String], options: &Kwargs) -> Result<JinjaValue, Error> {
    let kind = match plugin.strip_prefix("ansible.builtin.").unwrap_or(plugin) {
        "env" => Lookup::Env,
        "file" => Lookup::File,
        other => {
            return Err(Error::new(ErrorKind::InvalidOperation, format!("lookup of `{other}`: only env and file are")));
        }
    };
    let default: Option<JinjaValue> = options.get("default")?;
    options.assert_all_used()?;
    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
    let mut texts = Vec::new();
    for term in terms {
        // Nobody has looked it up yet: it is asked for, and this evaluation is done again when it was answered.
        let text = found.entry((kind, term.clone())).or_default().clone().unwrap_or_default();
        template_work::found(&text)?;
        match (&default, text.is_empty()) {
            (Some(default), true) => texts.push(default.to_string()),
            _ => texts.push(text),
        }
    }
    Ok(JinjaValue::from(texts.join(",")))
}

#[cfg(test)]
mod tests;
