//! From the command line to a site and its scope.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use bringup_core::site::{
    AnsibleCfg, Inventory, LoadOptions, Loaded, Problem, Problems, Scope, Severity, Source, ansible_cfg, is_site, load,
    load_inventory,
};
use bringup_core::stages::Options;
use bringup_core::text::secret::Secret;
use bringup_world::{LocalSource, site_files};

use crate::args::{RunArguments, SiteArguments};
use crate::exit_status::ExitStatus;
use crate::problems;
use crate::terminal;

/// The most that a program may print which gives a password, in bytes.
const MOST_PASSWORD: u64 = 1 << 20;

/// A problem that stands in no file.
pub fn problem(message: String, help: Option<String>) -> Problems {
    Problems(vec![Problem { severity: Severity::Error, message, spot: None, help }])
}

/// Says what is wrong and gives the status for it.
pub fn refuse(problems: &Problems) -> ExitStatus {
    terminal::errors(&problems::report(problems));
    ExitStatus::Usage
}

/// What `ansible.cfg` says, beside the site or in the working directory.
fn cfg(arguments: &SiteArguments) -> Result<AnsibleCfg, Problems> {
    let beside = arguments.inventory.first().map(|path| {
        let path = Path::new(path);
        let directory = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
        directory.to_string_lossy().into_owned()
    });
    let mut directories: Vec<&str> = beside.iter().map(String::as_str).collect();
    directories.push(".");
    ansible_cfg(&LocalSource, &directories)
}

/// The inventories: what `-i` names, else `ANSIBLE_INVENTORY`, else `ansible.cfg`, else this directory.
fn inventory_names(arguments: &SiteArguments, cfg: &AnsibleCfg) -> Vec<String> {
    if !arguments.inventory.is_empty() {
        return arguments.inventory.clone();
    }
    let named = LocalSource.env("ANSIBLE_INVENTORY").unwrap_or_default();
    let named = named.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
    let named: Vec<String> = named.collect();
    match (named.is_empty(), cfg.inventory.is_empty()) {
        (false, _) => named,
        (true, false) => cfg.inventory.clone(),
        (true, true) => vec![".".to_owned()],
    }
}

/// Whether a site is named, or is here.
pub fn is_here(arguments: &SiteArguments) -> Result<bool, Problems> {
    let names = inventory_names(arguments, &cfg(arguments)?);
    Ok(!arguments.inventory.is_empty() || names != ["."] || is_site(&LocalSource, "."))
}

fn options(arguments: &SiteArguments, cfg: &AnsibleCfg) -> Result<LoadOptions, Problems> {
    Ok(LoadOptions {
        inventory: inventory_names(arguments, cfg),
        extra_vars: arguments.extra_vars.clone(),
        vault_password: vault_password(arguments, cfg)?,
        remote_user: cfg.remote_user.clone(),
        remote_port: cfg.remote_port,
        private_key_file: cfg.private_key_file.clone(),
    })
}

/// Loads a site from the disk.
pub fn from_disk(arguments: &SiteArguments) -> Result<(Loaded, AnsibleCfg), Problems> {
    let cfg = cfg(arguments)?;
    let mut loaded = load(&LocalSource, &options(arguments, &cfg)?)?;
    loaded.site.notices.extend(cfg.notices.iter().cloned());
    Ok((loaded, cfg))
}

/// Loads an inventory from the disk, whether or not it is a site.
pub fn inventory(arguments: &SiteArguments) -> Result<(Inventory, Problems), Problems> {
    let cfg = cfg(arguments)?;
    load_inventory(&LocalSource, &options(arguments, &cfg)?)
}

/// Loads a site from elsewhere.
pub fn from_source(source: &dyn Source, directory: &str, arguments: &SiteArguments) -> Result<Loaded, Problems> {
    let options = LoadOptions {
        inventory: vec![directory.to_owned()],
        extra_vars: arguments.extra_vars.clone(),
        ..LoadOptions::default()
    };
    load(source, &options)
}

/// Selects what the run is about.
pub fn scope(loaded: &Loaded, arguments: &RunArguments) -> Result<Scope, Problems> {
    Scope::select(&loaded.inventory, &loaded.site, &arguments.tags, &arguments.skip_tags, &arguments.limit)
}

/// Where the user's files are, and ours among them.
pub struct UserDirectories {
    /// Their home directory.
    pub home: String,
    /// Ours for what is fetched once.
    pub cache: String,
    /// Ours for what must not be lost.
    pub data: String,
}

impl UserDirectories {
    /// Those of whoever runs this, by the variables of the XDG base directory specification.
    pub fn of_user() -> Self {
        Self::of(LocalSource.home(), |name| std::env::var(name).ok())
    }

    /// Those of somebody with this home directory, and these variables.
    pub fn of(home: String, variable: impl Fn(&str) -> Option<String>) -> Self {
        // The specification has relative ones ignored.
        let base = |name: &str, usual: &str| {
            variable(name).filter(|path| path.starts_with('/')).unwrap_or_else(|| format!("{home}/{usual}"))
        };
        let (cache, data) = (base("XDG_CACHE_HOME", ".cache"), base("XDG_DATA_HOME", ".local/share"));
        Self { cache: format!("{cache}/bringup"), data: format!("{data}/bringup"), home }
    }
}

/// What of a run is neither site nor scope.
pub fn run_options(arguments: &RunArguments, user: UserDirectories) -> Options {
    Options {
        accept_changed_host_keys: arguments.accept_changed_host_keys,
        force_conflicts: arguments.force_conflicts,
        cache: user.cache,
        data: user.data,
        home: user.home,
        architecture: if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        system: if cfg!(target_os = "macos") { "darwin" } else { "linux" },
    }
}

/// The vault's password: asked for, or from the file that is named. A file that can be run is run for it, as Ansible
/// does.
fn vault_password(arguments: &SiteArguments, cfg: &AnsibleCfg) -> Result<Option<Secret>, Problems> {
    if arguments.ask_vault_pass {
        return password("Vault password: ").map(Some);
    }
    let named = arguments.vault_password_file.clone();
    let named = named.or_else(|| std::env::var_os("ANSIBLE_VAULT_PASSWORD_FILE").map(Into::into));
    // The operator may name a pipe; a site that comes from somebody else may not make us wait at one.
    let read = if named.is_some() { site_files::read_named } else { site_files::read_text };
    let Some(path) = named.or_else(|| cfg.vault_password_file.clone().map(Into::into)) else { return Ok(None) };
    let failed = |why: String| problem(format!("cannot take the vault password from {}: {why}", path.display()), None);
    let text = if is_executable(&path) {
        // A name without a slash is a file here, not a program of the PATH.
        let program = if path.is_absolute() { path.clone() } else { Path::new(".").join(&path) };
        printed_by(&program).map_err(failed)?
    } else {
        read(&path).map_err(|error| failed(error.to_string()))?
    };
    Ok(Some(Secret::new(text.trim())))
}

/// What a program prints that gives a password. What it says beside it, and what it asks, is between it and the operator.
fn printed_by(program: &Path) -> Result<String, String> {
    let words = |error: std::io::Error| error.to_string();
    let mut child = Command::new(program).stdout(Stdio::piped()).spawn().map_err(words)?;
    let mut text = Vec::new();
    if let Some(out) = child.stdout.take() {
        // The pipe is closed at the end of this block: a program that prints for ever dies of it.
        out.take(MOST_PASSWORD + 1).read_to_end(&mut text).map_err(words)?;
    }
    let status = child.wait().map_err(words)?;
    if text.len() as u64 > MOST_PASSWORD {
        return Err(format!("it prints more than {MOST_PASSWORD} bytes"));
    }
    if !status.success() {
        return Err(format!("it ended with {status}"));
    }
    String::from_utf8(text).map_err(|_| "it does not print text".to_owned())
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Asks for a password without showing it.
pub fn password(question: &str) -> Result<Secret, Problems> {
    terminal::password(question).map(Secret::new).map_err(|error| {
        problem(format!("cannot ask for a password: {error}"), Some("run it in a terminal".to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::UserDirectories;

    #[test]
    fn directories_follow_the_variables_of_xdg() {
        let of = |variables: &[(&str, &str)]| {
            let value =
                |name: &str| variables.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned());
            let user = UserDirectories::of("/home/a".to_owned(), value);
            (user.cache, user.data)
        };
        let texts = |cache: &str, data: &str| (cache.to_owned(), data.to_owned());
        assert_eq!(of(&[]), texts("/home/a/.cache/bringup", "/home/a/.local/share/bringup"));
        let set = [("XDG_CACHE_HOME", "/var/c"), ("XDG_DATA_HOME", "/d")];
        assert_eq!(of(&set), texts("/var/c/bringup", "/d/bringup"));
        let relative = [("XDG_CACHE_HOME", "c"), ("XDG_DATA_HOME", "")];
        assert_eq!(of(&relative), of(&[]));
    }
}
