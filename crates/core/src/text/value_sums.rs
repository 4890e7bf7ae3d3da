//! Sums of JSON values: whether values are the same, without their text.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::ids::Sha256;

/// SHA-256 of values in their canonical form: JSON with its keys sorted.
pub fn values_sha256(values: &Value) -> Sha256 {
    let mut sorted = values.clone();
    sorted.sort_all_objects();
    Sha256::of(sorted.to_string())
}

/// SHA-256 of each value by its path, of JSON with its keys sorted. Lists are values; so are maps without a key.
pub fn value_sums(values: &Value) -> BTreeMap<String, Sha256> {
    let mut sums = BTreeMap::new();
    if values.as_object().is_some_and(|values| !values.is_empty()) {
        add_sums(values, "", &mut sums);
    }
    sums
}

fn add_sums(value: &Value, path: &str, sums: &mut BTreeMap<String, Sha256>) {
    match value.as_object().filter(|fields| !fields.is_empty()) {
        Some(fields) => {
            for (key, value) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                add_sums(value, &path, sums);
            }
        }
        None => {
            sums.insert(path.to_owned(), values_sha256(value));
        }
    }
}
