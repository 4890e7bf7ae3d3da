//! The user's kubeconfig as a file: one context of ours in it, all else as it was.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bringup_core::deed::Content;
use bringup_core::kubeconfig::Access;
use bringup_core::probe::KubeconfigState;
use bringup_core::secret::Secret;
use serde_json::{Map, Value, json};

use crate::file_lock::LockFile;
use crate::local_files::{self, behind_links};

const MODE: u32 = 0o600;

/// Why it could not be read or written. The words show nothing of what is in it.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The disk, or another writer.
    Disk(io::Error),
    /// It is no kubeconfig.
    Odd(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// A context of ours; `None`: there is no such context, or no such file.
///
/// # Errors
/// When the file cannot be read, or is no kubeconfig.
pub(crate) fn context(path: &Path, name: &str) -> Result<Option<KubeconfigState>, Trouble> {
    let Some(config) = read(path)? else { return Ok(None) };
    let Some(context) = entry(&config, "contexts", name).and_then(|entry| entry.get("context")) else {
        return Ok(None);
    };
    let named = |field: &str, list: &str| {
        let name = context.get(field)?.as_str()?;
        entry(&config, list, name)?.get(field).cloned()
    };
    let cluster = named("cluster", "clusters").unwrap_or_else(|| json!({}));
    let user = named("user", "users").unwrap_or_else(|| json!({}));
    let server = cluster.get("server").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    Ok(Some(KubeconfigState { server, credentials_sha256: Access::new(cluster, user).sha256(), mode }))
}

/// What is merged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Merge<'a> {
    /// Name of context, cluster and user.
    pub name: &'a str,
    /// The API's URL.
    pub server: &'a str,
    /// The access.
    pub access: &'a Access,
    /// Whether a context that is new becomes the current one.
    pub set_current: bool,
}

/// Merges a cluster's access into it, under names of our own. What it was before is kept beside it.
///
/// # Errors
/// When it cannot be read or written, is no kubeconfig, or another program holds it. It is as it was then.
pub(crate) async fn merge(path: &Path, merge: &Merge<'_>) -> Result<(), Trouble> {
    let path = behind_links(path);
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory)?;
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // The name is kubectl's: it takes the same lock for `kubectl config`.
    let _lock = LockFile::make(directory.join(format!("{file}.lock"))).await?;
    let present = read(&path)?;
    let config = merged(present.unwrap_or_else(|| Value::Object(Map::new())), merge)?;
    let text = serde_saphyr::to_string(&config).map_err(|_| Trouble::Odd("it cannot be written as YAML".to_owned()))?;
    if let Some(before) = text_of(&path)? {
        let backup = directory.join(format!("{file}.bringup-backup"));
        local_files::write(&backup, &Content::Hidden(Secret::new(before)), MODE)?;
    }
    local_files::write(&path, &Content::Hidden(Secret::new(text)), MODE)?;
    Ok(())
}

fn merged(mut config: Value, merge: &Merge<'_>) -> Result<Value, Trouble> {
    let name = merge.name;
    let is_new = entry(&config, "contexts", name).is_none();
    let fields = config.as_object_mut().ok_or_else(|| Trouble::Odd("it is no map".to_owned()))?;
    for (field, value) in [("apiVersion", json!("v1")), ("kind", json!("Config"))] {
        fields.entry(field).or_insert(value);
    }
    let mut cluster = merge.access.cluster.clone();
    if let Some(cluster) = cluster.as_object_mut() {
        cluster.insert("server".to_owned(), json!(merge.server));
    }
    put(fields, "clusters", "cluster", name, |_| cluster)?;
    put(fields, "users", "user", name, |_| merge.access.user.clone())?;
    // A namespace that the user chose for it stays.
    put(fields, "contexts", "context", name, |context| {
        let mut context = if context.is_object() { context } else { json!({}) };
        context["cluster"] = json!(name);
        context["user"] = json!(name);
        context
    })?;
    let current = fields.get("current-context").and_then(Value::as_str).unwrap_or_default().to_owned();
    let leads_nowhere = entry(&config, "contexts", &current).is_none();
    if merge.set_current && (is_new || leads_nowhere) {
        config["current-context"] = json!(name);
    }
    Ok(config)
}

/// Sets a field of the entry of that name in a list, making both if they are not there. Other fields of it stay.
fn put(
    config: &mut Map<String, Value>,
    list: &str,
    field: &str,
    name: &str,
    value: impl FnOnce(Value) -> Value,
) -> Result<(), Trouble> {
    let entries = config.entry(list).or_insert(Value::Null);
    if entries.is_null() {
        *entries = json!([]);
    }
    let entries = entries.as_array_mut().ok_or_else(|| Trouble::Odd(format!("its {list} are no list")))?;
    let place = entries.iter().position(|entry| entry.get("name").and_then(Value::as_str) == Some(name));
    let place = match place {
        Some(place) => place,
        None => {
            entries.push(json!({ "name": name }));
            entries.len() - 1
        }
    };
    let entry = &mut entries[place];
    let before = entry.get(field).cloned().unwrap_or(Value::Null);
    entry[field] = value(before);
    Ok(())
}

fn entry<'a>(config: &'a Value, list: &str, name: &str) -> Option<&'a Value> {
    config.get(list)?.as_array()?.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some(name))
}

fn text_of(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// `None`: there is no such file, or nothing is in it.
fn read(path: &Path) -> Result<Option<Value>, Trouble> {
    let Some(text) = text_of(path)?.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    let config: Value = serde_saphyr::from_str(&text).map_err(|error| {
        // The error's own words show the lines around it, and keys are in them.
        let line = error.location().map_or(0, |location| location.line());
        Trouble::Odd(format!("it is no YAML that can be read (line {line})"))
    })?;
    let is_list = |list: &str| config.get(list).is_none_or(|entries| entries.is_array() || entries.is_null());
    match config.as_object() {
        None if config.is_null() => Ok(None),
        Some(_) if ["clusters", "contexts", "users"].into_iter().all(is_list) => Ok(Some(config)),
        _ => Err(Trouble::Odd("it is no kubeconfig".to_owned())),
    }
}

#[cfg(test)]
#[path = "kubeconfig_file_tests.rs"]
mod tests;
