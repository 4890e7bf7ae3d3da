//! Making a base system, under a name of its own until it is whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::debs::{DEBS, Place};
use super::sources::Sources;
use super::{debs, recipe, repository};
use crate::failure::{Failure, Tried};
use crate::places;
use crate::records::write_whole;
use crate::run::Run;

/// A mirror may be slow, and another testbed may be making the same base.
pub const BOUND: Duration = Duration::from_secs(1200);

/// Sees to it that the base system is in the cache; its name there.
pub fn provide() -> Result<String, Failure> {
    let suite = suite();
    let (cache, name) = (places::cache(), recipe::name(&suite));
    let directory = cache.join(&name);
    if directory.is_dir() {
        return Ok(name);
    }
    let making = places::making(&name, BOUND)?;
    if directory.is_dir() {
        return Ok(name);
    }
    eprintln!("making the base system {} (a minute or two, once)", directory.display());
    let begun = Instant::now();
    let unfinished = &making.unfinished;
    let root = unfinished.join("root");
    fs::create_dir_all(unfinished).tried(|| format!("make {}", unfinished.display()))?;
    bootstrap(&suite, recipe::PACKAGES, &root)?;
    let architecture = Run::new("dpkg").arg("--print-architecture").output()?;
    repository::make(&unfinished.join("repository"), architecture.trim())?;
    set_up(&root, &unfinished.join("repository/key.gpg"))?;
    let apart = unfinished.join("apart");
    fs::create_dir_all(&apart).tried(|| format!("make {}", apart.display()))?;
    for deb in DEBS.iter().filter(|deb| deb.place == Place::Apart) {
        debs::build(deb, &apart)?;
    }
    fs::rename(unfinished, &directory).tried(|| format!("name {} as finished", directory.display()))?;
    eprintln!("made it in {:.0?}", begun.elapsed());
    Ok(name)
}

/// The machine's own release if it is Debian: its sources fit then.
pub fn suite() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = |name: &str| {
        text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix('=')?.trim_matches('"').to_owned()))
    };
    match (value("ID").as_deref(), value("VERSION_CODENAME")) {
        (Some("debian"), Some(codename)) => codename,
        _ => "bookworm".to_owned(),
    }
}

pub(super) fn bootstrap(suite: &str, packages: &str, root: &Path) -> Result<(), Failure> {
    debootstrap(suite, packages, &["--variant=minbase".to_owned()], root)
}

/// Only what packages and those that they depend on bring, unpacked, without paths that are left out: no system.
pub fn extract(suite: &str, packages: &str, left_out: &[&str], root: &Path) -> Result<(), Failure> {
    let left_out = left_out.iter().map(|path| format!("--dpkgopt=path-exclude={path}"));
    let words: Vec<String> = ["--variant=extract".to_owned()].into_iter().chain(left_out).collect();
    debootstrap(suite, packages, &words, root)
}

fn debootstrap(suite: &str, packages: &str, words: &[String], root: &Path) -> Result<(), Failure> {
    let work = tempfile::tempdir().tried(|| "make a temporary directory".to_owned())?;
    let put = |name: &str, text: &str| {
        let path = work.path().join(name);
        write_whole(&path, text.as_bytes()).map(|()| path)
    };
    let sources = Sources::of_machine(suite);
    let mut from: Vec<PathBuf> = Vec::new();
    for (name, text) in [("sources.list", &sources.lines), ("debian.sources", &sources.stanzas)] {
        if !text.is_empty() {
            from.push(put(name, text)?);
        }
    }
    // How this machine's apt reaches its mirrors: proxies, and checks that it leaves out.
    let settings = Run::new("apt-config").arg("dump").output()?;
    let settings: String = settings
        .lines()
        .filter(|line| line.starts_with("Acquire::") && !line.ends_with("\"\";"))
        .map(|line| format!("{line}\n"))
        .collect();
    let options = put("settings", &settings)?;
    let run = Run::new("mmdebstrap").arg("--mode=root").args(words);
    run.arg(format!("--include={packages}"))
        .arg(format!("--aptopt={}", options.display()))
        .arg(suite)
        .arg(root)
        .args(from)
        .bound(BOUND)
        .output()
        .map(drop)
        .map_err(|failure| failure.help("check with `apt-get update` that this machine reaches its mirror"))
}

fn set_up(root: &Path, key: &Path) -> Result<(), Failure> {
    let copied = fs::copy(key, root.join("usr/share/keyrings/testbed.gpg"));
    copied.tried(|| "put the repository's key into the base system".to_owned())?;
    write_whole(&root.join("etc/cloud/cloud.cfg.d/90_testbed.cfg"), recipe::CLOUD.as_bytes())?;
    let debs_in = root.join("tmp/debs");
    fs::create_dir_all(&debs_in).tried(|| format!("make {}", debs_in.display()))?;
    for deb in DEBS.iter().filter(|deb| deb.place == Place::Base) {
        debs::build(deb, &debs_in)?;
    }
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    // The directory that this machine's variable names is not there.
    Run::new("chroot")
        .arg(root)
        .args(["env", "-u", "TMPDIR", "sh", "-e", "-s"])
        .env("PATH", path)
        .input(recipe::SETUP)
        .output()?;
    fs::remove_dir_all(&debs_in).tried(|| format!("remove {}", debs_in.display()))
}
