//! The user's kubeconfig: one context of ours in it, all else as it was.

use std::fmt;

use super::ClusterAccess;
use crate::ids::Sha256;
use crate::text::document::{Document, Malformed};

/// A kubeconfig that is the user's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserConfig(Document);

/// What a context leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The API's URL, as it is written.
    pub server: String,
    /// [`ClusterAccess::sha256`]. `None`: it holds what we would not write, a program to run for one.
    pub sha256: Option<Sha256>,
}

/// Why a user's kubeconfig cannot be changed. It shows nothing of what is in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotAKubeconfig {
    /// It is not YAML.
    Yaml(Malformed),
    /// It is another kind of file.
    Shape,
    /// It could not be read again as it would be written.
    Unwritable,
}

impl fmt::Display for NotAKubeconfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yaml(malformed) => malformed.fmt(f),
            Self::Shape => f.write_str("not a kubeconfig: expected a map with lists of clusters, contexts and users"),
            Self::Unwritable => {
                f.write_str("it holds something that cannot be written as YAML, such as a very long key")
            }
        }
    }
}

impl std::error::Error for NotAKubeconfig {}

const LISTS: [&str; 3] = ["clusters", "contexts", "users"];

impl UserConfig {
    /// Reads it; one that is empty is a new one.
    ///
    /// # Errors
    /// When it is not a kubeconfig.
    pub fn parse(text: &str) -> Result<Self, NotAKubeconfig> {
        let root = Document::of_user(text).map_err(NotAKubeconfig::Yaml)?;
        let Some(root) = root.filter(|root| !root.is_null()) else { return Ok(Self(Document::Map(Vec::new()))) };
        let is_list =
            |list: &str| root.get(list).is_none_or(|list| list.is_null() || matches!(list, Document::List(_)));
        if matches!(root, Document::Map(_)) && LISTS.into_iter().all(is_list) {
            return Ok(Self(root));
        }
        Err(NotAKubeconfig::Shape)
    }

    fn entry(&self, list: &str, name: &str) -> Option<&Document> {
        let Document::List(entries) = self.0.get(list)? else { return None };
        entries.iter().find(|entry| entry.get("name").and_then(Document::as_text) == Some(name))
    }

    /// What a context leads to. `None`: there is no such context.
    pub fn context(&self, name: &str) -> Option<Entry> {
        let context = self.entry("contexts", name)?.get("context")?;
        let named = |field: &str, list: &str| self.entry(list, context.get(field)?.as_text()?)?.get(field);
        let (cluster, user) = (named("cluster", "clusters"), named("user", "users"));
        let server = cluster.and_then(|cluster| cluster.get("server")?.as_text()).unwrap_or_default().to_owned();
        let access = cluster.zip(user).and_then(|(cluster, user)| ClusterAccess::of_entry(cluster, user).ok());
        Some(Entry { server, sha256: access.map(|access| access.sha256()) })
    }

    /// Puts a cluster's access into it, as context, cluster and user of this name. With `set_current`, a context that is
    /// new becomes the current one, and so does this one where the current one does not exist.
    pub fn put(&mut self, name: &str, access: &ClusterAccess, set_current: bool) {
        let is_new = self.entry("contexts", name).is_none();
        for (field, value) in [("apiVersion", "v1"), ("kind", "Config")] {
            if self.0.get(field).is_none() {
                self.0.set(field, Document::Plain(value.to_owned()));
            }
        }
        self.change("clusters", "cluster", name, |_| access.cluster());
        self.change("users", "user", name, |_| access.user());
        // A namespace that the user chose for it stays.
        self.change("contexts", "context", name, |mut context| {
            context.set("cluster", Document::text(name));
            context.set("user", Document::text(name));
            context
        });
        let current = self.0.get("current-context").and_then(Document::as_text).unwrap_or_default();
        let leads_nowhere = self.entry("contexts", current).is_none();
        if set_current && (is_new || leads_nowhere) {
            self.0.set("current-context", Document::text(name));
        }
    }

    /// Changes a field of the entry of that name in a list; both are made if they are not there.
    fn change(&mut self, list: &str, field: &str, name: &str, change: impl FnOnce(Document) -> Document) {
        self.0.change(list, |entries| {
            let mut entries = if let Document::List(entries) = entries { entries } else { Vec::new() };
            let named = |entry: &Document| entry.get("name").and_then(Document::as_text) == Some(name);
            let place = entries.iter().position(named).unwrap_or(entries.len());
            if place == entries.len() {
                entries.push(Document::Map(vec![("name".to_owned(), Document::text(name))]));
            }
            entries[place].change(field, change);
            Document::List(entries)
        });
    }

    /// It as text.
    ///
    /// # Errors
    /// When it could not be read again.
    pub fn render(&self) -> Result<String, NotAKubeconfig> {
        self.0.render().ok_or(NotAKubeconfig::Unwritable)
    }
}
