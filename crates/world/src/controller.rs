//! The controller itself.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bringup_core::deed::{Content, Deed, Reply};
use bringup_core::fault::{Cause, Fault};
use bringup_core::ids::Target;
use bringup_core::probe::{Answer, KnownHostsState, Probe, RememberedState};
use bringup_core::world::Progress;

use crate::known_hosts_file::{self, Edited};
use crate::kubeconfig_file::{self, Merge};
use crate::{block_file, cache, cluster, known_nodes, local_files, not_built, site_files, tools, web};

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
    pub async fn answer(&self, probe: &Probe) -> Result<Answer, Fault> {
        match probe {
            Probe::KnownHostLines(lines) => {
                let known = known_hosts_file::read(&lines.path)
                    .map_err(|error| known_hosts_fault(format!("read {}", lines.path), &lines.path, &error))?;
                let keys = lines.names.iter().map(|name| (name.clone(), known.keys_for(name)));
                Ok(Answer::KnownHostLines(KnownHostsState {
                    keys: keys.filter(|(_, keys)| !keys.is_empty()).collect(),
                    version: known.version().to_owned(),
                }))
            }
            Probe::File(file) => {
                let state = web::file_state(&file.path).await;
                state.map(Answer::File).map_err(|error| disk_fault(format!("read {}", file.path), &file.path, &error))
            }
            Probe::FetchedSum(file) => {
                web::fetched_sum(Path::new(&file.path), &file.url).map(Answer::FetchedSum).map_err(|error| {
                    disk_fault(format!("read the checksum recorded for {}", file.path), &file.path, &error)
                })
            }
            Probe::HasLine(file) => match site_files::read(Path::new(&file.path)) {
                Ok(bytes) => {
                    let mut lines = bytes.split(|byte| *byte == b'\n');
                    Ok(Answer::HasLine(Some(lines.any(|line| line.trim_ascii_end() == file.line.as_bytes()))))
                }
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    Ok(Answer::HasLine(None))
                }
                // A program, a FIFO, a directory: whatever it is, it is no text with such a line.
                Err(_) => Ok(Answer::HasLine(Some(false))),
            },
            Probe::Directory(directory) => Ok(Answer::Directory(Path::new(&directory.path).is_dir())),
            Probe::WebText(text) => {
                let answer = web::text(&text.url).await;
                answer.map(Answer::WebText).map_err(|trouble| trouble.fault(&format!("read {}", text.url)))
            }
            Probe::SealedKeysBackup(backup) => cluster::sealed_keys_backup(Path::new(&backup.directory))
                .map(Answer::SealedKeysBackup)
                .map_err(|error| disk_fault(format!("read {}", backup.directory), &backup.directory, &error)),
            Probe::Remembered(question) => {
                let known = known_hosts_file::read(&self.known_hosts).map_err(|error| {
                    known_hosts_fault(format!("read {}", self.known_hosts), &self.known_hosts, &error)
                })?;
                let in_known_hosts = question.names.iter().any(|name| !known.keys_for(name).is_empty());
                let last_run = known_nodes::last_run(&self.site, &question.node).map_err(|error| {
                    Fault::new(Cause::Failed, Target::Controller, format!("see whether {} is known", question.node))
                        .said(error.to_string())
                })?;
                Ok(Answer::Remembered(RememberedState { in_known_hosts, last_run }))
            }
            Probe::Modified(file) => {
                let modified = local_files::modified(Path::new(&file.path));
                modified
                    .map(Answer::Modified)
                    .map_err(|error| disk_fault(format!("look at {}", file.path), &file.path, &error))
            }
            Probe::Block(block) => {
                let text = block_file::read(&block.path, &block.name);
                text.map(Answer::Block)
                    .map_err(|error| block_fault(format!("read {}", block.path), &block.path, &error))
            }
            Probe::ToolVersion(tool) => tools::version(&tool.path).await.map(Answer::ToolVersion),
            Probe::HelmPlugin(plugin) => tools::helm_plugin(&plugin.helm, &plugin.name).await.map(Answer::HelmPlugin),
            Probe::KubeconfigContext(context) => {
                let state = kubeconfig_file::context(Path::new(&context.path), &context.context);
                state
                    .map(Answer::KubeconfigContext)
                    .map_err(|trouble| kubeconfig_fault(format!("read {}", context.path), &context.path, &trouble))
            }
            _ => Err(not_built::fault(&Target::Controller, format!("ask for {}", probe.word()))),
        }
    }

    /// Brings one deed about.
    pub async fn act(&self, deed: &Deed, progress: Progress<'_>) -> Result<Reply, Fault> {
        match deed {
            Deed::EditKnownHosts { path, remove, add, expect } => {
                match known_hosts_file::edit(path, remove, add, expect.as_deref()).await {
                    Ok(Edited::Done) => {}
                    Ok(Edited::Stale) => {
                        return Err(Fault::new(Cause::Stale, Target::Controller, deed.to_string())
                            .said("someone else wrote known_hosts meanwhile"));
                    }
                    Err(error) => return Err(known_hosts_fault(deed.to_string(), path, &error)),
                }
            }
            Deed::Fetch { url, sha256, member, path, mode } => {
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
                let told = |done, total| progress(done, total, "bytes");
                web::fetch(&fetch, &told).await.map_err(|trouble| trouble.fault(&deed.to_string()))?;
                cache::keep_within(&self.cache, cache::CACHE_BOUND);
            }
            Deed::WriteFile { path, content, mode } => local_files::write(Path::new(path), content, *mode)
                .map_err(|error| disk_fault(deed.to_string(), path, &error))?,
            Deed::MakeDirectory { path } => {
                std::fs::create_dir_all(path).map_err(|error| disk_fault(deed.to_string(), path, &error))?;
            }
            Deed::WriteBlock { path, name, text } => {
                let written = block_file::write(path, name, Some(text)).await;
                written.map_err(|error| block_fault(deed.to_string(), path, &error))?;
            }
            Deed::InstallHelmPlugin { helm, name, url, sha256, version } => {
                let version = version.as_str();
                let plugin = tools::Plugin { helm, name, url, sha256: *sha256, version, cache: &self.cache };
                tools::install_plugin(&plugin, &|done, total| progress(done, total, "bytes")).await?;
            }
            Deed::WriteCompletion { tool, shell, path, mark } => {
                let text = tools::completion(tool, shell).await?;
                let text = format!("{}\n{mark}\n", text.trim_end());
                local_files::write(Path::new(path), &Content::Plain(text), 0o644)
                    .map_err(|error| disk_fault(deed.to_string(), path, &error))?;
            }
            Deed::MergeKubeconfig { path, context, access, set_current } => {
                let merge = Merge { name: context, access, set_current: *set_current };
                kubeconfig_file::merge(Path::new(path), &merge)
                    .await
                    .map_err(|trouble| kubeconfig_fault(deed.to_string(), path, &trouble))?;
            }
            _ => return Err(not_built::fault(&Target::Controller, deed.to_string())),
        }
        Ok(Reply::Done)
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

fn kubeconfig_fault(doing: String, path: &str, trouble: &kubeconfig_file::Trouble) -> Fault {
    let (said, next) = match trouble {
        kubeconfig_file::Trouble::Disk(error) => {
            (error.to_string(), "see whether the file is yours, and whether its disk has room; nothing was changed")
        }
        kubeconfig_file::Trouble::Odd(odd) => {
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
