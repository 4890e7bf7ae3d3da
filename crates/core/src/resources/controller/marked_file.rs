//! A file of ours in a directory of the user's: one that does not bear our mark is not ours and stays.

use crate::contract::controller::{Content, File, HasLine, WriteFile};
use crate::contract::{Asked, Contract, Controller, FileState};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, Sha256, Target};
use crate::run::change::{Change, Diff};
use crate::run::event::Notice;
use crate::run::fault::Fault;

/// The line that says whose a file is.
pub(in crate::resources) const MARK: &str =
    "# Managed by bringup: changes are overwritten. Without this line the file is yours.";

/// A script on the controller.
#[derive(Debug)]
pub struct MarkedScript {
    /// What it is, as the label tells it.
    purpose: &'static str,
    /// Its path.
    path: String,
    /// Its text, with the mark.
    text: String,
}

/// What a look finds.
#[derive(Debug)]
pub enum Seen {
    /// No such file.
    Absent,
    /// A file with our mark.
    Ours(FileState),
    /// A file without it.
    Theirs,
}

impl MarkedScript {
    const MODE: u32 = 0o755;

    /// A script of these commands; the mark is put in here, so that none is without.
    #[must_use]
    pub fn new(purpose: &'static str, path: String, commands: &str) -> Self {
        Self { purpose, path, text: format!("#!/bin/sh\n{MARK}\n{commands}") }
    }

    fn question(&self) -> HasLine {
        HasLine { path: self.path.clone(), line: MARK.to_owned() }
    }
}

impl Resource for MarkedScript {
    type State = Seen;

    fn label(&self) -> Label {
        Label::of("controller", self.purpose)
    }

    fn target(&self) -> Target {
        Target::Controller
    }

    fn questions(&self) -> Vec<Asked> {
        vec![Controller.asks(self.question())]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        match look.ask(&Controller, self.question()).await? {
            None => Ok(Seen::Absent),
            Some(false) => Ok(Seen::Theirs),
            Some(true) => {
                let state = look.ask(&Controller, File { path: self.path.clone() }).await?;
                Ok(state.map_or(Seen::Absent, Seen::Ours))
            }
        }
    }

    fn diff(&self, seen: &Seen) -> Diff {
        let size = self.text.len();
        match seen {
            Seen::Theirs => Diff::InSync,
            Seen::Absent => Diff::Change(vec![Change::add(&self.path, format!("{size} bytes"))]),
            Seen::Ours(state) => state.compare(&self.path, Sha256::of(&self.text), size, Self::MODE),
        }
    }

    fn notices(&self, seen: &Seen) -> Vec<Notice> {
        match seen {
            Seen::Theirs => {
                let (path, purpose) = (self.path.clone(), self.purpose.to_owned());
                vec![Notice::ScriptKept { path, purpose }]
            }
            Seen::Absent | Seen::Ours(_) => Vec::new(),
        }
    }

    async fn apply(&self, _: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        let (path, content) = (self.path.clone(), Content::Plain(self.text.clone()));
        act.act(&Controller, WriteFile { path, content, mode: Self::MODE }).await?;
        Ok(Applied::Changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::controller;
    use crate::resources::scripted::{Script, check, file};

    #[test]
    fn only_a_file_with_our_mark_is_replaced() {
        let script = MarkedScript::new("argo.sh", "/home/me/bin/argo.sh".to_owned(), "true\n");
        assert!(script.text.lines().any(|line| line == MARK));
        let state =
            |text: &str| FileState { sha256: Sha256::of(text), size: text.len() as u64, mode: 0o755, modified: 0 };
        for (seen, changes, notices) in [
            (Seen::Absent, true, 0),
            (Seen::Ours(state(&script.text)), false, 0),
            (Seen::Ours(state("older")), true, 0),
            (Seen::Ours(FileState { mode: 0o644, ..state(&script.text) }), true, 0),
            (Seen::Theirs, false, 1),
        ] {
            assert_eq!(script.diff(&seen).changes(), changes, "{seen:?}");
            assert_eq!(script.notices(&seen).len(), notices, "{seen:?}");
        }
    }

    #[test]
    fn a_script_is_written_as_it_should_be_and_one_of_the_user_stays() {
        let script = || MarkedScript::new("argo.sh", "/bin/argo.sh".to_owned(), "true\n");
        let marked = |marked| says!(Controller, script().question() => marked);
        let there = |state| says!(Controller, File { path: "/bin/argo.sh".to_owned() } => state);
        let good = file(&script().text, 0o755);
        let write = &["controller: write /bin/argo.sh", "changed"][..];
        let size = script().text.len();
        let (added, replaced) =
            (format!("/bin/argo.sh: + {size} bytes"), format!("/bin/argo.sh: other content (5 bytes) → {size} bytes"));
        for (what, facts, plan, run) in [
            ("absent", vec![marked(None)], &[added.as_str()][..], write),
            // It went between the two questions.
            ("gone", vec![marked(Some(true)), there(None)], &[added.as_str()], write),
            ("ours", vec![marked(Some(true)), there(Some(good.clone()))], &["in sync"], &["in sync"]),
            ("older", vec![marked(Some(true)), there(Some(file("older", 0o755)))], &[replaced.as_str()], write),
            (
                "not executable",
                vec![marked(Some(true)), there(Some(file(&script().text, 0o644)))],
                &["mode of /bin/argo.sh: 0644 → 0755"],
                write,
            ),
            ("theirs", vec![marked(Some(false))], &["note: ScriptKept", "in sync"], &["in sync"]),
        ] {
            let world = Script::new(facts).once("write /bin/argo.sh", [marked(Some(true)), there(Some(good.clone()))]);
            let told = check(what, script(), world, plan, run);
            for action in told.done::<Controller>() {
                let controller::Action::WriteFile(write) = action else { panic!("{what}: {action}") };
                assert_eq!((&write.content, write.mode), (&Content::Plain(script().text), 0o755), "{what}");
            }
        }
    }
}
