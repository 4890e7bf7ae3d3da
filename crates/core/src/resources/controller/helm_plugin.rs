//! A plugin of helm is installed on the controller.

use std::time::Duration;

use crate::contract::controller::{HelmPlugin, InstallHelmPlugin};
use crate::contract::{Asked, Contract, Controller};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, Sha256, Target};
use crate::resources::controller::tool::published_sum;
use crate::run::change::{Change, Diff};
use crate::run::fault::Fault;
use crate::site::Stated;
use crate::version::Version;

/// A plugin. An installed one is left as it is unless the site states another version.
#[derive(Debug)]
pub struct HelmPluginInstalled {
    /// Absolute path of helm.
    pub helm: String,
    /// Its name.
    pub name: &'static str,
    /// URL of its archive. `VERSION` stands for the version.
    pub url: String,
    /// URL of the published sums.
    pub sums_url: String,
    /// Sum of the archive, if the site states it; it takes precedence over the published one.
    pub sha256: Option<Sha256>,
    /// Which version.
    pub version: Stated<Version>,
}

impl HelmPluginInstalled {
    fn question(&self) -> HelmPlugin {
        HelmPlugin { helm: self.helm.clone(), name: self.name.to_owned() }
    }
}

impl Resource for HelmPluginInstalled {
    type State = Option<String>;

    fn label(&self) -> Label {
        Label::of("controller", format_args!("helm-{}", self.name))
    }

    fn target(&self) -> Target {
        Target::Controller
    }

    fn questions(&self) -> Vec<Asked> {
        vec![Controller.asks(self.question())]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Option<String>, Fault> {
        look.ask(&Controller, self.question()).await
    }

    fn diff(&self, seen: &Option<String>) -> Diff {
        let keep = seen.as_ref().is_some_and(|seen| !self.version.stated || seen == self.version.value.as_str());
        if keep {
            return Diff::InSync;
        }
        let (from, to) = (seen.clone(), self.version.value.to_string());
        Diff::Change(vec![Change { field: format!("helm plugin {}", self.name), from, to }])
    }

    async fn apply(&self, _: &Option<String>, act: &Act<'_>) -> Result<Applied, Fault> {
        let version = self.version.value.clone();
        let at = |url: &str| url.replace("VERSION", version.as_str());
        let url = at(&self.url);
        let sha256 = match &self.sha256 {
            Some(sha256) => *sha256,
            None => published_sum(&act.look(), &at(&self.sums_url), &url).await?,
        };
        let (helm, name) = (self.helm.clone(), self.name.to_owned());
        let install = InstallHelmPlugin { helm, name, url, sha256, version };
        act.act(&Controller, install).await?;
        Ok(Applied::Changed)
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(8)
    }
}
