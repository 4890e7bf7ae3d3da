//! The git repository of a testbed that Argo CD syncs, and commits that break it.

use std::fs;
use std::path::{Path, PathBuf};

use super::GIT_PORT;
use crate::failure::{Failure, Tried};
use crate::records::write_whole;
use crate::run::Run;
use crate::testbed::Testbed;

/// What it is called where it is served.
const NAME: &str = "services.git";

/// The files of it while nothing is broken: an application of applications, and one of those.
const FILES: [(&str, &str); 6] = [
    ("kubernetes-services/Chart.yaml", include_str!("../../gitops/Chart.yaml")),
    ("kubernetes-services/values.yaml", include_str!("../../gitops/values.yaml")),
    ("kubernetes-services/templates/hello.yaml", include_str!("../../gitops/hello.yaml")),
    ("kubernetes-services/templates/facts.yaml", include_str!("../../gitops/facts.yaml")),
    ("additions/hello/deployment.yaml", include_str!("../../gitops/deployment.yaml")),
    ("additions/hello/service.yaml", include_str!("../../gitops/service.yaml")),
];

/// How a commit can break it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Fault {
    /// The root application has a deployment whose image cannot be had: it degrades after five seconds
    Image,
    /// The root application's chart cannot be rendered: what it should be is unknown
    Chart,
    /// The root application has an object that the cluster refuses: the sync fails
    Object,
    /// The application below the root degrades, as `image` does, and the root does not
    Child,
}

impl Fault {
    /// The file that it adds.
    fn file(self) -> (&'static str, &'static str) {
        match self {
            Self::Image => {
                ("kubernetes-services/templates/broken-image.yaml", include_str!("../../gitops/broken-image.yaml"))
            }
            Self::Chart => {
                ("kubernetes-services/templates/broken-chart.yaml", include_str!("../../gitops/broken-chart.yaml"))
            }
            Self::Object => {
                ("kubernetes-services/templates/broken-object.yaml", include_str!("../../gitops/broken-object.yaml"))
            }
            Self::Child => ("additions/hello/broken.yaml", include_str!("../../gitops/broken-image.yaml")),
        }
    }
}

/// Where the repositories of a testbed are.
pub fn served(testbed: &Testbed) -> PathBuf {
    testbed.directory().join("git")
}

/// Where the files of it are changed.
fn tree(testbed: &Testbed) -> PathBuf {
    testbed.directory().join("git-tree")
}

/// Its address.
pub fn address(testbed: &Testbed) -> String {
    format!("http://{}:{GIT_PORT}/{NAME}", testbed.gateway())
}

fn git(tree: &Path) -> Run {
    // Neither this machine's settings nor the person at it.
    Run::new("git").within(tree).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null").args([
        "-c",
        "user.name=testbed",
        "-c",
        "user.email=testbed@localhost",
        "-c",
        "commit.gpgsign=false",
    ])
}

/// Makes it, unless it is there.
pub fn make(testbed: &Testbed) -> Result<(), Failure> {
    let (served, tree) = (served(testbed).join(NAME), tree(testbed));
    if served.join("refs/heads/main").exists() {
        return Ok(());
    }
    for path in [&served, &tree] {
        fs::create_dir_all(path).tried(|| format!("make {}", path.display()))?;
    }
    git(&tree).args(["init", "--quiet", "--initial-branch=main", "--separate-git-dir"]).arg(&served).output()?;
    commit(testbed, None).map(drop)
}

/// Makes a commit after which it is broken so, or not at all; its id.
pub fn commit(testbed: &Testbed, fault: Option<Fault>) -> Result<String, Failure> {
    let tree = tree(testbed);
    git(&tree).args(["rm", "-r", "--quiet", "--force", "--ignore-unmatch", "."]).output()?;
    // It takes the last file's directory along, which may be this one.
    fs::create_dir_all(&tree).tried(|| format!("make {}", tree.display()))?;
    for (path, text) in FILES.into_iter().chain(fault.map(Fault::file)) {
        write_whole(&tree.join(path), text.as_bytes())?;
    }
    git(&tree).args(["add", "--all"]).output()?;
    let message = fault.map_or_else(|| "Nothing is broken".to_owned(), |fault| format!("Break it: {fault:?}"));
    git(&tree).args(["commit", "--quiet", "--allow-empty", "--message", &message]).output()?;
    Ok(git(&tree).args(["rev-parse", "HEAD"]).output()?.trim().to_owned())
}
