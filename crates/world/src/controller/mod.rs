//! The controller itself.

pub(crate) mod host_key_pair;
pub(crate) mod journal;
pub(crate) mod known_nodes;
pub(crate) mod kubeconfig_file;
pub(crate) mod local_source;
pub(crate) mod run_lock;
pub(crate) mod tools;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bringup_core::contract::controller::{
    Action, Answer, Content, EditKnownHosts, Fetch, InstallHelmPlugin, MakeDirectory, MergeKubeconfig, Question,
    WriteBlock, WriteCompletion, WriteFile,
};
use bringup_core::contract::world::{Progress, Unit};
use bringup_core::contract::{KnownHostsState, RememberedState};
use bringup_core::ids::Target;
use bringup_core::run::fault::{Cause, Fault};

use self::kubeconfig_file::Merge;
use crate::cluster;
use crate::files::known_hosts_file::Edited;
use crate::files::{block_file, cache, known_hosts_file, local_files, site_files};
use crate::web;

/// What of the controller belongs to this run.
#[derive(Clone, Debug)]
pub(crate) struct Controller {
    /// The site's directory, with its journals.
    pub site: PathBuf,
    /// Where what is fetched once is kept.
    pub cache: PathBuf,
    /// The user's known_hosts.
    pub known_hosts: String,
}

impl Controller {
    /// Answers one question.
    pub async fn answer(&self, question: &Question) -> Result<Answer, Fault> {
        let doing = || question.to_string();
        match question {
            Question::KnownHostLines(question) => {
                let known = known_hosts_file::read(&question.path)
                    .map_err(|error| known_hosts_fault(doing(), &question.path, &error))?;
                let keys = question.names.iter().map(|name| (name.clone(), known.keys_for(name)));
                Ok(question.answer(KnownHostsState {
                    keys: keys.filter(|(_, keys)| !keys.is_empty()).collect(),
                    version: known.version().to_owned(),
                }))
            }
            Question::File(question) => {
                let state = web::file_state(&question.path).await;
                state.map(|state| question.answer(state)).map_err(|error| disk_fault(doing(), &question.path, &error))
            }
            Question::FetchedSum(question) => web::fetched_sum(Path::new(&question.path), &question.url)
                .map(|sum| question.answer(sum))
                .map_err(|error| disk_fault(doing(), &question.path, &error)),
            Question::HasLine(question) => Ok(question.answer(has_line(&question.path, &question.line))),
            Question::Directory(question) => Ok(question.answer(Path::new(&question.path).is_dir())),
            Question::WebText(question) => {
                let text = web::text(&question.url).await;
                text.map(|text| question.answer(text)).map_err(|trouble| trouble.fault(&doing()))
            }
            Question::SealedKeysBackup(question) => cluster::sealed_keys_backup(Path::new(&question.directory))
                .map(|backup| question.answer(backup))
                .map_err(|error| disk_fault(doing(), &question.directory, &error)),
            Question::Remembered(question) => {
                let known = known_hosts_file::read(&self.known_hosts).map_err(|error| {
                    known_hosts_fault(format!("read {}", self.known_hosts), &self.known_hosts, &error)
                })?;
                let in_known_hosts = question.names.iter().any(|name| !known.keys_for(name).is_empty());
                let last_run = known_nodes::last_run(&self.site, &question.node)
                    .map_err(|error| Fault::new(Cause::Failed, Target::Controller, doing()).said(error.to_string()))?;
                Ok(question.answer(RememberedState { in_known_hosts, last_run }))
            }
            Question::Modified(question) => local_files::modified(Path::new(&question.path))
                .map(|modified| question.answer(modified))
                .map_err(|error| disk_fault(doing(), &question.path, &error)),
            Question::Block(question) => block_file::read(&question.path, &question.name)
                .map(|text| question.answer(text))
                .map_err(|error| block_fault(doing(), &question.path, &error)),
            Question::ToolVersion(question) => {
                tools::version(&question.path).await.map(|version| question.answer(version))
            }
            Question::HelmPlugin(question) => {
                let version = tools::helm_plugin(&question.helm, &question.name).await;
                version.map(|version| question.answer(version))
            }
            Question::KubeconfigContext(question) => {
                kubeconfig_file::context(Path::new(&question.path), &question.context)
                    .map(|state| question.answer(state))
                    .map_err(|trouble| kubeconfig_fault(doing(), &question.path, &trouble))
            }
            Question::NewHostKey(question) => {
                let pair = host_key_pair::new(&question.comment).map_err(|error| {
                    Fault::new(Cause::Failed, Target::Controller, doing())
                        .said(error)
                        .next("see whether this machine gives random bytes (getrandom); then run again")
                })?;
                Ok(question.answer(pair))
            }
        }
    }

    /// Acts.
    pub async fn act(&self, action: &Action, progress: Progress<'_>) -> Result<(), Fault> {
        let doing = || action.to_string();
        match action {
            Action::EditKnownHosts(EditKnownHosts { path, remove, add, expect }) => {
                match known_hosts_file::edit(path, remove, add, expect.as_deref()).await {
                    Ok(Edited::Done) => Ok(()),
                    Ok(Edited::Stale) => Err(Fault::new(Cause::Stale, Target::Controller, doing())
                        .said("someone else wrote known_hosts meanwhile")),
                    Err(error) => Err(known_hosts_fault(doing(), path, &error)),
                }
            }
            Action::Fetch(Fetch { url, sha256, member, path, mode }) => {
                let fetch = web::Fetch {
                    url,
                    sha256: *sha256,
                    member: member.as_deref(),
                    path: Path::new(path),
                    parts: &self.cache,
                    longest: web::LONGEST_FILE,
                    mode: *mode,
                    stall: web::STALL_BOUND,
                    heard: None,
                };
                let told = |done, total| progress(done, total, Unit::Bytes);
                web::fetch(&fetch, &told).await.map_err(|trouble| trouble.fault(&doing()))?;
                cache::keep_within(&self.cache, cache::CACHE_BOUND);
                Ok(())
            }
            Action::WriteFile(WriteFile { path, content, mode }) => {
                local_files::write(Path::new(path), content, *mode).map_err(|error| disk_fault(doing(), path, &error))
            }
            Action::MakeDirectory(MakeDirectory { path }) => {
                std::fs::create_dir_all(path).map_err(|error| disk_fault(doing(), path, &error))
            }
            Action::WriteBlock(WriteBlock { path, name, text }) => {
                let written = block_file::write(path, name, Some(text)).await;
                written.map(drop).map_err(|error| block_fault(doing(), path, &error))
            }
            Action::InstallHelmPlugin(InstallHelmPlugin { helm, name, url, sha256, version }) => {
                let version = version.as_str();
                let plugin = tools::Plugin { helm, name, url, sha256: *sha256, version, cache: &self.cache };
                tools::install_plugin(&plugin, &|done, total| progress(done, total, Unit::Bytes)).await
            }
            Action::WriteCompletion(WriteCompletion { tool, shell, path, mark }) => {
                let text = tools::completion(tool, *shell).await?;
                let text = Content::Plain(format!("{}\n{mark}\n", text.trim_end()));
                local_files::write(Path::new(path), &text, 0o644).map_err(|error| disk_fault(doing(), path, &error))
            }
            Action::MergeKubeconfig(MergeKubeconfig { path, context, access, set_current }) => {
                let merge = Merge { name: context, access, set_current: *set_current };
                let merged = kubeconfig_file::merge(Path::new(path), &merge).await;
                merged.map_err(|trouble| kubeconfig_fault(doing(), path, &trouble))
            }
        }
    }
}

/// Whether a file has this line; `None`: there is no file.
fn has_line(path: &str, line: &str) -> Option<bool> {
    match site_files::read(Path::new(path)) {
        Ok(bytes) => {
            let mut lines = bytes.split(|byte| *byte == b'\n');
            Some(lines.any(|other| other.trim_ascii_end() == line.as_bytes()))
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
        // A program, a FIFO, a directory: whatever it is, it is no text with such a line.
        Err(_) => Some(false),
    }
}

fn disk_fault(doing: String, path: &str, error: &std::io::Error) -> Fault {
    Fault::new(Cause::Failed, Target::Controller, doing)
        .said(format!("{path}: {error}"))
        .next("see whether the path is right and yours, and whether the disk has room")
}

fn block_fault(doing: String, path: &str, error: &std::io::Error) -> Fault {
    Fault::new(Cause::Failed, Target::Controller, doing).said(format!("{path}: {error}")).next(
        "make sure the file is yours and is text, and fix the marker lines if they are broken; nothing was changed",
    )
}

fn kubeconfig_fault(doing: String, path: &str, trouble: &kubeconfig_file::KubeconfigError) -> Fault {
    let (said, next) = match trouble {
        kubeconfig_file::KubeconfigError::Disk(error) => {
            (error.to_string(), "see whether the file is yours, and whether its disk has room; nothing was changed")
        }
        kubeconfig_file::KubeconfigError::Odd(odd) => {
            (odd.to_string(), "fix the file or move it away, or set `kubeconfig` to another one; nothing was changed")
        }
    };
    Fault::new(Cause::Failed, Target::Controller, doing).said(format!("{path}: {said}")).next(next)
}

fn known_hosts_fault(doing: String, path: &str, error: &std::io::Error) -> Fault {
    Fault::new(Cause::Failed, Target::Controller, doing)
        .said(format!("{path}: {error}"))
        .next("see whether the file is yours, is text, and its disk has room; nothing was changed")
}
