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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::controller::{self, WebText};
    use crate::resources::scripted::{Script, check};

    #[test]
    fn a_plugin_is_installed_with_a_sum_that_somebody_vouches_for() {
        let plugin = |stated, sha256: Option<&str>| HelmPluginInstalled {
            helm: "/bin/helm".to_owned(),
            name: "diff",
            url: "https://a.example/VERSION/diff.tgz".to_owned(),
            sums_url: "https://a.example/VERSION/sums.txt".to_owned(),
            sha256: sha256.map(Sha256::of),
            version: Stated { value: Version::of(3, 9, 0), stated },
        };
        let has =
            |version: Option<&str>| says!(Controller, plugin(true, None).question() => version.map(str::to_owned));
        let list = |text: String| says!(Controller, WebText { url: "https://a.example/3.9.0/sums.txt".to_owned() } => text.clone());
        let published = || list(format!("{}  diff.tgz\n", Sha256::of("published")));
        let (added, install) =
            (&["helm plugin diff: + 3.9.0"][..], &["controller: install helm plugin diff 3.9.0", "changed"][..]);
        let same = &["in sync"][..];
        for (what, plugin, facts, plan, run, sum) in [
            ("absent", plugin(false, None), vec![has(None), published()], added, install, Some("published")),
            ("absent, pinned", plugin(true, Some("pinned")), vec![has(None)], added, install, Some("pinned")),
            (
                "absent, in no list",
                plugin(false, None),
                vec![has(None), list(format!("{}  other.tgz\n", Sha256::of("other")))],
                added,
                &["failed: check diff.tgz on controller: not what was expected \
                     (https://a.example/3.9.0/sums.txt names no SHA-256 for it)"],
                None,
            ),
            ("another, which the site does not mind", plugin(false, None), vec![has(Some("3.8.0"))], same, same, None),
            (
                "another than the stated one",
                plugin(true, Some("pinned")),
                vec![has(Some("3.8.0"))],
                &["helm plugin diff: 3.8.0 → 3.9.0"],
                install,
                Some("pinned"),
            ),
            ("the stated one", plugin(true, None), vec![has(Some("3.9.0"))], same, same, None),
        ] {
            let script = Script::new(facts).once("install helm plugin diff 3.9.0", [has(Some("3.9.0"))]);
            let told = check(what, plugin, script, plan, run);
            let sums: Vec<Sha256> = told
                .done::<Controller>()
                .into_iter()
                .map(|action| match action {
                    controller::Action::InstallHelmPlugin(install) => install.sha256,
                    other => panic!("{what}: {other}"),
                })
                .collect();
            assert_eq!(sums, Vec::from_iter(sum.map(Sha256::of)), "{what}");
        }
    }
}
