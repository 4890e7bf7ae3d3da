//! A Helm release is installed.

use std::time::Duration;

use serde_json::Value;

use crate::contract::cluster::{HelmRelease, InstallRelease, UninstallRelease};
use crate::contract::{Asked, Cluster, Contract, ReleaseState};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, Target};
use crate::run::change::{Change, Diff, Reason};
use crate::run::fault::Fault;
use crate::run::hazard::Hazard;
use crate::site::Stated;
use crate::text::value_sums::value_sums;
use crate::version::Version;

/// The status of a release that was uninstalled, and whose values Helm still has.
pub const UNINSTALLED: &str = "uninstalled";

/// A release. An installed one keeps its version unless the site states another, and every value that the site does not
/// give.
#[derive(Debug)]
pub struct HelmReleaseInstalled {
    /// In which namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The chart.
    pub chart: String,
    /// Its version.
    pub version: Stated<Version>,
    /// Values, an object.
    pub values: Value,
    /// It is installed anew, once a run.
    pub force: bool,
}

/// What a look finds.
#[derive(Debug)]
pub struct Seen {
    release: Option<ReleaseState>,
    forced_already: bool,
}

impl HelmReleaseInstalled {
    fn question(&self) -> HelmRelease {
        HelmRelease { namespace: self.namespace.clone(), name: self.name.clone() }
    }

    fn reinstalls(&self, seen: &Seen) -> bool {
        let installed = seen.release.as_ref().is_some_and(|release| release.status != UNINSTALLED);
        self.force && !seen.forced_already && installed
    }
}

impl Resource for HelmReleaseInstalled {
    type State = Seen;

    fn label(&self) -> Label {
        Label::of("cluster", format_args!("{}-release", self.name))
    }

    fn target(&self) -> Target {
        Target::Cluster
    }

    fn questions(&self) -> Vec<Asked> {
        vec![Cluster.asks(self.question())]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        let release = look.ask(&Cluster, self.question()).await?;
        let forced_already = release.as_ref().is_some_and(|release| release.run.as_deref() == Some(look.run()));
        Ok(Seen { release, forced_already })
    }

    fn diff(&self, seen: &Seen) -> Diff {
        let field = format!("release {}/{}", self.namespace, self.name);
        let Some(release) = &seen.release else {
            return Diff::Change(vec![Change::add(field, format!("{} {}", self.chart, self.version.value))]);
        };
        let mut changes = Vec::new();
        if self.reinstalls(seen) {
            changes.push(Change::new(&field, "installed", "installed anew (cluster_force)"));
        }
        if release.status.starts_with("pending-") || release.status == "uninstalling" {
            return Diff::Blocked(Reason::new(
                format!("{field} is {}: a helm is at work on it, or died at it", release.status),
                format!(
                    "see that no helm is at work; then `helm -n {namespace} history {name}` shows what is there, and \
                     `helm -n {namespace} rollback {name}` goes back to the last revision that was deployed. If there is \
                     none, delete the secret of the pending revision: `kubectl -n {namespace} delete secret -l \
                     owner=helm,name={name},status={status}`. Then run again",
                    namespace = self.namespace,
                    name = self.name,
                    status = release.status,
                ),
            ));
        }
        if release.status != "deployed" {
            changes.push(Change::new(format!("status of {field}"), &release.status, "deployed"));
        }
        if self.version.stated && self.version.value.is_older_than(&release.version) {
            return Diff::Blocked(Reason::new(
                format!("{field} has chart {}, the site states the older {}", release.version, self.version.value),
                "a chart that goes back takes its custom resources' definitions back too: state the newer version",
            ));
        }
        if self.version.stated && release.version != self.version.value {
            changes.push(Change::new(
                format!("version of {field}"),
                release.version.as_str(),
                self.version.value.as_str(),
            ));
        }
        for (path, sha256) in value_sums(&self.values) {
            match release.values.get(&path) {
                Some(present) if *present == sha256 => {}
                // Values may be secrets.
                Some(_) => changes.push(Change::new(format!("{path} of {field}"), "another", "as the site has it")),
                None => changes.push(Change::add(format!("{path} of {field}"), "as the site has it")),
            }
        }
        Diff::of(changes)
    }

    fn hazards(&self, seen: Option<&Seen>) -> Vec<Hazard> {
        match seen {
            Some(seen) if self.reinstalls(seen) => {
                vec![Hazard::Delete { object: format!("release {}/{}", self.namespace, self.name) }]
            }
            _ => Vec::new(),
        }
    }

    async fn apply(&self, seen: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        let (namespace, name) = (self.namespace.clone(), self.name.clone());
        let version = match &seen.release {
            Some(release) if !self.version.stated => release.version.clone(),
            _ => self.version.value.clone(),
        };
        let chart = self.chart.clone();
        if self.reinstalls(seen) {
            let (namespace, name, version) = (namespace.clone(), name.clone(), version.clone());
            let chart = chart.clone();
            act.act(&Cluster, UninstallRelease { namespace, name, chart, version }).await?;
        }
        let install = InstallRelease {
            namespace,
            name,
            chart,
            version,
            values: self.values.clone(),
            run: self.force.then(|| act.run().to_owned()),
        };
        act.act(&Cluster, install).await?;
        Ok(Applied::Changed)
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(90)
    }
}

#[cfg(test)]
mod tests;
