//! A file from the web is in the controller's cache, by what it is and not only by name.

use std::time::Duration;

use crate::change::{Change, Diff};
use crate::deed::Deed;
use crate::engine::{Act, Look};
use crate::fault::Fault;
use crate::names::{Label, Target};
use crate::probe::{File, FileState, Probe};
use crate::resource::{Applied, Resource};

/// A fetched file.
#[derive(Debug)]
pub struct FetchedFile {
    /// What it is, as the label tells it.
    pub purpose: &'static str,
    /// From where.
    pub url: String,
    /// SHA-256 that it must have, in hex; none where the source publishes none: then its path names its version.
    pub sha256: Option<String>,
    /// Where it is kept.
    pub path: String,
}

impl Resource for FetchedFile {
    type State = Option<FileState>;

    fn label(&self) -> Label {
        Label::of("controller", self.purpose)
    }

    fn target(&self) -> Target {
        Target::Controller
    }

    fn questions(&self) -> Vec<(Target, Probe)> {
        vec![(Target::Controller, File { path: self.path.clone() }.into())]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Option<FileState>, Fault> {
        look.ask(&Target::Controller, File { path: self.path.clone() }).await
    }

    fn diff(&self, seen: &Option<FileState>) -> Diff {
        match seen {
            Some(seen) if self.sha256.as_ref().is_none_or(|sha256| seen.sha256 == *sha256) => Diff::InSync,
            Some(_) => Diff::Change(vec![Change::new(&self.path, "other content", &self.url)]),
            None => Diff::Change(vec![Change::add(&self.path, &self.url)]),
        }
    }

    async fn apply(&self, _: &Option<FileState>, act: &Act<'_>) -> Result<Applied, Fault> {
        let (url, sha256, path) = (self.url.clone(), self.sha256.clone(), self.path.clone());
        act.act(&Target::Controller, Deed::Fetch { url, sha256, member: None, path, mode: 0o755 }).await?;
        Ok(Applied::Changed)
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(3)
    }
}
