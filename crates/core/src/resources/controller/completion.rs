//! A shell completes a tool's arguments.

use crate::contract::controller::{HasLine, Modified, WriteCompletion};
use crate::contract::{Asked, Contract, Controller};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, Target};
use crate::resources::controller::marked_file::MARK;
use crate::run::change::{Change, Diff};
use crate::run::event::Notice;
use crate::run::fault::Fault;
use crate::text::shell::Shell;

/// A completion file that is at least as new as its tool.
#[derive(Debug)]
pub struct Completion {
    /// The tool's name.
    pub tool: &'static str,
    /// Where the tool is.
    pub tool_path: String,
    /// Which shell.
    pub shell: Shell,
    /// Where the completion goes.
    pub path: String,
}

/// What a look finds.
#[derive(Debug)]
pub enum Seen {
    /// No such file.
    Absent,
    /// A file without our mark.
    Theirs,
    /// A file with it; when it and the tool were written.
    Ours {
        /// The tool; `None`: it is not there.
        tool: Option<u64>,
        /// The file.
        completion: Option<u64>,
    },
}

impl Completion {
    fn mark(&self) -> HasLine {
        HasLine { path: self.path.clone(), line: MARK.to_owned() }
    }
}

impl Resource for Completion {
    type State = Seen;

    fn label(&self) -> Label {
        Label::of("controller", format_args!("{}-completion-{}", self.tool, self.shell))
    }

    fn target(&self) -> Target {
        Target::Controller
    }

    fn questions(&self) -> Vec<Asked> {
        let modified = |path: &String| Controller.asks(Modified { path: path.clone() });
        vec![Controller.asks(self.mark()), modified(&self.tool_path), modified(&self.path)]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        match look.ask(&Controller, self.mark()).await? {
            None => return Ok(Seen::Absent),
            Some(false) => return Ok(Seen::Theirs),
            Some(true) => {}
        }
        let tool = look.ask(&Controller, Modified { path: self.tool_path.clone() }).await?;
        let completion = look.ask(&Controller, Modified { path: self.path.clone() }).await?;
        Ok(Seen::Ours { tool, completion })
    }

    fn diff(&self, seen: &Seen) -> Diff {
        let what = || format!("{} completion of {}", self.shell, self.tool);
        match seen {
            Seen::Absent => Diff::Change(vec![Change::add(what(), &self.path)]),
            Seen::Ours { tool: Some(tool), completion: Some(completion) } if completion < tool => {
                Diff::Change(vec![Change::new(what(), "older than the tool", "written by the tool")])
            }
            Seen::Ours { .. } | Seen::Theirs => Diff::InSync,
        }
    }

    fn notices(&self, seen: &Seen) -> Vec<Notice> {
        match seen {
            Seen::Theirs => {
                let (path, tool) = (self.path.clone(), self.tool.to_owned());
                vec![Notice::CompletionKept { path, tool, shell: self.shell }]
            }
            Seen::Absent | Seen::Ours { .. } => Vec::new(),
        }
    }

    async fn apply(&self, _: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        let (tool, path) = (self.tool_path.clone(), self.path.clone());
        act.act(&Controller, WriteCompletion { tool, shell: self.shell, path, mark: MARK }).await?;
        Ok(Applied::Changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::scripted::{Script, check};

    #[test]
    fn a_completion_is_written_once_and_by_its_own_tool() {
        let completion = || Completion {
            tool: "kubectl",
            tool_path: "/bin/kubectl".to_owned(),
            shell: Shell::Bash,
            path: "/c/kubectl".to_owned(),
        };
        let marked = |marked| says!(Controller, completion().mark() => marked);
        let written = |path: &str, at| says!(Controller, Modified { path: path.to_owned() } => at);
        let ours = |tool, file| [marked(Some(true)), written("/bin/kubectl", tool), written("/c/kubectl", file)];
        let write = &["controller: write bash completion /c/kubectl", "changed"];
        for (what, facts, plan, run) in [
            ("absent", vec![marked(None)], &["bash completion of kubectl: + /c/kubectl"][..], &write[..]),
            ("theirs", vec![marked(Some(false))], &["note: CompletionKept", "in sync"], &["in sync"]),
            (
                "of an older tool",
                ours(Some(9), Some(8)).into(),
                &["bash completion of kubectl: older than the tool → written by the tool"],
                write,
            ),
            ("of the same second", ours(Some(9), Some(9)).into(), &["in sync"], &["in sync"]),
            ("newer", ours(Some(8), Some(9)).into(), &["in sync"], &["in sync"]),
            ("its tool is gone", ours(None, Some(9)).into(), &["in sync"], &["in sync"]),
        ] {
            let script = Script::new(facts).once("write bash completion /c/kubectl", ours(Some(9), Some(10)));
            check(what, completion(), script, plan, run);
        }
    }
}
