//! A file holds what it should.

use crate::change::{Change, Diff};
use crate::deed::{Content, Deed};
use crate::engine::{Act, Look};
use crate::fault::Fault;
use crate::ids::{Label, Sha256, Target};
use crate::probe::{File, FileState, Probe};
use crate::resource::{Applied, Resource};

impl FileState {
    /// What is another than it should be: the content, the permission bits.
    pub(super) fn compare(&self, path: &str, sha256: Sha256, size: usize, mode: u32) -> Diff {
        let mut changes = Vec::new();
        if self.sha256 != sha256 {
            let from = format!("other content ({} bytes)", self.size);
            changes.push(Change::new(path, from, format!("{size} bytes")));
        }
        if self.mode != mode {
            let (from, to) = (format!("{:04o}", self.mode), format!("{mode:04o}"));
            changes.push(Change::new(format!("mode of {path}"), from, to));
        }
        Diff::of(changes)
    }
}

/// A file of ours, whole.
#[derive(Debug)]
pub struct ManagedFile {
    /// Where.
    pub target: Target,
    /// What it is, as the label tells it.
    pub purpose: &'static str,
    /// Its path.
    pub path: String,
    /// Its text.
    pub text: String,
    /// Its permission bits.
    pub mode: u32,
}

impl ManagedFile {
    fn question(&self) -> File {
        File { path: self.path.clone() }
    }
}

impl Resource for ManagedFile {
    type State = Option<FileState>;

    fn label(&self) -> Label {
        Label::of(&self.target, self.purpose)
    }

    fn target(&self) -> Target {
        self.target.clone()
    }

    fn questions(&self) -> Vec<(Target, Probe)> {
        vec![(self.target.clone(), self.question().into())]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Option<FileState>, Fault> {
        look.ask(&self.target, self.question()).await
    }

    fn diff(&self, seen: &Option<FileState>) -> Diff {
        let size = self.text.len();
        match seen {
            Some(seen) => seen.compare(&self.path, Sha256::of(&self.text), size, self.mode),
            None => Diff::Change(vec![Change::add(&self.path, format!("{size} bytes"))]),
        }
    }

    async fn apply(&self, _: &Option<FileState>, act: &Act<'_>) -> Result<Applied, Fault> {
        let (path, content) = (self.path.clone(), Content::Plain(self.text.clone()));
        act.act(&self.target, Deed::WriteFile { path, content, mode: self.mode }).await?;
        Ok(Applied::Changed)
    }
}
