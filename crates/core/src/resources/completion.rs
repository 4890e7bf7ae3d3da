//! A shell completes a tool's arguments.

use crate::change::{Change, Diff};
use crate::deed::Deed;
use crate::engine::{Act, Look};
use crate::fault::Fault;
use crate::names::{Label, Target};
use crate::probe::{Modified, Probe};
use crate::resource::{Applied, Resource};

/// A completion file that is at least as new as its tool.
#[derive(Debug)]
pub struct Completion {
    /// The tool's name.
    pub tool: &'static str,
    /// Where the tool is.
    pub tool_path: String,
    /// `bash` or `zsh`.
    pub shell: &'static str,
    /// Where the completion goes.
    pub path: String,
}

/// What a look finds.
#[derive(Debug)]
pub struct Seen {
    tool: Option<u64>,
    completion: Option<u64>,
}

impl Resource for Completion {
    type State = Seen;

    fn label(&self) -> Label {
        Label::of("controller", format_args!("{}-completion-{}", self.tool, self.shell))
    }

    fn target(&self) -> Target {
        Target::Controller
    }

    fn questions(&self) -> Vec<(Target, Probe)> {
        [&self.tool_path, &self.path].map(|path| (Target::Controller, Modified { path: path.clone() }.into())).to_vec()
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        let tool = look.ask(&Target::Controller, Modified { path: self.tool_path.clone() }).await?;
        let completion = look.ask(&Target::Controller, Modified { path: self.path.clone() }).await?;
        Ok(Seen { tool, completion })
    }

    fn diff(&self, seen: &Seen) -> Diff {
        let what = || format!("{} completion of {}", self.shell, self.tool);
        match (&seen.tool, &seen.completion) {
            (_, None) => Diff::Change(vec![Change::add(what(), &self.path)]),
            (Some(tool), Some(completion)) if completion < tool => {
                Diff::Change(vec![Change::new(what(), "older than the tool", "written by the tool")])
            }
            _ => Diff::InSync,
        }
    }

    async fn apply(&self, _: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        let (tool, path) = (self.tool_path.clone(), self.path.clone());
        act.act(&Target::Controller, Deed::WriteCompletion { tool, shell: self.shell, path }).await?;
        Ok(Applied::Changed)
    }
}
