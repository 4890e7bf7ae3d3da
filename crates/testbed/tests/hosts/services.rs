//! What is served beside a cluster's hosts: tools with their sums, a chart, a repository that can be broken.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::bed::Bed;

/// A program's output, once it has succeeded.
fn run(program: impl AsRef<Path>, words: &[&str], within: &Path) -> String {
    let mut command = Command::new(program.as_ref());
    for kind in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(kind, within);
    }
    let output = command.args(words).current_dir(within).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{} {words:?}: {said}", program.as_ref().display());
    String::from_utf8(output.stdout).unwrap()
}

fn setting(settings: &str, name: &str) -> String {
    let line = settings.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("{name} in {settings}")).to_owned()
}

#[test]
#[ignore = "needs root and real hosts"]
fn tools_the_chart_and_the_repository_are_where_the_site_says() {
    let bed = Bed::up("t-services", &["--nodes", "0", "--kubernetes"]);
    let settings = fs::read_to_string(bed.site().join("group_vars/all.yml")).unwrap();
    let value = |name| setting(&settings, name);
    let work = tempfile::tempdir().unwrap();
    let within = work.path();

    let archive = format!("helm-v{}-linux-amd64.tar.gz", value("helm_version"));
    let url = format!("{}/{archive}", value("helm_url"));
    for end in ["", ".sha256sum"] {
        run("curl", &["-sSfO", &format!("{url}{end}")], within);
    }
    run("sha256sum", &["--check", &format!("{archive}.sha256sum")], within);
    run("tar", &["-xf", &archive], within);
    let helm = within.join("linux-amd64/helm");
    assert_eq!(run(&helm, &["version", "--short"], within).trim(), format!("v{}", value("helm_version")));

    let chart = value("argocd_chart").replace("oci+http://", "oci://");
    for version in ["7.8.3", "7.8.28"] {
        let words = ["show", "chart", &chart, "--version", version, "--plain-http"];
        assert!(run(&helm, &words, within).contains(&format!("version: {version}\n")));
    }
    let rendered = ["template", "argocd", &chart, "--version", "7.8.3", "--plain-http", "--namespace", "argo-cd"];
    let rendered = run(&helm, &rendered, within);
    assert!(rendered.contains("name: applications.argoproj.io\n"));
    assert!(rendered.contains("image: testbed.lan/argocd:v2.14.21\n"));
    assert!(!rendered.contains("initContainers"));

    let clone = |directory: &str| {
        run("git", &["clone", "--quiet", &value("repo_remote"), directory], within);
        within.join(directory).join("kubernetes-services/templates/broken-object.yaml").exists()
    };
    assert!(!clone("whole"));
    let broken = bed.run(&["git-commit", "--break", "object"]);
    assert!(clone("broken"));
    let fixed = bed.run(&["git-commit"]);
    assert!(!clone("fixed") && broken != fixed);
}
