//! The controller.

use bringup_core::contract::controller::{
    Action, Answer, EditKnownHosts, Fetch, HostKeyPair, InstallHelmPlugin, MakeDirectory, MergeKubeconfig, Question,
    WriteBlock, WriteCompletion, WriteFile,
};
use bringup_core::contract::{Controller, KnownHostsState, KubeconfigState, RememberedState};
use bringup_core::ids::{Sha256, Target};
use bringup_core::run::fault::{Cause, Fault};
use bringup_core::site::Kind;
use bringup_core::text::known_hosts::KnownHosts;
use bringup_core::text::secret::Secret;

use super::{SECRET_MARK, Simulated, file, written};
use crate::controller::Fetched;
use crate::durations;
use crate::machine::key_of;
use crate::state::State;
use crate::story;

impl Simulated for Controller {
    /// known_hosts as it was when an edit of it began.
    type Begun = Option<KnownHosts>;

    const TRIP: u64 = durations::ASK_CONTROLLER;
    const TRAVELS: bool = false;

    fn answer(&self, state: &mut State, question: &Question) -> (Result<Answer, Fault>, u64) {
        (Ok(answer(state, question)), 0)
    }

    fn takes(&self, state: &State, action: &Action) -> u64 {
        let images = &state.site.settings;
        match action {
            Action::Fetch(fetch) => {
                let bytes = match &fetch.url {
                    url if *url == images.cm4_image.url => durations::image_sizes(Kind::Cm4).0,
                    url if *url == images.rk1_image.url => durations::image_sizes(Kind::Rk1).0,
                    _ => durations::OTHER_FILE,
                };
                durations::fetch(bytes)
            }
            Action::InstallHelmPlugin(_) => 5_000,
            Action::WriteCompletion(_) | Action::MergeKubeconfig(_) => 200,
            Action::EditKnownHosts(_) => 30,
            Action::WriteFile(_) | Action::MakeDirectory(_) | Action::WriteBlock(_) => durations::AT_ONCE,
        }
    }

    fn begin(&self, state: &mut State, action: &Action) -> Result<Self::Begun, Fault> {
        Ok(matches!(action, Action::EditKnownHosts(_)).then(|| state.controller.known_hosts.clone()))
    }

    fn effect(&self, state: &mut State, action: &Action, before: Self::Begun) -> Result<(), Fault> {
        let now = state.now;
        match action {
            Action::Fetch(Fetch { url, sha256, path, mode, .. }) => {
                let mut fetched = file(url.as_bytes(), *mode, now);
                fetched.sha256 = sha256.unwrap_or(fetched.sha256);
                let record = Fetched { url: url.clone(), sha256: fetched.sha256 };
                state.controller.fetched.insert(path.clone(), record);
                state.controller.files.insert(path.clone(), fetched);
                if let Some(version) = version_in(url) {
                    state.controller.tools.insert(path.clone(), version);
                }
            }
            Action::WriteFile(WriteFile { path, content, mode }) => {
                state.controller.files.insert(path.clone(), written(content, *mode, now));
            }
            Action::MakeDirectory(MakeDirectory { path }) => {
                state.controller.directories.insert(path.clone());
            }
            Action::WriteBlock(WriteBlock { path, name, text }) => {
                state.controller.blocks.insert((path.clone(), name.clone()), text.clone());
            }
            Action::InstallHelmPlugin(InstallHelmPlugin { name, version, .. }) => {
                state.controller.plugins.insert(name.clone(), version.to_string());
            }
            Action::WriteCompletion(WriteCompletion { tool, path, .. }) => {
                state.controller.files.insert(path.clone(), file(tool.as_bytes(), 0o644, now));
            }
            Action::EditKnownHosts(edit) => edit_known_hosts(state, edit, before)?,
            Action::MergeKubeconfig(MergeKubeconfig { context, access, .. }) => {
                let (server, credentials_sha256) = (access.server().to_string(), Some(access.sha256()));
                let merged = KubeconfigState { server, credentials_sha256, mode: 0o600 };
                state.controller.kubeconfig.insert(context.clone(), merged);
            }
        }
        Ok(())
    }
}

fn answer(state: &State, question: &Question) -> Answer {
    let controller = &state.controller;
    match question {
        Question::File(question) => question.answer(controller.files.get(&question.path).cloned()),
        Question::FetchedSum(question) => {
            let fetched = controller.fetched.get(&question.path).filter(|fetched| fetched.url == question.url);
            question.answer(fetched.map(|fetched| fetched.sha256))
        }
        // Whatever is in its directories is ours.
        Question::HasLine(question) => question.answer(controller.files.get(&question.path).map(|_| true)),
        Question::Directory(question) => question.answer(controller.directories.contains(&question.path)),
        Question::Modified(question) => question.answer(controller.files.get(&question.path).map(|file| file.modified)),
        Question::Block(question) => {
            question.answer(controller.blocks.get(&(question.path.clone(), question.name.clone())).cloned())
        }
        Question::ToolVersion(question) => question.answer(controller.tools.get(&question.path).cloned()),
        Question::HelmPlugin(question) => question.answer(controller.plugins.get(&question.name).cloned()),
        Question::WebText(question) => question.answer(if question.url.ends_with("stable.txt") {
            "v1.34.2".to_owned()
        } else {
            Sha256::of("published").to_string()
        }),
        Question::KnownHostLines(question) => {
            let keys = question.names.iter().map(|name| (name.clone(), controller.known_hosts.keys_for(name)));
            question.answer(KnownHostsState {
                keys: keys.filter(|(_, keys)| !keys.is_empty()).collect(),
                version: controller.known_hosts.version().to_owned(),
            })
        }
        Question::KubeconfigContext(question) => question.answer(controller.kubeconfig.get(&question.context).cloned()),
        Question::SealedKeysBackup(question) => question.answer(None),
        Question::Remembered(question) => {
            let known = question.names.iter().any(|name| !controller.known_hosts.keys_for(name).is_empty());
            let in_known_hosts = known || controller.remembered.contains(&question.node);
            question.answer(RememberedState { in_known_hosts, last_run: None })
        }
        Question::NewHostKey(question) => question.answer(HostKeyPair {
            private: Secret::new(SECRET_MARK),
            public: key_of(&format!("{}-{}", question.comment, question.order)),
        }),
    }
}

fn edit_known_hosts(state: &mut State, edit: &EditKnownHosts, before: Option<KnownHosts>) -> Result<(), Fault> {
    story::foreign_line(state);
    state.keys_are_vouched_for(&edit.add);
    let current = state.controller.known_hosts.version().to_owned();
    match (&edit.expect, before) {
        (Some(expect), _) if *expect != current => {
            return Err(Fault::new(Cause::Stale, Target::Controller, edit.to_string())
                .said("someone else wrote known_hosts meanwhile"));
        }
        // Nobody asked to be told of other writers: what was read at the beginning is written back.
        (None, Some(before)) => state.controller.known_hosts = before,
        (Some(_), _) | (None, None) => {}
    }
    for name in &edit.remove {
        state.controller.known_hosts.remove(name);
    }
    for (name, key) in &edit.add {
        state.controller.known_hosts.add(name, key);
    }
    state.foreign_lines_stay();
    Ok(())
}

/// The version in a release's address: what follows a `v` and looks like one.
fn version_in(url: &str) -> Option<String> {
    url.split(['/', '-']).find_map(|part| {
        let version = part.strip_prefix('v')?;
        let numbers = version.trim_end_matches(".tar.gz");
        numbers.starts_with(|first: char| first.is_ascii_digit()).then(|| numbers.to_owned())
    })
}
