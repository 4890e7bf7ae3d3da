//! The programs that k3s runs. They end with it: the kernel sees to that.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::host::kubernetes::PARTS;

/// How often it is looked whether something has come about.
const LOOK: Duration = Duration::from_millis(100);

/// The programs that run.
#[derive(Default)]
pub struct Processes {
    all: Vec<(String, Child)>,
}

/// A program of the parts with the libraries that come with it, or of the host.
pub fn program(name: &str) -> Command {
    let mut command = Command::new(path_of(name));
    surround(&mut command);
    command
}

/// Where it is. What is called so on the host's own path may be a link to k3s.
fn path_of(name: &str) -> PathBuf {
    let parts = ["kube", "debian/usr/bin", "debian/usr/sbin"].map(|place| Path::new(PARTS).join(place).join(name));
    parts.into_iter().find(|path| path.exists()).unwrap_or_else(|| PathBuf::from(name))
}

fn surround(command: &mut Command) {
    let debian = format!("{PARTS}/debian");
    let libraries = libraries();
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/sbin:/usr/bin:/sbin:/bin".to_owned());
    command
        .env("PATH", format!("{PARTS}/kube:{path}:/usr/sbin:/sbin:{debian}/usr/sbin:{debian}/usr/bin"))
        .env("LD_LIBRARY_PATH", &libraries)
        .env("XTABLES_LIBDIR", libraries.join("xtables"))
        .env_remove("NOTIFY_SOCKET")
        .env_remove("K3S_TOKEN");
}

/// Where the parts have their libraries; not those of the C library, which must be the host's own.
fn libraries() -> PathBuf {
    let all = fs::read_dir(format!("{PARTS}/debian/usr/lib")).into_iter().flatten().flatten();
    let of_architecture = |path: &PathBuf| path.to_string_lossy().ends_with("-linux-gnu");
    all.map(|entry| entry.path()).find(of_architecture).unwrap_or_default()
}

/// How Go says how a program ended.
fn in_words_of_go(status: ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| format!("exit status {code}"))
}

impl Processes {
    /// Starts one. It has to be done by the thread that lives as long as the program: it is whose end the kernel goes by.
    /// What it says goes to a file, or where k3s' own words go.
    pub fn start(&mut self, name: &str, arguments: &[String], log: Option<&Path>) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("failed to start {name}: {error}");
        let mut command = program("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(path_of(name)).args(arguments).stdin(Stdio::null());
        if let Some(log) = log {
            if let Some(above) = log.parent() {
                fs::create_dir_all(above).map_err(failed)?;
            }
            let file = OpenOptions::new().create(true).append(true).open(log).map_err(failed)?;
            command.stdout(file.try_clone().map_err(failed)?).stderr(file);
        }
        let child = command.spawn().map_err(failed)?;
        self.all.push((name.to_owned(), child));
        Ok(())
    }

    /// Says which of them has ended, if any.
    pub fn check(&mut self) -> Result<(), String> {
        for (name, child) in &mut self.all {
            match child.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => return Err(format!("{name} exited: {}", in_words_of_go(status))),
                Err(error) => return Err(format!("{name}: {error}")),
            }
        }
        Ok(())
    }

    /// Waits until something is so, while all of them run.
    pub fn until(&mut self, bound: Duration, what: &str, mut so: impl FnMut() -> bool) -> Result<(), String> {
        let begun = Instant::now();
        while !so() {
            self.check()?;
            if begun.elapsed() > bound {
                return Err(format!("timed out waiting for {what}"));
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Returns when one of them ends.
    pub fn watch(&mut self) -> String {
        loop {
            if let Err(ended) = self.check() {
                return ended;
            }
            thread::sleep(Duration::from_millis(500));
        }
    }
}
