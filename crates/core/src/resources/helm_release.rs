//! A Helm release is installed.

use std::time::Duration;

use serde_json::Value;

use crate::change::{Change, Diff};
use crate::deed::Deed;
use crate::digest::sha256_hex;
use crate::engine::{Act, Look};
use crate::fault::Fault;
use crate::hazard::Hazard;
use crate::names::{Label, Target};
use crate::probe::{HelmRelease, Probe, ReleaseState};
use crate::resource::{Applied, Resource};
use crate::site::Stated;

/// A release. An installed one keeps its version unless the site states another, and its values unless the site has any.
#[derive(Debug)]
pub struct HelmReleaseInstalled {
    /// In which namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The chart.
    pub chart: String,
    /// Its version.
    pub version: Stated<String>,
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
        self.force && !seen.forced_already && seen.release.is_some()
    }

    fn states_values(&self) -> bool {
        self.values.as_object().is_some_and(|values| !values.is_empty())
    }
}

/// SHA-256 of values in their canonical form: JSON with its keys sorted.
pub fn values_sha256(values: &Value) -> String {
    let mut sorted = values.clone();
    sorted.sort_all_objects();
    sha256_hex(sorted.to_string().as_bytes())
}

impl Resource for HelmReleaseInstalled {
    type State = Seen;

    fn label(&self) -> Label {
        Label::of("cluster", format_args!("{}-release", self.name))
    }

    fn target(&self) -> Target {
        Target::Cluster
    }

    fn questions(&self) -> Vec<(Target, Probe)> {
        vec![(Target::Cluster, self.question().into())]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        let release = look.ask(&Target::Cluster, self.question()).await?;
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
        if release.status != "deployed" {
            changes.push(Change::new(format!("status of {field}"), &release.status, "deployed"));
        }
        if self.version.stated && release.version != self.version.value {
            changes.push(Change::new(format!("version of {field}"), &release.version, &self.version.value));
        }
        if self.states_values() && release.values_sha256 != values_sha256(&self.values) {
            changes.push(Change::new(format!("values of {field}"), "others", "as the site has them"));
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
        if self.reinstalls(seen) {
            act.act(&Target::Cluster, Deed::UninstallRelease { namespace: namespace.clone(), name: name.clone() })
                .await?;
        }
        let version = match &seen.release {
            Some(release) if !self.version.stated => release.version.clone(),
            _ => self.version.value.clone(),
        };
        let deed = Deed::InstallRelease {
            namespace,
            name,
            chart: self.chart.clone(),
            version,
            values: self.values.clone(),
            run: self.force.then(|| act.run().to_owned()),
        };
        act.act(&Target::Cluster, deed).await?;
        Ok(Applied::Changed)
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(90)
    }
}
