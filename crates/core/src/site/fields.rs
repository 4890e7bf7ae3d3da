//! Typed variables of a host or of the site: what is of another type is a problem at its place.

use crate::text::home::expand;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::ansible::inventory::Inventory;
use crate::ansible::template::Resolved;
use crate::ansible::variables::{Variable, Variables};
use crate::text::problem::{Problem, Severity};
use crate::text::secret::{HIDDEN, Secret};
use crate::text::yaml::Origin;

/// Problems as they are found, each once.
#[derive(Default)]
pub(crate) struct Found(Vec<Problem>);

impl Found {
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// All, each once, in the order of files and lines.
    pub fn sorted(mut self) -> Vec<Problem> {
        let key = |problem: &Problem| {
            let spot = problem.spot.as_ref().map(|spot| (spot.file.clone(), spot.line, spot.column));
            (spot.is_none(), spot, problem.message.clone())
        };
        self.0.sort_by_cached_key(key);
        self.0.dedup();
        self.0
    }
}

/// The variables of one host, or of the site.
pub(crate) struct Fields<'a> {
    inventory: &'a Inventory,
    variables: Variables,
    magic: BTreeMap<String, Value>,
    home: &'a str,
}

impl<'a> Fields<'a> {
    /// Those of a host.
    pub fn of_host(inventory: &'a Inventory, name: &str, home: &'a str) -> Self {
        Self { inventory, variables: inventory.variables(name), magic: inventory.magic(name), home }
    }

    /// Those of the site: the controller's, where there is one.
    pub fn of_site(inventory: &'a Inventory, home: &'a str) -> Self {
        match inventory.hosts_below("controller").first() {
            Some(controller) => Self::of_host(inventory, controller, home),
            None => {
                Self { inventory, variables: inventory.site_variables(), magic: inventory.magic("localhost"), home }
            }
        }
    }

    /// Where a variable's value stands.
    pub fn origin(&self, name: &str) -> Option<Origin> {
        self.variables.0.get(name).map(|variable| variable.raw.origin.clone())
    }

    fn resolve(&self, variable: &Variable, found: &mut Found) -> Option<Resolved> {
        match self.inventory.templates.resolve(&variable.raw, &self.variables, &self.magic) {
            Ok(resolved) => Some(resolved).filter(|resolved| !resolved.value.is_null()),
            Err(problem) => {
                found.push(problem);
                None
            }
        }
    }

    /// A value of whatever type; nothing where it is null.
    pub fn value(&self, name: &str, found: &mut Found) -> Option<Value> {
        self.resolve(self.variables.0.get(name)?, found).map(|resolved| resolved.value)
    }

    /// A value that some conversion accepts.
    pub fn with<T>(
        &self,
        name: &str,
        wanted: &str,
        found: &mut Found,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        self.explained(name, wanted, found, |value| convert(value).ok_or(None))
    }

    /// A value that some conversion accepts, or explains what else it looks like.
    pub fn explained<T>(
        &self,
        name: &str,
        wanted: &str,
        found: &mut Found,
        convert: impl Fn(&Value) -> Result<T, Option<String>>,
    ) -> Option<T> {
        let variable = self.variables.0.get(name)?;
        let Resolved { value, secret } = self.resolve(variable, found)?;
        match convert(&value) {
            Ok(converted) => Some(converted),
            Err(help) => {
                let shown = match &value {
                    _ if secret => HIDDEN.to_owned(),
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                found.push(variable.raw.origin.error(format!("`{name}` is {wanted}, not `{shown}`"), help));
                None
            }
        }
    }

    /// The value of the last of these names that is set; an empty text is how sites say that one is not.
    pub fn strongest<T>(
        &self,
        names: &[&str],
        found: &mut Found,
        read: impl Fn(&Self, &str, &mut Found) -> Option<T>,
    ) -> Option<T> {
        let is_set =
            |name: &&&str, found: &mut Found| self.value(name, found).is_some_and(|value| value.as_str() != Some(""));
        let name = names.iter().rev().find(|name| is_set(name, found))?;
        read(self, name, found)
    }

    /// A text; a number stands for its digits.
    pub fn text(&self, name: &str, found: &mut Found) -> Option<String> {
        self.with(name, "a text", found, |value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
    }

    /// A yes or no. The texts that Ansible takes for one are one: "false" is not true.
    pub fn yes(&self, name: &str, found: &mut Found) -> Option<bool> {
        self.with(name, "yes or no", found, |value| match value {
            Value::Bool(value) => Some(*value),
            Value::Number(number) if number.as_i64() == Some(1) => Some(true),
            Value::Number(number) if number.as_i64() == Some(0) => Some(false),
            Value::String(text) => match text.to_lowercase().as_str() {
                "yes" | "true" | "on" | "1" | "y" | "t" => Some(true),
                "no" | "false" | "off" | "0" | "n" | "f" | "" => Some(false),
                _ => None,
            },
            _ => None,
        })
    }

    /// A path: `~` and `$HOME`, `${HOME}` stand for the user's home.
    pub fn path(&self, name: &str, found: &mut Found) -> Option<String> {
        self.text(name, found).map(|path| expand(&path, self.home))
    }

    /// A secret, of the last of these names that is set: nobody sees it, whoever wrote it in the open.
    pub fn secret(&self, names: &[&str], found: &mut Found) -> Option<Secret> {
        self.strongest(names, found, |fields, name, found| {
            match fields.value(name, found)? {
                Value::String(text) => Some(Secret::new(text.as_str())),
                Value::Number(number) => Some(Secret::new(number.to_string())),
                _ => {
                    // Without its place: the line there is what nobody shall see.
                    let message = format!("`{name}` is a text, and here it is none");
                    found.push(Problem { severity: Severity::Error, message, spot: None, help: None });
                    None
                }
            }
        })
    }

    /// A list of texts; one text stands for a list of one.
    pub fn texts(&self, name: &str, found: &mut Found) -> Option<Vec<String>> {
        self.with(name, "a list of texts", found, |value| match value {
            Value::String(text) => Some(text.lines().map(str::to_owned).collect()),
            Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            _ => None,
        })
    }
}
