//! Programs of the cluster that are built from their Go modules: Kubernetes, Argo CD, helm, kubeseal.
//!
//! Each is a small module of ours in `go/`, whose `go.sum` says what exactly is built. The sources are in this binary, so
//! that it finds them wherever it runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::failure::{Failure, Tried};
use crate::places::{self, Lock};
use crate::records::write_whole;
use crate::run::Run;

/// The release of Kubernetes, which kubectl has from it.
pub const KUBECTL_VERSION: &str = "1.35.4";

/// What Kubernetes' programs call their version on nodes: the release of k3s that has it.
pub const K3S_VERSION: &str = "v1.35.4+k3s1";

/// The release of Argo CD. It is of the line that chart 7.8.3 installs.
pub const ARGOCD_VERSION: &str = "2.14.21";

/// The release of helm, with an addition: bringup knows the published build of 3.20.0 by its sum, and this is another.
pub const HELM_VERSION: &str = "3.20.0-testbed";

/// The release of kubeseal.
pub const KUBESEAL_VERSION: &str = "0.27.1";

/// The release of CoreDNS.
pub const COREDNS_VERSION: &str = "1.14.1";

/// Raise this when something changes that the hash does not see.
const EDITION: &str = "1";

/// Six minutes on two cores that have nothing else to do; somebody else may be building at the same time.
const BOUND: Duration = Duration::from_secs(3600);

/// A program and what it is built from.
#[derive(Debug)]
pub struct Program {
    /// What it is called.
    pub name: &'static str,
    /// Names that it goes by, as links beside it: what it does depends on how it is called.
    pub links: &'static [&'static str],
    /// The files of its module: path and text.
    files: &'static [(&'static str, &'static str)],
    /// The package in it, or one that it names as a tool.
    package: &'static str,
    /// Variables of packages that say a version.
    sets: &'static [(&'static str, &'static str)],
    /// How long building it takes when nothing of it was built before, for people.
    takes: &'static str,
}

const KUBERNETES_FILES: &[(&str, &str)] = &[
    ("go.mod", include_str!("../go/kubernetes/go.mod")),
    ("go.sum", include_str!("../go/kubernetes/go.sum")),
    ("main.go", include_str!("../go/kubernetes/main.go")),
    ("kubectl/main.go", include_str!("../go/kubernetes/kubectl/main.go")),
];

/// All that a node of Kubernetes runs, in one program.
pub const KUBERNETES: Program = Program {
    name: "kube",
    links: &["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"],
    files: KUBERNETES_FILES,
    package: ".",
    sets: &[
        ("k8s.io/component-base/version.gitVersion", K3S_VERSION),
        ("k8s.io/component-base/version.gitMajor", "1"),
        ("k8s.io/component-base/version.gitMinor", "35"),
        ("k8s.io/component-base/version.gitTreeState", "clean"),
    ],
    takes: "six minutes on two cores",
};

/// kubectl alone, calling itself what its own project does.
pub const KUBECTL: Program = Program {
    name: "kubectl",
    links: &[],
    files: KUBERNETES_FILES,
    package: "./kubectl",
    sets: &[
        ("k8s.io/component-base/version.gitVersion", "v1.35.4"),
        ("k8s.io/component-base/version.gitMajor", "1"),
        ("k8s.io/component-base/version.gitMinor", "35"),
        ("k8s.io/component-base/version.gitTreeState", "clean"),
    ],
    takes: "half a minute after kube",
};

/// Argo CD's application controller and repo-server.
pub const ARGOCD: Program = Program {
    name: "argocd",
    links: &["argocd-application-controller", "argocd-repo-server"],
    files: ARGOCD_FILES,
    package: ".",
    sets: &[("github.com/argoproj/argo-cd/v2/common.version", ARGOCD_VERSION)],
    takes: "three minutes on two cores",
};

const ARGOCD_FILES: &[(&str, &str)] = &[
    ("go.mod", include_str!("../go/argocd/go.mod")),
    ("go.sum", include_str!("../go/argocd/go.sum")),
    ("main.go", include_str!("../go/argocd/main.go")),
];

/// What makes the chart of Argo CD.
pub const CHART: Program = Program {
    name: "chart",
    links: &[],
    files: &[
        ("go.mod", include_str!("../go/argocd/go.mod")),
        ("go.sum", include_str!("../go/argocd/go.sum")),
        ("chart/files/Chart.yaml", include_str!("../go/argocd/chart/files/Chart.yaml")),
        (
            "chart/files/templates/configmap-argocd-cm.yaml",
            include_str!("../go/argocd/chart/files/templates/configmap-argocd-cm.yaml"),
        ),
        (
            "chart/files/templates/configmap-argocd-cmd-params-cm.yaml",
            include_str!("../go/argocd/chart/files/templates/configmap-argocd-cmd-params-cm.yaml"),
        ),
        (
            "chart/files/templates/configmap-argocd-rbac-cm.yaml",
            include_str!("../go/argocd/chart/files/templates/configmap-argocd-rbac-cm.yaml"),
        ),
        (
            "chart/files/templates/custom-resources.yaml",
            include_str!("../go/argocd/chart/files/templates/custom-resources.yaml"),
        ),
        ("chart/files/templates/secrets.yaml", include_str!("../go/argocd/chart/files/templates/secrets.yaml")),
        ("chart/files/values.yaml", include_str!("../go/argocd/chart/files/values.yaml")),
        ("chart/main.go", include_str!("../go/argocd/chart/main.go")),
    ],
    package: "./chart",
    sets: &[],
    takes: "seconds",
};

/// helm.
pub const HELM: Program = Program {
    name: "helm",
    links: &[],
    files: &[("go.mod", include_str!("../go/helm/go.mod")), ("go.sum", include_str!("../go/helm/go.sum"))],
    package: "helm.sh/helm/v3/cmd/helm",
    sets: &[("helm.sh/helm/v3/internal/version.version", "v3.20.0-testbed")],
    takes: "two minutes on two cores",
};

/// kubeseal.
pub const KUBESEAL: Program = Program {
    name: "kubeseal",
    links: &[],
    files: &[("go.mod", include_str!("../go/kubeseal/go.mod")), ("go.sum", include_str!("../go/kubeseal/go.sum"))],
    package: "github.com/bitnami-labs/sealed-secrets/cmd/kubeseal",
    sets: &[("main.VERSION", KUBESEAL_VERSION)],
    takes: "a minute on two cores",
};

/// What holds a pod's namespaces.
pub const PAUSE: Program = Program {
    name: "pause",
    links: &[],
    files: &[("go.mod", include_str!("../go/pause/go.mod")), ("main.go", include_str!("../go/pause/main.go"))],
    package: ".",
    sets: &[],
    takes: "seconds",
};

/// The cluster's DNS.
pub const COREDNS: Program = Program {
    name: "coredns",
    links: &[],
    files: &[
        ("go.mod", include_str!("../go/coredns/go.mod")),
        ("go.sum", include_str!("../go/coredns/go.sum")),
        ("main.go", include_str!("../go/coredns/main.go")),
    ],
    package: ".",
    sets: &[],
    takes: "a minute on two cores",
};

/// All of them. What others wait for comes first.
pub const ALL: [&Program; 8] = [&KUBERNETES, &KUBECTL, &ARGOCD, &HELM, &KUBESEAL, &CHART, &PAUSE, &COREDNS];

impl Program {
    /// Where it is in the cache. Another text, version or package is another place.
    fn directory(&self) -> PathBuf {
        let mut hash = Sha256::new();
        let texts = self.files.iter().chain(self.sets).flat_map(|(one, other)| [*one, *other]);
        for part in [EDITION, self.package].into_iter().chain(texts).chain(self.links.iter().copied()) {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        let hex = hex::encode(&hash.finalize()[..8]);
        places::cache().join(format!("go-{}-{hex}", self.name))
    }

    /// Sees to it that it is in the cache; the directory that it is in under all its names.
    pub fn provide(&self) -> Result<PathBuf, Failure> {
        let directory = self.directory();
        if directory.is_dir() {
            return Ok(directory);
        }
        let cache = places::cache();
        let _lock = places::lock(&cache, &format!("go-{}", self.name), Lock::Alone, BOUND)?;
        if directory.is_dir() {
            return Ok(directory);
        }
        eprintln!("building {} ({}, once)", self.name, self.takes);
        let begun = Instant::now();
        let unfinished = cache.join(format!(".unfinished-go-{}", self.name));
        // Nobody else is at work on it while the lock is held: this is what a crash has left.
        let _ = fs::remove_dir_all(&unfinished);
        let programs = unfinished.join("programs");
        fs::create_dir_all(&programs).tried(|| format!("make {}", programs.display()))?;
        self.build(&unfinished, &programs.join(self.name))?;
        for link in self.links {
            let link = programs.join(link);
            std::os::unix::fs::symlink(self.name, &link).tried(|| format!("make {}", link.display()))?;
        }
        fs::rename(&programs, &directory).tried(|| format!("name {} as finished", directory.display()))?;
        fs::remove_dir_all(&unfinished).tried(|| format!("remove {}", unfinished.display()))?;
        eprintln!("built {} in {:.0?}", self.name, begun.elapsed());
        Ok(directory)
    }

    /// Its path under its own name.
    pub fn path(&self) -> Result<PathBuf, Failure> {
        Ok(self.provide()?.join(self.name))
    }

    fn build(&self, work: &Path, to: &Path) -> Result<(), Failure> {
        let source = work.join("source");
        self.write_source(&source)?;
        let sets = self.sets.iter().map(|(variable, value)| format!(" -X {variable}={value}"));
        let flags = ["-s -w".to_owned()].into_iter().chain(sets).collect::<String>();
        go(&source)?
            .args(["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", &flags, "-o"])
            .arg(to)
            .arg(self.package)
            // Objects of the linker are large, and the usual place for them may be memory.
            .env("GOTMPDIR", work)
            .output()
            .map(drop)
            .map_err(|failure| failure.help("it needs Go and the module proxy that `go env GOPROXY` names"))
    }

    /// Writes its module down.
    pub fn write_source(&self, into: &Path) -> Result<(), Failure> {
        self.files.iter().try_for_each(|(path, text)| write_whole(&into.join(path), text.as_bytes()))
    }
}

/// Go, told to build without C and to take modules from the machine's proxy alone.
pub fn go(within: &Path) -> Result<Run, Failure> {
    let proxy = Run::new("go").args(["env", "GOPROXY"]).output()?;
    let go = Run::new("go").within(within).bound(BOUND);
    Ok(go.env("GOPROXY", proxy_alone(&proxy)).env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local"))
}

/// Without `direct`: a repository's own host is not asked.
fn proxy_alone(proxy: &str) -> String {
    let kept = proxy.trim().split_inclusive([',', '|']).filter(|one| one.trim_end_matches([',', '|']) != "direct");
    let kept = kept.collect::<String>();
    match kept.trim_end_matches([',', '|']) {
        "" => "off".to_owned(),
        kept => kept.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_host_but_the_proxy_is_asked() {
        for (proxy, alone) in [
            ("https://proxy.example,direct\n", "https://proxy.example"),
            ("https://a.example|https://b.example,direct", "https://a.example|https://b.example"),
            ("direct", "off"),
            ("off", "off"),
        ] {
            assert_eq!(proxy_alone(proxy), alone);
        }
    }

    #[test]
    fn each_program_has_a_place_of_its_own_and_versions_are_those_of_the_modules() {
        let places: std::collections::BTreeSet<_> = ALL.iter().map(|program| program.directory()).collect();
        assert_eq!(places.len(), ALL.len());
        for (program, module) in [
            (&KUBERNETES, format!("k8s.io/kubernetes v{KUBECTL_VERSION}\n")),
            (&ARGOCD, format!("github.com/argoproj/argo-cd/v2 v{ARGOCD_VERSION}\n")),
            (&HELM, format!("helm.sh/helm/v3 v{} ", HELM_VERSION.trim_end_matches("-testbed"))),
            (&KUBESEAL, format!("github.com/bitnami-labs/sealed-secrets v{KUBESEAL_VERSION} ")),
            (&COREDNS, format!("github.com/coredns/coredns v{COREDNS_VERSION}\n")),
        ] {
            let text = program.files.iter().find(|(path, _)| *path == "go.mod").map_or("", |(_, text)| *text);
            assert!(text.contains(&module), "{}: {module}", program.name);
        }
    }
}
