//! The real `tpi`, built from the crates registry as it is built for a BMC: it talks to its own machine.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::failure::{Failure, Tried};
use crate::places::{self, Lock};
use crate::run::Run;

const VERSION: &str = "1.0.7";

const BOUND: Duration = Duration::from_secs(900);

/// Sees to it that it is in the cache; where it is.
pub fn provide() -> Result<PathBuf, Failure> {
    let cache = places::cache();
    let directory = cache.join(format!("tpi-{VERSION}"));
    let program = directory.join("bin/tpi");
    if program.exists() {
        return Ok(program);
    }
    let _lock = places::lock(&cache, "tpi", Lock::Alone, BOUND)?;
    if program.exists() {
        return Ok(program);
    }
    eprintln!("building tpi {VERSION} (two minutes, once)");
    let unfinished = cache.join(".unfinished-tpi");
    let _ = fs::remove_dir_all(&unfinished);
    Run::new("cargo")
        .args(["install", "tpi", "--version", VERSION, "--features", "localhost", "--quiet", "--root"])
        .arg(&unfinished)
        .bound(BOUND)
        .output()
        .map_err(|failure| failure.help("it needs cargo and the crates registry"))?;
    fs::rename(&unfinished, &directory).tried(|| format!("name {} as finished", directory.display()))?;
    Ok(program)
}
