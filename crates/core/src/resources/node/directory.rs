//! A directory is there.

use crate::contract::node::{Directory, MakeDirectory};
use crate::contract::{Asked, Contract};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, NodeName, Target};
use crate::run::change::{Change, Diff};
use crate::run::fault::Fault;

/// A directory with its parents.
#[derive(Debug)]
pub struct MadeDirectory {
    /// Where.
    pub node: NodeName,
    /// What it is for, as the label tells it.
    pub purpose: &'static str,
    /// Its path.
    pub path: String,
}

impl Resource for MadeDirectory {
    type State = bool;

    fn label(&self) -> Label {
        Label::of(&self.node, self.purpose)
    }

    fn target(&self) -> Target {
        Target::Node(self.node.clone())
    }

    fn questions(&self) -> Vec<Asked> {
        vec![self.node.asks(Directory { path: self.path.clone() })]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<bool, Fault> {
        look.ask(&self.node, Directory { path: self.path.clone() }).await
    }

    fn diff(&self, there: &bool) -> Diff {
        if *there { Diff::InSync } else { Diff::Change(vec![Change::add(&self.path, "directory")]) }
    }

    async fn apply(&self, _: &bool, act: &Act<'_>) -> Result<Applied, Fault> {
        act.act(&self.node, MakeDirectory { path: self.path.clone() }).await?;
        Ok(Applied::Changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::scripted::{Script, check, node01};

    #[test]
    fn a_directory_is_made_once() {
        let there = |there| says!(node01(), Directory { path: "/data".to_owned() } => there);
        for (is_there, plan, run) in [
            (true, &["in sync"][..], &["in sync"][..]),
            (false, &["/data: + directory"], &["node01: make directory /data", "changed"]),
        ] {
            let resource = MadeDirectory { node: node01(), purpose: "data", path: "/data".to_owned() };
            let script = Script::new([there(is_there)]).once("make directory /data", [there(true)]);
            check("a directory", resource, script, plan, run);
        }
    }
}
