//! Whoever runs bringup: a home directory, a site, and checks of what a run shows and leaves behind.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use bringup_core::ids::Sha256;
use rustix::process::{Pid, Signal, kill_process};

use crate::words::FORGED;

/// No run here takes that long, unless it hangs.
const BOUND: Duration = Duration::from_secs(90);
/// What runs write without being told to: journals, and what they fetch.
const USUAL: [&str; 2] = ["site/.bringup", "home/.cache/bringup"];

/// A home directory and a site, beside a directory in which nothing may be created.
pub struct Operator {
    root: tempfile::TempDir,
    /// What no run may show.
    secrets: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

/// A run that kept all promises.
pub struct Ran {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
    /// Its events.
    pub journal: Vec<serde_json::Value>,
}

/// Everything below a directory: what it is, and a sum of what is in it.
type Tree = BTreeMap<PathBuf, String>;

fn tree(directory: &Path, below: &Path, tree: &mut Tree) {
    for entry in fs::read_dir(directory.join(below)).unwrap() {
        let name = below.join(entry.unwrap().file_name());
        let path = directory.join(&name);
        let data = fs::symlink_metadata(&path).unwrap();
        let content = match data.file_type() {
            kind if kind.is_file() => Sha256::of(fs::read(&path).unwrap()).to_string(),
            kind if kind.is_symlink() => fs::read_link(&path).unwrap().display().to_string(),
            _ => String::new(),
        };
        if data.is_dir() {
            self::tree(directory, &name, tree);
        }
        tree.insert(name, format!("{:o} {content}", data.mode()));
    }
}

impl Operator {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let operator = Self { root, secrets: Vec::new(), environment: Vec::new() };
        for directory in ["home", "site", "outside", "tmp"] {
            fs::create_dir_all(operator.at(directory)).unwrap();
        }
        operator.file("outside/secret", "nobody reads this\n");
        operator
    }

    /// Writes the site, with these variables for all hosts, and these hosts as `extra_nodes`.
    pub fn site(&self, variables: &str, nodes: &str) {
        let hosts = format!(
            "controller:\n  hosts:\n    localhost:\n      ansible_connection: local\nturing_pis:\n  hosts: {{}}\n\
             extra_nodes:\n  hosts:\n{nodes}all_nodes:\n  children:\n    extra_nodes:\n"
        );
        self.file("site/hosts.yml", &hosts);
        self.file("site/group_vars/all.yml", variables);
    }

    /// Writes a file below the root and returns its path.
    pub fn file(&self, path: &str, text: &str) -> String {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Writes a program below the root.
    pub fn program(&self, path: &str, text: &str) {
        let path = self.file(path, text);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A path below the root.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// The directory in which nothing may be created.
    pub fn canary(&self) -> String {
        self.at("outside").display().to_string()
    }

    /// No run may show this or write it to a journal or the cache.
    pub fn hides(&mut self, secret: &str) {
        self.secrets.push(secret.to_owned());
    }

    pub fn environment(&mut self, name: &'static str, value: impl Into<String>) {
        self.environment.push((name, value.into()));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bringup"));
        command
            .args(arguments)
            .args(["-i", "."])
            .current_dir(self.at("site"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.at("home"))
            .env("TMPDIR", self.at("tmp"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // scripts/test knows by it what it has started.
        command.envs(std::env::var_os("BRINGUP_TEST_RUN").map(|run| ("BRINGUP_TEST_RUN", run)));
        command
    }

    /// Runs bringup to its end and checks the promises: its output is fit for a terminal and forges no line, no secret is
    /// shown, and nothing is written except where every run writes and below `places`.
    pub fn run(&self, arguments: &[&str], places: &[&str]) -> Ran {
        self.run_until(arguments, places, |_| ())
    }

    /// The same; `meanwhile` is called while it runs.
    pub fn run_until(&self, arguments: &[&str], places: &[&str], meanwhile: impl FnOnce(&Running<'_>)) -> Ran {
        let before = self.tree();
        let child = self.command(arguments).spawn().unwrap();
        let running = Running { operator: self, pid: Pid::from_child(&child) };
        let leftover = KillOnPanic(running.pid);
        let (told, output) = mpsc::channel();
        std::thread::spawn(move || told.send(whole(child)));
        meanwhile(&running);
        let Ok(output) = output.recv_timeout(BOUND) else {
            panic!("{arguments:?} does not end; {}", self.journals());
        };
        // It has ended: its process id may be another's by now.
        std::mem::forget(leftover);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("output is UTF-8");
        let ran = Ran {
            status: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
            journal: self.journals().lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        };
        let allowed: Vec<&str> = USUAL.iter().chain(places).copied().collect();
        let broken = [
            self.changed(&before, &allowed),
            unfit(&ran.out),
            unfit(&ran.err),
            self.shown("standard output", &ran.out),
            self.shown("standard error", &ran.err),
            self.left_in_files(),
        ];
        let broken: Vec<String> = broken.into_iter().flatten().collect();
        assert!(broken.is_empty(), "{arguments:?}: {}\n{}", broken.join("; "), ran.said());
        assert!(ran.status.is_some_and(|status| status != 101), "{arguments:?} panicked:\n{}", ran.said());
        ran
    }

    fn tree(&self) -> Tree {
        let mut all = Tree::new();
        tree(self.root.path(), Path::new(""), &mut all);
        all
    }

    /// What came, went or changed outside the places where it may.
    fn changed(&self, before: &Tree, allowed: &[&str]) -> Option<String> {
        let after = self.tree();
        let names: std::collections::BTreeSet<&PathBuf> = before.keys().chain(after.keys()).collect();
        // The way to a place may have to be made.
        let may =
            |name: &Path| allowed.iter().any(|place| name.starts_with(place) || (Path::new(place).starts_with(name)));
        let changed = names.into_iter().filter(|name| before.get(*name) != after.get(*name) && !may(name));
        let changed: Vec<String> = changed.map(|name| name.display().to_string()).collect();
        (!changed.is_empty()).then(|| format!("changed: {}", changed.join(", ")))
    }

    fn shown(&self, place: &str, text: &str) -> Option<String> {
        let shown = self.secrets.iter().find(|secret| text.contains(secret.as_str()))?;
        let line = text.lines().find(|line| line.contains(shown.as_str())).unwrap_or_default();
        let line: String = line.chars().take(400).collect();
        Some(format!("{place} shows {shown}: {line}"))
    }

    /// What runs wrote by themselves holds no secret.
    fn left_in_files(&self) -> Option<String> {
        let all = self.tree();
        let files = all.keys().filter(|name| USUAL.iter().any(|place| name.starts_with(place)));
        let files = files.map(|name| self.root.path().join(name)).filter(|path| path.is_file());
        let mut texts = files.map(|path| (path.display().to_string(), fs::read(path).unwrap()));
        texts.find_map(|(name, bytes)| self.shown(&name, &String::from_utf8_lossy(&bytes)))
    }

    /// The journal of the last run; a line that is still being written is not in it.
    fn journals(&self) -> String {
        let Ok(runs) = fs::read_dir(self.at("site/.bringup/runs")) else { return String::new() };
        let mut journals: Vec<PathBuf> = runs.map(|entry| entry.unwrap().path()).collect();
        journals.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        // Runs of one second differ by their process alone.
        journals.sort_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
        let text = journals.last().map(|path| fs::read_to_string(path).unwrap()).unwrap_or_default();
        text.rsplit_once('\n').map(|(whole, _)| whole.to_owned()).unwrap_or_default()
    }
}

fn whole(child: Child) -> Output {
    child.wait_with_output().unwrap()
}

/// Ends a process that a failed test would leave behind.
struct KillOnPanic(Pid);

impl Drop for KillOnPanic {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}

/// A run under way.
pub struct Running<'a> {
    operator: &'a Operator,
    pid: Pid,
}

impl Running<'_> {
    /// Waits until its journal has this.
    pub fn waits_for(&self, words: &str) {
        let began = std::time::Instant::now();
        while !self.operator.journals().contains(words) {
            assert!(began.elapsed() < BOUND, "{words} does not come about:\n{}", self.operator.journals());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// As Ctrl-C does.
    pub fn interrupt(&self) {
        kill_process(self.pid, Signal::INT).unwrap();
    }
}

impl Ran {
    /// All that a person sees of it, cut if it is a flood.
    pub fn said(&self) -> String {
        let text = format!("status {:?}\n{}\n{}", self.status, self.out, self.err);
        text.chars().take(20_000).collect()
    }

    /// How the steps of a lane that are of this stage, if one is named, ended or were planned, without what differs from
    /// run to run.
    pub fn steps(&self, lane: &str, stage: Option<&str>) -> Vec<String> {
        let of_lane = self
            .journal
            .iter()
            .filter(|event| event["lane"] == lane && stage.is_none_or(|stage| event["stage"] == stage));
        let told = of_lane.filter_map(|event| {
            let how = [&event["planned"], &event["outcome"], &event["holds"]].into_iter().find(|how| !how.is_null())?;
            Some(format!("{} {} {how}", event["event"], event["step"]))
        });
        told.collect()
    }

    /// Whether a lane held to its end.
    pub fn holds(&self, lane: &str) -> Option<bool> {
        let ended = self.journal.iter().rfind(|event| event["event"] == "lane_ended" && event["lane"] == lane)?;
        ended["holds"].as_bool()
    }
}

/// What is wrong with a text for a terminal, if anything.
pub fn unfit(text: &str) -> Option<String> {
    let acts = |one: char| {
        one.is_control() && one != '\n'
            || matches!(one, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if let Some(one) = text.chars().find(|one| acts(*one)) {
        return Some(format!("{} comes out", one.escape_unicode()));
    }
    text.lines().find(|line| line.trim_start().starts_with(FORGED)).map(|line| format!("{line:?} is forged"))
}

/// Or no run would ever be found unfit.
#[test]
fn what_is_unfit_for_a_terminal_is_found() {
    for text in crate::words::SEQUENCES {
        assert!(unfit(text).is_some(), "{text:?}");
    }
    assert!(unfit(&format!("a plan\n  {FORGED}\n")).is_some());
    assert_eq!(unfit(&format!("a plan\n  | {FORGED}\n")), None);
}
