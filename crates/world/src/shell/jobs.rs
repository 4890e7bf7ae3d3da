//! Detached work on a node: a transient systemd unit and a directory that says what it is, when it was begun and how
//! it ended.
//!
//! `/var/lib/bringup/jobs/NAME/` holds `hash` and `boot` (written before the start), `run` (the script), `log` and, last
//! of all, `status`. A job without `status` whose unit is gone, or that belongs to another boot, came to a bad end.

use bringup_core::contract::Job;

use super::piece::Piece;
use super::script::NO_ROOM;

/// How many of its last lines a job's state brings.
const LINES: u32 = 12;

/// Hash, boot, how it stands and how many seconds ago it ended, then its last lines.
pub(super) fn state(name: &str) -> String {
    Piece::new().set("name", name).set("lines", LINES.to_string()).run(script!("job_state.sh")).text()
}

/// The names of those that run in this boot, a line each.
pub(super) const RUNNING: &str = script!("jobs_running.sh");

/// Starts a job, unless one of its kind runs. A second start of the same one, after a lost connection, finds it running
/// and is content.
pub(super) fn start(job: &Job) -> String {
    let piece = Piece::new().set("name", job.name()).set("hash", job.hash()).set("run", script(job));
    let piece = piece.set("description", format!("bringup: {job}"));
    piece.run(NO_ROOM).run(script!("job_start.sh")).text()
}

/// The file that systemd runs.
fn script(job: &Job) -> String {
    let piece = Piece::new().run("#!/bin/sh").set("name", job.name());
    let piece = match job {
        Job::ConfigurePackages => piece.run(script!("job_configure_packages.sh")),
        Job::DistUpgrade => piece.run(APT).run(script!("job_dist_upgrade.sh")),
        Job::Autoremove => piece.run(APT).run(script!("job_autoremove.sh")),
        Job::InstallPackages { names } => piece.arguments(names).run(APT).run(script!("job_install_packages.sh")),
        Job::InstallGpuDriver => piece.run(script!("job_install_gpu_driver.sh")),
        Job::MoveRoot { disk } => piece.arguments([disk.as_str()]).run(script!("job_move_root.sh")),
    };
    piece.run(script!("job_run.sh")).text() + "\n"
}

/// A function of shell that calls apt-get, which then asks nothing and waits for locks.
const APT: &str = script!("job_apt.sh");
