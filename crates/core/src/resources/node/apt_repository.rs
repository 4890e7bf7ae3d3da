//! A node's apt knows a repository, signed by a key in a keyring of its own.

use std::time::Duration;

use crate::contract::node::{Content, FetchKeyring, File, WriteFile};
use crate::contract::{Asked, Contract};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, NodeName, Sha256, Target};
use crate::run::change::{Change, Diff};
use crate::run::fault::Fault;

/// A repository.
#[derive(Debug)]
pub struct AptRepository {
    /// Which node.
    pub node: NodeName,
    /// What it holds, as the label tells it.
    pub purpose: &'static str,
    /// Where its key is fetched.
    pub key_url: String,
    /// Sum of the file with its key, if the site pins it.
    pub key_sha256: Option<Sha256>,
    /// Where its key goes.
    pub keyring: String,
    /// Its file below `/etc/apt/sources.list.d`.
    pub list: String,
    /// The line in it, with `signed-by`.
    pub line: String,
}

/// What a look finds.
#[derive(Debug)]
pub struct Seen {
    keyring: bool,
    list_sha256: Option<Sha256>,
}

impl Resource for AptRepository {
    type State = Seen;

    fn label(&self) -> Label {
        Label::of(&self.node, self.purpose)
    }

    fn target(&self) -> Target {
        Target::Node(self.node.clone())
    }

    fn questions(&self) -> Vec<Asked> {
        let file = |path: &String| self.node.asks(File { path: path.clone() });
        vec![file(&self.keyring), file(&self.list)]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        let keyring = look.ask(&self.node, File { path: self.keyring.clone() }).await?.is_some();
        let list = look.ask(&self.node, File { path: self.list.clone() }).await?;
        Ok(Seen { keyring, list_sha256: list.map(|file| file.sha256) })
    }

    fn diff(&self, seen: &Seen) -> Diff {
        let mut changes = Vec::new();
        if !seen.keyring {
            changes.push(Change::add(&self.keyring, &self.key_url));
        }
        match &seen.list_sha256 {
            Some(sha256) if *sha256 == Sha256::of(&self.line) => {}
            Some(_) => changes.push(Change::new(&self.list, "other content", self.line.trim_end())),
            None => changes.push(Change::add(&self.list, self.line.trim_end())),
        }
        Diff::of(changes)
    }

    async fn apply(&self, seen: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        if !seen.keyring {
            let (url, sha256, path) = (self.key_url.clone(), self.key_sha256, self.keyring.clone());
            act.act(&self.node, FetchKeyring { url, sha256, path }).await?;
        }
        let (path, content) = (self.list.clone(), Content::Plain(self.line.clone()));
        act.act(&self.node, WriteFile { path, content, mode: 0o644 }).await?;
        Ok(Applied::Changed)
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(4)
    }
}
