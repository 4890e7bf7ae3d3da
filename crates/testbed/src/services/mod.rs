//! What a cluster wants from outside, served on the bridge: a mirror of tools, an OCI registry with Argo CD's chart, and
//! the git repository that Argo CD syncs.

mod charts;
mod git_http;
mod mirror;
mod registry;
pub mod repository;

use std::fmt::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;

use crate::failure::{Failure, Tried};
use crate::go_programs::{HELM_VERSION, KUBECTL_VERSION, KUBESEAL_VERSION};
use crate::testbed::{REPOSITORY_PORT, Testbed};

/// The port of the git repositories, on the bridge's address.
const GIT_PORT: u16 = 8918;

/// The port of the registry, on the bridge's address.
const REGISTRY_PORT: u16 = 8919;

/// Sees to it that all that is the same for each testbed is in the cache.
pub fn provide() -> Result<(), Failure> {
    registry::program()?;
    mirror::provide()?;
    charts::provide().map(drop)
}

/// Makes what is served for one testbed, before it is served.
pub fn make(testbed: &Testbed) -> Result<(), Failure> {
    registry::tell(testbed)?;
    repository::make(testbed)
}

/// Where the mirror is among the shelves of the web server.
pub fn shelf() -> Result<(String, PathBuf), Failure> {
    Ok(("/mirror/".to_owned(), mirror::provide()?))
}

/// Serves the registry and the repositories, each in a thread of its own.
pub fn serve(testbed: &Testbed) -> Result<(), Failure> {
    let address = (testbed.gateway(), GIT_PORT);
    let listener = TcpListener::bind(address).tried(|| format!("listen on {}:{}", address.0, address.1))?;
    let repositories = repository::served(testbed);
    thread::spawn(move || {
        if let Err(failure) = git_http::serve(listener, repositories) {
            eprintln!("git: {failure}");
        }
    });
    let (program, of) = (registry::program()?, testbed.clone());
    thread::spawn(move || registry::keep(&program, &of));
    Ok(())
}

/// Puts the charts into the registry, once it answers.
pub fn fill(testbed: &Testbed) -> Result<(), Failure> {
    registry::wait(testbed)?;
    charts::push(testbed)
}

/// What the site says of all this.
pub fn settings(testbed: &Testbed) -> Result<String, Failure> {
    Ok(text(testbed, mirror::stated_sums(&mirror::provide()?)?))
}

/// That, with the sums of what is on the mirror.
pub fn text(testbed: &Testbed, sums: Vec<(&str, String)>) -> String {
    let gateway = testbed.gateway();
    let mut text = String::new();
    let mirror = format!("http://{gateway}:{REPOSITORY_PORT}/mirror");
    let addresses = [
        ("repo_remote", repository::address(testbed)),
        ("argocd_chart", format!("oci+{}", charts::address(testbed))),
        ("helm_version", HELM_VERSION.to_owned()),
        ("helm_url", format!("{mirror}/helm")),
        ("kubectl_version", KUBECTL_VERSION.to_owned()),
        ("kubectl_url", format!("{mirror}/kubectl")),
        ("kubeseal_version", KUBESEAL_VERSION.to_owned()),
        ("kubeseal_url", format!("{mirror}/kubeseal")),
        ("helm_diff_version", mirror::HELM_DIFF_VERSION.to_owned()),
        ("helm_diff_url", format!("{mirror}/helm-diff")),
    ];
    for (name, value) in addresses.into_iter().chain(sums) {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{name}: {value}");
    }
    text
}

/// What Go calls this machine's processor, as names of releases do.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
