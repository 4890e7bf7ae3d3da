//! The controller as a node: its own shell instead of SSH.

use std::os::unix::fs::MetadataExt;

use tokio::process::Command;

use crate::program;
use crate::shell::{Script, Section};
use crate::ssh::Failure;

/// Runs a script as root here.
pub(crate) async fn script(script: &Script) -> Result<Vec<Option<Section>>, Failure> {
    let failed = |error: std::io::Error| Failure::Refused(format!("a shell cannot be run here: {error}"));
    // Who is root already may have no sudo.
    let root = std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    let mut command = if root { Command::new("/bin/sh") } else { Command::new("sudo") };
    if !root {
        command.args(["-n", "--", "/bin/sh"]);
    }
    let output = program::run(command.kill_on_drop(true), script.text().as_bytes()).await.map_err(failed)?;
    if !script.ran(&output.stdout) {
        return Err(Failure::NotRoot(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(script.sections(&String::from_utf8_lossy(&output.stdout), &String::from_utf8_lossy(&output.stderr)))
}
