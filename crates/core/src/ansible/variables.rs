//! Variables of an inventory, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::text::yaml::{Key, Origin, Raw};

/// A variable: where its name stands, and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Variable {
    pub name: Origin,
    pub raw: Raw,
}

/// Variables by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Variables(pub BTreeMap<String, Arc<Variable>>);

impl Variables {
    pub fn entry(key: &Key, raw: Raw) -> (String, Arc<Variable>) {
        (key.text.clone(), Arc::new(Variable { name: key.origin.clone(), raw }))
    }

    pub(crate) fn extend(&mut self, stronger: &Self) {
        self.0.extend(stronger.0.iter().map(|(name, variable)| (name.clone(), Arc::clone(variable))));
    }
}

impl FromIterator<(String, Arc<Variable>)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, Arc<Variable>)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}
