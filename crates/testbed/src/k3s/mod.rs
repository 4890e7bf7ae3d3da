//! A stand-in for k3s, which cannot be had from any registry: its command line, files, tokens, node passwords and words,
//! around the real programs of Kubernetes. `docs/TESTBED-K3S.md` says what is real and what stands in.
//!
//! What it does is held to recordings of the real one, and its supervisor is asked what the real one is asked.

mod addons;
mod agent;
mod certificates;
mod client;
mod files;
mod front;
mod kubeconfig;
mod manifests;
mod network;
mod node;
mod options;
mod passwords;
mod processes;
mod say;
mod server;
mod snapshot;
mod token;

use std::collections::BTreeMap;
use std::env;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::ExitCode;

use options::{Options, Role, Sources};
use say::Level;

use crate::go_programs::K3S_VERSION;
use crate::host::kubernetes::PARTS;

/// Where k3s keeps its things.
const DATA: &str = "/var/lib/rancher/k3s";

/// The administrator's kubeconfig.
const KUBECONFIG: &str = "/etc/rancher/k3s/k3s.yaml";

/// Names that k3s is called by.
const NAMES: [&str; 4] = ["k3s", "kubectl", "crictl", "ctr"];

/// What the installed `k3s` is called by and which version it says it is, if a file of [`artifact`] has started it.
const NAME_VARIABLE: &str = "TESTBED_K3S_NAME";
const VERSION_VARIABLE: &str = "TESTBED_K3S_VERSION";

/// The release that this one plays. Words that later releases say otherwise go by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Minor(u32);

impl Minor {
    /// The first that has the words of today.
    const OF_TODAY: Self = Self(24);

    fn of(version: &str) -> Self {
        let minor = version.split('.').nth(1).and_then(|minor| minor.parse().ok());
        minor.map_or(Self::OF_TODAY, Self)
    }
}

/// The file that is installed as `k3s` of a version: small, with a sum of its own, and the same program behind it.
pub fn artifact(version: &str) -> String {
    format!(
        "#!/bin/sh\n# Stands in for k3s {version}.\nexport {VERSION_VARIABLE}='{version}' {NAME_VARIABLE}=\"${{0##*/}}\"\n\
         exec {PARTS}/k3s \"$@\"\n"
    )
}

/// The name that this program is called by, if that is one of k3s'.
pub fn called() -> Option<String> {
    let own = env::args().next().unwrap_or_default();
    let own = Path::new(&own).file_name()?.to_str()?.to_owned();
    if own != "k3s" {
        return NAMES.contains(&own.as_str()).then_some(own);
    }
    Some(env::var(NAME_VARIABLE).ok().filter(|name| NAMES.contains(&name.as_str())).unwrap_or(own))
}

/// Runs as what it is called by.
pub fn run(name: &str) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (word, rest) = if name == "k3s" {
        arguments.split_first().map_or(("help", &[][..]), |(word, rest)| (word.as_str(), rest))
    } else {
        (name, &arguments[..])
    };
    match command(word, rest) {
        Ok(code) => code,
        Err(End::Failed(why)) => {
            say::line(Level::Fatal, &format!("Error: {why}"));
            ExitCode::FAILURE
        }
        Err(End::Shutdown(why)) => {
            say::error(&format!("Shutdown request received: {why:?}"));
            ExitCode::SUCCESS
        }
    }
}

/// Why it ends.
#[derive(Debug)]
enum End {
    /// It cannot do what it was started for.
    Failed(String),
    /// One of the programs that it runs has ended: it goes as if it had been asked to, with the status 0.
    Shutdown(String),
}

impl From<String> for End {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

fn command(word: &str, arguments: &[String]) -> Result<ExitCode, End> {
    let version = env::var(VERSION_VARIABLE).unwrap_or_else(|_| K3S_VERSION.to_owned());
    match word {
        "server" | "agent" => {
            let role = if word == "server" { Role::Server } else { Role::Agent };
            play(role, &format!("{version} (stand-in)"), arguments).map(|()| ExitCode::SUCCESS)
        }
        "kubectl" => Err(End::Failed(kubectl(arguments))),
        "ctr" => {
            let mut ctr = processes::program("ctr");
            let why = ctr.args(["-a", node::CONTAINERD, "-n", "k8s.io"]).args(arguments).exec();
            Err(End::Failed(format!("run ctr: {why}")))
        }
        "crictl" => Err(End::Failed("crictl is not played by the testbed's stand-in for k3s: take ctr".to_owned())),
        "etcd-snapshot" => Ok(snapshot::run(arguments).map(|()| ExitCode::SUCCESS)?),
        "--version" | "-v" | "version" => {
            println!("k3s version {version} (stand-in)\ngo version go1.26.8");
            Ok(ExitCode::SUCCESS)
        }
        "help" | "--help" | "-h" => {
            println!(
                "NAME:\n   k3s - Kubernetes, but small and simple (played by a testbed)\n\nUSAGE:\n   k3s [global options] command [command options]\n\nVERSION:\n   {version}\n\nCOMMANDS:\n   server\n   agent\n   kubectl\n   ctr\n   etcd-snapshot"
            );
            Ok(ExitCode::SUCCESS)
        }
        other => {
            eprintln!("No help topic for '{other}'");
            Ok(ExitCode::from(3))
        }
    }
}

fn play(role: Role, version: &str, arguments: &[String]) -> Result<(), End> {
    let environment: BTreeMap<String, String> = env::vars().collect();
    let sources = Sources { arguments, environment: &environment };
    let options = Options::read(role, &sources).inspect_err(|why| println!("Incorrect Usage: {why}\n"))?;
    if options.one("data-dir").is_some_and(|path| path != DATA) {
        return Err(End::Failed("--data-dir is not played by the testbed's stand-in for k3s".to_owned()));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    match role {
        Role::Server => server::run(&options, version, &runtime),
        Role::Agent => agent::run(&options, version, &runtime),
    }
}

/// Becomes kubectl; what it returns is why it did not.
fn kubectl(arguments: &[String]) -> String {
    let mut kubectl = processes::program("kubectl");
    let told = arguments.iter().any(|argument| argument.starts_with("--kubeconfig"));
    if !told && env::var_os("KUBECONFIG").is_none() && Path::new(KUBECONFIG).exists() {
        if std::fs::File::open(KUBECONFIG).is_err() {
            say::line(
                Level::Warning,
                &format!(
                    "Unable to read {KUBECONFIG}, please start server with --write-kubeconfig-mode or \
                     --write-kubeconfig-group to modify kube config permissions"
                ),
            );
        }
        kubectl.env("KUBECONFIG", KUBECONFIG);
    }
    format!("run kubectl: {}", kubectl.args(arguments).exec())
}

/// Tells systemd that the service serves.
fn notify_ready() {
    let Some(socket) = env::var_os("NOTIFY_SOCKET") else { return };
    // A service manager that does not listen has not asked for it.
    let _ = UnixDatagram::unbound().and_then(|datagram| datagram.send_to(b"READY=1", Path::new(&socket)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_by_the_release() {
        assert!(Minor::of("v1.21.2+k3s1 (stand-in)") < Minor::OF_TODAY);
        assert!(Minor::of("v1.35.4+k3s1") > Minor::OF_TODAY && Minor::of("dev") == Minor::OF_TODAY);
    }

    #[test]
    fn what_is_installed_says_its_version_and_what_it_was_called_by() {
        let directory = tempfile::tempdir().unwrap();
        let text = artifact("v1.2.3+k3s1").replace(&format!("exec {PARTS}/k3s"), "env; echo");
        let path = directory.path().join("kubectl");
        crate::records::write_whole(&path, text.as_bytes()).unwrap();
        let said = crate::run::Run::new("sh").arg(&path).arg("get nodes").output().unwrap();
        for line in ["TESTBED_K3S_NAME=kubectl", "TESTBED_K3S_VERSION=v1.2.3+k3s1", "get nodes"] {
            assert!(said.lines().any(|one| one == line), "{said}");
        }
    }
}
