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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::node;
    use crate::resources::scripted::{Script, check, file, node01};

    #[test]
    fn a_repository_is_known_with_its_key() {
        let repository = || AptRepository {
            node: node01(),
            purpose: "apt_repository",
            key_url: "https://a.example/key".to_owned(),
            key_sha256: Some(Sha256::of("key")),
            keyring: "/k.gpg".to_owned(),
            list: "/l.list".to_owned(),
            line: "deb x\n".to_owned(),
        };
        let at = |path: &str, text: Option<&str>| says!(node01(), File { path: path.to_owned() } => text.map(|text| file(text, 0o644)));
        let (fetch, write) = ("node01: fetch the key https://a.example/key to /k.gpg", "node01: write /l.list");
        for (what, key, list, plan, run) in [
            (
                "nothing there",
                None,
                None,
                &["/k.gpg: + https://a.example/key", "/l.list: + deb x"][..],
                &[fetch, write, "changed"][..],
            ),
            (
                "without the key",
                None,
                Some("deb x\n"),
                &["/k.gpg: + https://a.example/key"],
                &[fetch, write, "changed"],
            ),
            ("another line", Some("key"), Some("deb y\n"), &["/l.list: other content → deb x"], &[write, "changed"]),
            ("both", Some("key"), Some("deb x\n"), &["in sync"], &["in sync"]),
        ] {
            let script = Script::new([at("/k.gpg", key), at("/l.list", list)])
                .once("fetch the key https://a.example/key to /k.gpg", [at("/k.gpg", Some("key"))])
                .once("write /l.list", [at("/l.list", Some("deb x\n"))]);
            let told = check(what, repository(), script, plan, run);
            if let [node::Action::FetchKeyring(fetch), ..] = told.done::<NodeName>()[..] {
                assert_eq!(fetch.sha256, Some(Sha256::of("key")), "{what}");
            }
        }
        // A key that is not the pinned one: the repository is not made known without it.
        let script = Script::new([at("/k.gpg", None), at("/l.list", None)])
            .refuse("fetch the key https://a.example/key to /k.gpg", crate::run::fault::Cause::Mismatch);
        let plan = ["/k.gpg: + https://a.example/key", "/l.list: + deb x"];
        let failed = "failed: fetch the key https://a.example/key to /k.gpg on node01: not what was expected";
        check("another key", repository(), script, &plan, &[fetch, failed]);
    }
}
