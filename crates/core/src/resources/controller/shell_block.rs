//! Some lines of ours stand in a shell's start-up file, between two marker lines.

use crate::contract::controller::{Block, Directory, WriteBlock};
use crate::contract::{Asked, Contract, Controller};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, Target};
use crate::run::change::{Change, Diff};
use crate::run::fault::Fault;

/// A block of lines; all other lines of the file are the user's.
#[derive(Debug)]
pub struct ShellBlock {
    /// The file.
    pub path: String,
    /// Names the block in its marker lines.
    pub name: &'static str,
    /// The lines.
    pub text: String,
    /// Wanted only if this directory is there.
    pub if_present: Option<String>,
}

/// What a look finds.
#[derive(Debug)]
pub struct Seen {
    wanted: bool,
    text: Option<String>,
}

impl ShellBlock {
    fn question(&self) -> Block {
        Block { path: self.path.clone(), name: self.name.to_owned() }
    }
}

impl Resource for ShellBlock {
    type State = Seen;

    fn label(&self) -> Label {
        let file = self.path.rsplit('/').next().unwrap_or_default().trim_start_matches('.');
        Label::of("controller", format_args!("{file}-{}", self.name))
    }

    fn target(&self) -> Target {
        Target::Controller
    }

    fn questions(&self) -> Vec<Asked> {
        vec![Controller.asks(self.question())]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        let wanted = match &self.if_present {
            Some(path) => look.ask(&Controller, Directory { path: path.clone() }).await?,
            None => true,
        };
        Ok(Seen { wanted, text: look.ask(&Controller, self.question()).await? })
    }

    fn diff(&self, seen: &Seen) -> Diff {
        if !seen.wanted || seen.text.as_deref() == Some(self.text.as_str()) {
            return Diff::InSync;
        }
        let field = format!("block {} in {}", self.name, self.path);
        Diff::Change(vec![Change { field, from: seen.text.clone(), to: self.text.clone() }])
    }

    async fn apply(&self, _: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        let (path, name, text) = (self.path.clone(), self.name.to_owned(), self.text.clone());
        act.act(&Controller, WriteBlock { path, name, text }).await?;
        Ok(Applied::Changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::scripted::{Script, check};

    #[test]
    fn a_block_stands_where_its_directory_is() {
        let block = |if_present: Option<&str>| ShellBlock {
            path: "/home/me/.bashrc".to_owned(),
            name: "path",
            text: "export PATH\n".to_owned(),
            if_present: if_present.map(str::to_owned),
        };
        let has = |text: Option<&str>| says!(Controller, block(None).question() => text.map(str::to_owned));
        let directory = |there| says!(Controller, Directory { path: "/omb".to_owned() } => there);
        let write = &["controller: write our block path in /home/me/.bashrc", "changed"][..];
        let added = &["block path in /home/me/.bashrc: + export PATH\n"][..];
        let same = &["in sync"][..];
        for (what, if_present, facts, plan, run) in [
            ("absent", None, vec![has(None)], added, write),
            ("empty", None, vec![has(Some(""))], &["block path in /home/me/.bashrc:  → export PATH\n"], write),
            ("as it should be", None, vec![has(Some("export PATH\n"))], same, same),
            ("not wanted", Some("/omb"), vec![directory(false), has(None)], same, same),
            ("wanted", Some("/omb"), vec![directory(true), has(None)], added, write),
        ] {
            let script =
                Script::new(facts).once("write our block path in /home/me/.bashrc", [has(Some("export PATH\n"))]);
            check(what, block(if_present), script, plan, run);
        }
    }
}
