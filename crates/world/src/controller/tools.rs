//! The command-line tools of the controller: asked for their version, and for what they make for others.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bringup_core::ids::{Sha256, Target};
use bringup_core::run::fault::{Cause, Fault};
use bringup_core::text::document::Document;
use bringup_core::text::shell::Shell;
use tokio::process::Command;

use crate::files::site_files;
use crate::program;
use crate::web;

/// How long a tool may take to say something. From a cold disk one takes a second.
const BOUND: Duration = Duration::from_secs(30);

/// A tool's version, without `v`; `None`: it is not there.
///
/// # Errors
/// When what is there cannot be run, or says no version.
pub(crate) async fn version(path: &str) -> Result<Option<String>, Fault> {
    let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
    // Neither asks a cluster.
    let arguments: &[&str] = match name.as_ref() {
        "helm" => &["version", "--short"],
        "kubectl" => &["version", "--client"],
        _ => &["--version"],
    };
    let doing = format!("ask {path} for its version");
    let Some(said) = run(path, arguments, &doing).await? else { return Ok(None) };
    let text = String::from_utf8_lossy(&said);
    match version_in(&text) {
        Some(version) => Ok(Some(version)),
        None => Err(not_ours(path, doing).said(text.trim())),
    }
}

/// An installed plugin's version; `None`: it is not there, or there is no helm.
///
/// # Errors
/// When helm does not say.
pub(crate) async fn helm_plugin(helm: &str, name: &str) -> Result<Option<String>, Fault> {
    let said = run(helm, &["plugin", "list"], "ask helm for its plugins").await?;
    Ok(said.and_then(|said| plugin_in(&String::from_utf8_lossy(&said), name)))
}

/// What a tool prints for a shell to complete its arguments.
///
/// # Errors
/// When there is no such tool, or it prints none.
pub(crate) async fn completion(tool: &str, shell: Shell) -> Result<String, Fault> {
    let doing = format!("ask {tool} for its {shell} completion");
    let said = run(tool, &["completion", &shell.to_string()], &doing).await?.unwrap_or_default();
    String::from_utf8(said).ok().filter(|text| !text.trim().is_empty()).ok_or_else(|| not_ours(tool, doing))
}

/// A helm plugin to be put in place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plugin<'a> {
    /// Absolute path of helm.
    pub helm: &'a str,
    /// Its name.
    pub name: &'a str,
    /// URL of its archive.
    pub url: &'a str,
    /// Sum of the archive.
    pub sha256: Sha256,
    /// Its version.
    pub version: &'a str,
    /// Directory for the archive.
    pub cache: &'a Path,
}

/// Puts a plugin where helm looks for plugins, out of a checked archive. `helm plugin install` would run a script that
/// checks nothing.
///
/// # Errors
/// When something of that cannot be done; what was in place still is.
pub(crate) async fn install_plugin(plugin: &Plugin<'_>, told: &(dyn Fn(u64, u64) + Send + Sync)) -> Result<(), Fault> {
    let doing = format!("install helm plugin {} {}", plugin.name, plugin.version);
    let said = run(plugin.helm, &["env", "HELM_PLUGINS"], &doing).await?.unwrap_or_default();
    let directories = String::from_utf8_lossy(&said);
    // A list, as PATH is one; the first is the user's own.
    let directory = directories.trim().split(':').next().filter(|path| path.starts_with('/'));
    let directory = PathBuf::from(
        directory
            .ok_or_else(|| not_ours(plugin.helm, doing.clone()).said("`helm env HELM_PLUGINS` names no directory"))?,
    );
    let archive = plugin.cache.join(format!("helm-{}-{}.tgz", plugin.name, plugin.version));
    let fetch = web::Fetch {
        url: plugin.url,
        sha256: Some(plugin.sha256),
        member: None,
        path: &archive,
        parts: plugin.cache,
        longest: web::LONGEST_FILE,
        mode: 0o644,
        stall: web::STALL_BOUND,
        heard: None,
    };
    web::fetch(&fetch, told).await.map_err(|trouble| trouble.fault(&doing))?;
    let name = plugin.name.to_owned();
    let placing = tokio::task::spawn_blocking(move || place(&archive, &name, &directory));
    let placed = placing
        .await
        .map_err(|error| Fault::new(Cause::Failed, Target::Controller, doing.clone()).said(error.to_string()))?;
    placed.map_err(|trouble| trouble.fault(&doing))
}

/// Unpacks the two files that make a plugin and puts them in place together, instead of what is there of that name.
fn place(archive: &Path, name: &str, directory: &Path) -> Result<(), web::WebError> {
    let local = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| web::WebError::Local(path, error)
    };
    fs::create_dir_all(directory).map_err(local(directory))?;
    let mark = fastrand::u32(..);
    let (new, old) = (directory.join(format!(".{name}-{mark:08x}")), directory.join(format!(".{name}-{mark:08x}.old")));
    let unpacked = (|| {
        fs::create_dir_all(new.join("bin")).map_err(local(&new))?;
        for (file, mode) in [("plugin.yaml".to_owned(), 0o644), (format!("bin/{name}"), 0o755)] {
            let path = new.join(&file);
            let mut to =
                OpenOptions::new().create_new(true).write(true).mode(mode).open(&path).map_err(local(&path))?;
            web::extract(archive, &format!("{name}/{file}"), &mut to)?;
        }
        Ok(())
    })();
    let placed = unpacked.and_then(|()| {
        let place = present(directory, name).unwrap_or_else(|| directory.join(format!("helm-{name}")));
        // Whoever made a link for it keeps what it leads to.
        match fs::rename(&place, &old) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(local(&place)(error)),
            _ => {}
        }
        fs::rename(&new, &place).map_err(local(&place))
    });
    // What is left of either is in nobody's way: helm looks for `*/plugin.yaml`, which does not match a hidden name.
    let _ = fs::remove_dir_all(&new);
    let _ = if old.is_symlink() { fs::remove_file(&old) } else { fs::remove_dir_all(&old) };
    placed
}

/// Where a plugin of that name is installed.
fn present(directory: &Path, name: &str) -> Option<PathBuf> {
    let mut places: Vec<PathBuf> = fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path()).collect();
    places.sort();
    places.into_iter().find(|place| {
        let hidden = place.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let text = site_files::read_text(&place.join("plugin.yaml")).unwrap_or_default();
        let plugin = Document::of_user(&text).ok().flatten();
        !hidden && plugin.is_some_and(|plugin| plugin.get("name").and_then(Document::as_text) == Some(name))
    })
}

/// Runs a tool and gives what it prints; `None`: it is not there.
async fn run(path: &str, arguments: &[&str], doing: &str) -> Result<Option<Vec<u8>>, Fault> {
    let mut command = Command::new(path);
    command.args(arguments).kill_on_drop(true);
    let output = match tokio::time::timeout(BOUND, program::run(&mut command, b"")).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == ErrorKind::NotFound && !Path::new(path).exists() => return Ok(None),
        Ok(Err(error)) => return Err(not_ours(path, doing).said(error.to_string())),
        Err(_) => {
            return Err(Fault::new(Cause::Silent, Target::Controller, doing)
                .said(format!("{path} says nothing for {} s", BOUND.as_secs())));
        }
    };
    if output.status.success() {
        return Ok(Some(output.stdout));
    }
    let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    Err(not_ours(path, doing).said(String::from_utf8_lossy(said).trim()).said(output.status.to_string()))
}

fn not_ours(path: &str, doing: impl Into<String>) -> Fault {
    Fault::new(Cause::Failed, Target::Controller, doing)
        .likely("it is of another kind of processor or system, or another program of that name")
        .next(format!("see what {path} is; once it is taken away, the next run puts the tool there"))
}

/// The first version in a text: `v3.20.0+gb2e4314` and `kubeseal version: 0.35.0` are as good as `3.20.0`.
fn version_in(text: &str) -> Option<String> {
    text.split_whitespace().find_map(|word| {
        let word = word.trim_matches(['"', ',', ';']);
        let plain = word.strip_prefix('v').unwrap_or(word);
        let plain = plain.split('+').next().unwrap_or_default();
        let mut parts = plain.split('.');
        let number = |part: Option<&str>| {
            part.is_some_and(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let patch = |part: &str| part.starts_with(|first: char| first.is_ascii_digit());
        (number(parts.next()) && number(parts.next()) && parts.next().is_some_and(patch)).then(|| plain.to_owned())
    })
}

/// A plugin's version out of helm's table.
fn plugin_in(table: &str, name: &str) -> Option<String> {
    table.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == name).then(|| words.next().unwrap_or_default().trim_start_matches('v').to_owned())
    })
}

#[cfg(test)]
mod tests;
