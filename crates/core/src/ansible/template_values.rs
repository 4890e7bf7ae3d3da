//! Values as templates see them: what is not defined stays so, through attributes and `default`, until something uses it.
//!
//! Jinja's own undefined values end at the first attribute; Ansible's go on (`site.mail | default(…)` where there is no
//! `site`), and an undefined default is undefined, too.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Enumerator, Object, ObjectRepr, Value as JinjaValue};
use minijinja::{Error, ErrorKind};
use serde_json::{Map, Value};

/// What is not defined, and who used one nevertheless.
#[derive(Clone, Debug, Default)]
pub(super) struct Undefined(Arc<Mutex<Option<String>>>);

impl Undefined {
    /// The value of a name that nothing defines.
    pub fn named(&self, name: &str) -> JinjaValue {
        JinjaValue::from_object(Missing { name: name.to_owned(), used: self.clone() })
    }

    /// The name of the first that became a part of a text.
    pub fn used(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A value for a template. What a map does not have is not defined in it.
    pub fn in_template(&self, value: &Value) -> JinjaValue {
        match value {
            Value::Null => JinjaValue::from(()),
            Value::Bool(value) => JinjaValue::from(*value),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(whole), _) => JinjaValue::from(whole),
                (None, Some(whole)) => JinjaValue::from(whole),
                (None, None) => JinjaValue::from(number.as_f64()),
            },
            Value::String(text) => JinjaValue::from(text.as_str()),
            Value::Array(items) => items.iter().map(|item| self.in_template(item)).collect(),
            Value::Object(map) => JinjaValue::from_object(Mapping { map: map.clone(), undefined: self.clone() }),
        }
    }
}

/// The name of what is not defined, if that is what a value is.
pub(super) fn missing(value: &JinjaValue) -> Option<&str> {
    value.downcast_object_ref::<Missing>().map(|missing| missing.name.as_str())
}

/// Whether a value is not defined.
pub(super) fn is_undefined(value: &JinjaValue) -> bool {
    value.is_undefined() || missing(value).is_some()
}

/// A value that a filter can work with.
pub(super) fn defined(value: JinjaValue) -> Result<JinjaValue, Error> {
    if let Some(missing) = value.downcast_object_ref::<Missing>() {
        missing.is_used();
    }
    if is_undefined(&value) { Err(Error::from(ErrorKind::UndefinedError)) } else { Ok(value) }
}

#[derive(Debug)]
struct Missing {
    name: String,
    used: Undefined,
}

impl Missing {
    fn is_used(&self) {
        self.used.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| self.name.clone());
    }
}

impl Object for Missing {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, _: &JinjaValue) -> Option<JinjaValue> {
        Some(JinjaValue::from_dyn_object(Arc::clone(self)))
    }

    fn is_true(self: &Arc<Self>) -> bool {
        false
    }

    // An error here would be a panic in whoever concatenates texts.
    fn render(self: &Arc<Self>, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.is_used();
        Ok(())
    }
}

#[derive(Debug)]
struct Mapping {
    map: Map<String, Value>,
    undefined: Undefined,
}

impl Object for Mapping {
    fn get_value(self: &Arc<Self>, key: &JinjaValue) -> Option<JinjaValue> {
        let key = key.as_str()?;
        Some(match self.map.get(key) {
            Some(value) => self.undefined.in_template(value),
            None => self.undefined.named(key),
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.map.keys().map(|key| JinjaValue::from(key.as_str())).collect())
    }
}
