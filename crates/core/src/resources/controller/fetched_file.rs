//! A file from the web is in the controller's cache, by what it is and not only by name.

use std::time::Duration;

use crate::contract::controller::{Fetch, FetchedSum, File};
use crate::contract::{Asked, Contract, Controller};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, Sha256, Target};
use crate::run::change::{Change, Diff};
use crate::run::fault::Fault;

/// A fetched file.
#[derive(Debug)]
pub struct FetchedFile {
    /// What it is, as the label tells it.
    pub purpose: &'static str,
    /// From where.
    pub url: String,
    /// Its sum, if the site states it. Otherwise the file must have the sum that was recorded when it was fetched
    /// from that address.
    pub sha256: Option<Sha256>,
    /// Where it is kept.
    pub path: String,
}

/// What a look finds.
#[derive(Debug)]
pub struct Seen {
    /// Sum of the file; `None`: there is none.
    present: Option<Sha256>,
    /// The sum that it should have; `None`: neither stated nor recorded.
    wanted: Option<Sha256>,
}

impl FetchedFile {
    fn file(&self) -> File {
        File { path: self.path.clone() }
    }

    fn fetched(&self) -> FetchedSum {
        FetchedSum { path: self.path.clone(), url: self.url.clone() }
    }
}

impl Resource for FetchedFile {
    type State = Seen;

    fn label(&self) -> Label {
        Label::of("controller", self.purpose)
    }

    fn target(&self) -> Target {
        Target::Controller
    }

    fn questions(&self) -> Vec<Asked> {
        let mut questions = vec![Controller.asks(self.file())];
        if self.sha256.is_none() {
            questions.push(Controller.asks(self.fetched()));
        }
        questions
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        let present = look.ask(&Controller, self.file()).await?.map(|file| file.sha256);
        let wanted = match self.sha256 {
            Some(sha256) => Some(sha256),
            None => look.ask(&Controller, self.fetched()).await?,
        };
        Ok(Seen { present, wanted })
    }

    fn diff(&self, seen: &Seen) -> Diff {
        match (&seen.present, &seen.wanted) {
            (None, _) => Diff::Change(vec![Change::add(&self.path, &self.url)]),
            (Some(present), Some(wanted)) if present == wanted => Diff::InSync,
            (Some(_), Some(_)) => Diff::Change(vec![Change::new(&self.path, "other content", &self.url)]),
            (Some(_), None) => Diff::Change(vec![Change::new(&self.path, "unverified content", &self.url)]),
        }
    }

    async fn apply(&self, _: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        let (url, sha256, path) = (self.url.clone(), self.sha256, self.path.clone());
        act.act(&Controller, Fetch { url, sha256, member: None, path, mode: 0o755 }).await?;
        Ok(Applied::Changed)
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(3)
    }
}

#[cfg(test)]
mod tests {
    use super::{FetchedFile, Seen};
    use crate::engine::resource::Resource;
    use crate::ids::Sha256;
    use crate::run::change::Diff;

    #[test]
    fn only_the_file_that_was_proved_is_in_place() {
        let file = FetchedFile {
            purpose: "script",
            url: "https://a.example/x".to_owned(),
            sha256: None,
            path: "/cache/x".to_owned(),
        };
        for (present, wanted, in_sync) in [
            (None, None, false),
            (None, Some("a"), false),
            (Some("a"), None, false),
            (Some("a"), Some("b"), false),
            (Some("a"), Some("a"), true),
        ] {
            let seen = Seen { present: present.map(Sha256::of), wanted: wanted.map(Sha256::of) };
            assert_eq!(matches!(file.diff(&seen), Diff::InSync), in_sync, "{seen:?}");
        }
    }
}
