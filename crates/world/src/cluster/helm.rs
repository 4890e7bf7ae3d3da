//! Calls of `helm`, as the stage tools installed it. What is secret reaches it in files of a private directory.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bringup_core::ids::Target;
use bringup_core::run::fault::{Cause, Fault};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use super::release::DESCRIPTION;
use super::session::Session;
use crate::program;

/// How long helm itself waits for what it waits for; the action is bounded to more.
const TIMEOUT: &str = "10m";
/// What of the user's environment would lead helm elsewhere.
const ELSEWHERE: [&str; 12] = [
    "KUBECONFIG",
    "HELM_NAMESPACE",
    "HELM_DRIVER",
    "HELM_KUBEAPISERVER",
    "HELM_KUBEASGROUPS",
    "HELM_KUBEASUSER",
    "HELM_KUBECAFILE",
    "HELM_KUBECONTEXT",
    "HELM_KUBETOKEN",
    "HELM_KUBEINSECURE_SKIP_TLS_VERIFY",
    "HELM_KUBETLS_SERVER_NAME",
    "HELM_DEBUG",
];

/// A release to install.
pub(super) struct Install<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    pub chart: &'a str,
    pub version: &'a str,
    pub values: &'a Value,
    pub run: Option<&'a str>,
}

/// A directory that only we can read, gone when it is let go.
struct Private(TempDir);

impl Private {
    fn make() -> std::io::Result<Self> {
        tempfile::Builder::new().prefix("bringup-helm-").tempdir().map(Self)
    }

    fn write(&self, name: &str, text: &str) -> std::io::Result<PathBuf> {
        let path = self.0.path().join(name);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes())?;
        Ok(path)
    }
}

/// The words for helm that name a chart. `oci+http://` is a registry that speaks no TLS.
fn chart_words(chart: &str, version: &str) -> Vec<String> {
    let (chart, plain) = match chart.strip_prefix("oci+http://") {
        Some(rest) => (format!("oci://{rest}"), true),
        None => (chart.to_owned(), false),
    };
    // A directory has the version that it has.
    let is_directory = Path::new(&chart).is_dir();
    let mut words = vec![chart];
    if !is_directory {
        words.extend(["--version".to_owned(), version.to_owned()]);
    }
    if plain {
        words.push("--plain-http".to_owned());
    }
    words
}

fn install_words(install: &Install<'_>, values: &Path) -> Vec<String> {
    let mut words: Vec<String> =
        ["upgrade", "--install", install.name, "--namespace", install.namespace, "--create-namespace"]
            .map(str::to_owned)
            .into();
    words.extend(chart_words(install.chart, install.version));
    // What others gave it stays, with what is new in this chart's own values.
    words.extend(["--reset-then-reuse-values", "--timeout", TIMEOUT, "--values"].map(str::to_owned));
    words.push(values.to_string_lossy().into_owned());
    let description = install.run.map_or_else(|| "by bringup".to_owned(), |run| format!("{DESCRIPTION}{run}"));
    words.extend(["--description".to_owned(), description]);
    words
}

/// Installs or upgrades a release.
pub(super) async fn install(helm: &Path, session: &Session, install: &Install<'_>, doing: &str) -> Result<(), Fault> {
    let private = private(doing)?;
    let values = private.write("values.json", &install.values.to_string()).map_err(|error| disk(&error, doing))?;
    call(helm, session, &private, &install_words(install, &values), doing).await
}

/// Makes sure that a chart can be had.
pub(super) async fn can_be_had(
    helm: &Path,
    session: &Session,
    chart: &str,
    version: &str,
    doing: &str,
) -> Result<(), Fault> {
    let words = ["show".to_owned(), "chart".to_owned()].into_iter().chain(chart_words(chart, version));
    call(helm, session, &private(doing)?, &words.collect::<Vec<_>>(), doing).await
}

/// Uninstalls a release.
pub(super) async fn uninstall(
    helm: &Path,
    session: &Session,
    namespace: &str,
    name: &str,
    doing: &str,
) -> Result<(), Fault> {
    // With its history stay the values that others gave it, for when it is installed again.
    let words = [
        "uninstall",
        name,
        "--namespace",
        namespace,
        "--ignore-not-found",
        "--keep-history",
        "--wait",
        "--timeout",
        TIMEOUT,
    ];
    call(helm, session, &private(doing)?, &words.map(str::to_owned), doing).await
}

fn private(doing: &str) -> Result<Private, Fault> {
    Private::make().map_err(|error| disk(&error, doing))
}

fn disk(error: &std::io::Error, doing: &str) -> Fault {
    Fault::new(Cause::Failed, Target::Controller, doing)
        .said(error.to_string())
        .next("see whether the directory for temporary files can be written to and has room")
}

async fn call(helm: &Path, session: &Session, private: &Private, words: &[String], doing: &str) -> Result<(), Fault> {
    let fault = |cause| Fault::new(cause, Target::Cluster, doing);
    let text = session.access.to_kubeconfig();
    let kubeconfig = private.write("kubeconfig", text.expose()).map_err(|error| disk(&error, doing))?;
    let mut command = Command::new(helm);
    for name in ELSEWHERE {
        command.env_remove(name);
    }
    command
        .args(words)
        .env("KUBECONFIG", &kubeconfig)
        // An interrupt at the terminal is ours to see to: a helm that dies of it leaves a pending release behind.
        .process_group(0);
    let output = program::run(&mut command, b"").await.map_err(|error| {
        let fault = fault(Cause::Failed).said(format!("{}: {error}", helm.display()));
        if error.kind() != ErrorKind::NotFound {
            return fault;
        }
        fault.likely("helm is not installed").next("run the stage tools, which installs it")
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(&String::from_utf8_lossy(&output.stderr), fault))
}

/// What helm says, and what it means.
fn failed(said: &str, fault: impl Fn(Cause) -> Fault) -> Fault {
    const LINES: usize = 12;
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(LINES)..].join("\n");
    let has = |words: &[&str]| words.iter().any(|word| last.contains(word));
    if has(&["another operation (install/upgrade/rollback) is in progress"]) {
        return fault(Cause::Refused)
            .said(last)
            .likely("a helm is at work on this release, or died at it")
            .next("see that no helm is at work, then run again: the plan says how to free it");
    }
    if has(&["dial tcp", "no such host", "connection refused", "i/o timeout", "TLS handshake", "failed to do request"])
    {
        return fault(Cause::Unreachable)
            .said(last)
            .likely("the chart's registry cannot be reached from here")
            .next("see to the network, or let argocd_chart name a mirror, an archive or a directory; then run again");
    }
    if has(&["not found", "no chart version found", "manifest unknown"]) {
        return fault(Cause::Failed)
            .said(last)
            .likely("the registry has no such chart, or not in this version")
            .next("fix argocd_chart or argocd_chart_version in the site");
    }
    if has(&["invalid ownership metadata"]) {
        return fault(Cause::Refused)
            .said(last)
            .likely("what the chart brings was installed by other means than Helm")
            .next("take it over by giving it Helm's labels and annotations, or take it away; then run again");
    }
    fault(Cause::Failed).said(last).next("fix what helm says, then run again")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bringup_core::ids::Target;
    use bringup_core::run::fault::{Cause, Fault};
    use serde_json::json;

    use super::{Install, failed, install_words};

    #[test]
    fn a_registry_without_tls_is_named_as_one() {
        let values = json!({});
        let mut install = Install {
            namespace: "argo-cd",
            name: "argocd",
            chart: "oci+http://10.0.0.1:5000/argo-cd",
            version: "7.8.3",
            values: &values,
            run: None,
        };
        let words = install_words(&install, Path::new("/v"));
        assert!(
            words.contains(&"oci://10.0.0.1:5000/argo-cd".to_owned()) && words.contains(&"--plain-http".to_owned())
        );
        install.chart = "oci://ghcr.io/argoproj/argo-helm/argo-cd";
        assert!(!install_words(&install, Path::new("/v")).contains(&"--plain-http".to_owned()));
    }

    #[test]
    fn what_helm_says_is_understood() {
        let fault = |cause| Fault::new(cause, Target::Cluster, "install");
        for (said, cause, likely) in [
            (
                "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
                Cause::Refused,
                Some("a helm is at work on this release, or died at it"),
            ),
            (
                "Error: failed to do request: Head \"https://x\": dial tcp: lookup x: no such host",
                Cause::Unreachable,
                Some("the chart's registry cannot be reached from here"),
            ),
            (
                "Error: x:5000/argo-cd:9.9.9: not found",
                Cause::Failed,
                Some("the registry has no such chart, or not in this version"),
            ),
            (
                "Error: Unable to continue with install: invalid ownership metadata; label validation error",
                Cause::Refused,
                Some("what the chart brings was installed by other means than Helm"),
            ),
            ("Error: something that helm has never said", Cause::Failed, None),
        ] {
            let fault = failed(said, fault);
            assert_eq!((fault.cause, fault.likely.as_deref()), (cause, likely), "{said}");
            assert!(fault.next.is_some());
        }
    }
}
