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
    use super::*;
    use crate::contract::controller;
    use crate::resources::scripted::{Script, check, file};

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

    #[test]
    fn a_file_is_fetched_unless_it_was_proved() {
        const URL: &str = "https://a.example/x";
        let fetched = |sha256: Option<&str>| FetchedFile {
            purpose: "script",
            url: URL.to_owned(),
            sha256: sha256.map(Sha256::of),
            path: "/cache/x".to_owned(),
        };
        let there = |text: Option<&str>| says!(Controller, fetched(None).file() => text.map(|text| file(text, 0o755)));
        let recorded = |text: Option<&str>| says!(Controller, fetched(None).fetched() => text.map(Sha256::of));
        let fetch = &["controller: fetch https://a.example/x to /cache/x", "changed"][..];
        let same = &["in sync"][..];
        let other = &["/cache/x: other content → https://a.example/x"][..];
        for (what, stated, facts, plan, run) in [
            ("absent", None, vec![there(None), recorded(None)], &["/cache/x: + https://a.example/x"][..], fetch),
            ("gone since", None, vec![there(None), recorded(Some("new"))], &["/cache/x: + https://a.example/x"], fetch),
            (
                "put there by somebody",
                None,
                vec![there(Some("new")), recorded(None)],
                &["/cache/x: unverified content → https://a.example/x"],
                fetch,
            ),
            ("changed since", None, vec![there(Some("old")), recorded(Some("new"))], other, fetch),
            ("as it was fetched", None, vec![there(Some("new")), recorded(Some("new"))], same, same),
            // What was recorded is not asked where the site states a sum: it would not count.
            ("not the stated one", Some("new"), vec![there(Some("old"))], other, fetch),
            ("the stated one", Some("new"), vec![there(Some("new"))], same, same),
            (
                "the web has another one",
                Some("newest"),
                vec![there(None)],
                &["/cache/x: + https://a.example/x"],
                &[fetch[0], "did not converge: /cache/x: other content → https://a.example/x"],
            ),
        ] {
            let words = "fetch https://a.example/x to /cache/x";
            let script = Script::new(facts).once(words, [there(Some("new")), recorded(Some("new"))]);
            let told = check(what, fetched(stated), script, plan, run);
            for action in told.done::<Controller>() {
                let controller::Action::Fetch(fetch) = action else { panic!("{what}: {action}") };
                assert_eq!((fetch.sha256, fetch.mode), (stated.map(Sha256::of), 0o755), "{what}");
            }
        }
    }
}
