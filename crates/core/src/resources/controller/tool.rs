//! A command-line tool is in the controller's `bin_dir`.

use std::time::Duration;

use crate::contract::controller::{Fetch, ToolVersion, WebText};
use crate::contract::{Asked, Contract, Controller};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, Sha256, Target};
use crate::run::change::{Change, Diff};
use crate::run::fault::{Cause, Fault};
use crate::site::Stated;
use crate::version::Version;

/// Where a tool's release is found. `VERSION` stands for the version.
#[derive(Clone, Debug)]
pub struct ToolSource {
    /// URL of the binary or archive.
    pub url: String,
    /// Member of the archive, if it is one.
    pub member: Option<String>,
    /// URL of the published sum.
    pub sums_url: String,
    /// Sum that is pinned for a version.
    pub pinned: Option<(String, Sha256)>,
    /// Sum of what is fetched, if the site states it; it takes precedence over all others.
    pub sha256: Option<Sha256>,
}

/// A tool. An installed one is left as it is unless the site states another version.
#[derive(Debug)]
pub struct PinnedTool {
    /// Its name.
    pub name: &'static str,
    /// Directory that it goes to.
    pub bin_dir: String,
    /// Which version; `None`: the latest stable one.
    pub version: Option<Stated<Version>>,
    /// Text on the web that names the latest stable version.
    pub stable_url: Option<String>,
    /// Where releases are.
    pub source: ToolSource,
}

/// What a look finds.
#[derive(Debug)]
pub struct Seen {
    installed: Option<String>,
    /// The version to install, resolved only where something is to be installed.
    wanted: Option<Version>,
}

impl PinnedTool {
    fn path(&self) -> String {
        format!("{}/{}", self.bin_dir, self.name)
    }
}

/// The SHA-256 of a file out of what is published beside it: its line of a list of sums, or the one sum that is there.
pub(in crate::resources) fn sum_in(sums: &str, file: &str) -> Option<Sha256> {
    let lines = || sums.lines().map(str::split_whitespace);
    let named = lines().find_map(|mut words| {
        let sum = words.next()?;
        words.next().is_some_and(|name| name.trim_start_matches('*') == file).then_some(sum)
    });
    // One sum without a name is that of the file that it stands beside; a list that does not name it says nothing of it.
    let alone = || match (lines().next()?.collect::<Vec<_>>().as_slice(), lines().nth(1)) {
        ([sum], None) => Some(*sum),
        _ => None,
    };
    named.or_else(alone).and_then(Sha256::parse)
}

/// Asks for a file's published sum.
pub(in crate::resources) async fn published_sum(look: &Look<'_>, sums_url: &str, url: &str) -> Result<Sha256, Fault> {
    sum_of(&read_sums(look, sums_url).await?, sums_url, url)
}

/// Reads a list of published sums.
pub(in crate::resources) async fn read_sums(look: &Look<'_>, sums_url: &str) -> Result<String, Fault> {
    look.ask(&Controller, WebText { url: sums_url.to_owned() }).await
}

/// Finds a file's sum in the list that was read from `sums_url`.
pub(in crate::resources) fn sum_of(sums: &str, sums_url: &str, url: &str) -> Result<Sha256, Fault> {
    let file = url.rsplit('/').next().unwrap_or_default();
    sum_in(sums, file).ok_or_else(|| {
        Fault::new(Cause::Mismatch, Target::Controller, format!("check {file}"))
            .said(format!("{sums_url} names no SHA-256 for it"))
            .next("check the version and the address in the site; nothing is fetched unchecked")
    })
}

impl Resource for PinnedTool {
    type State = Seen;

    fn label(&self) -> Label {
        Label::of("controller", self.name)
    }

    fn target(&self) -> Target {
        Target::Controller
    }

    fn questions(&self) -> Vec<Asked> {
        vec![Controller.asks(ToolVersion { path: self.path() })]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        let installed = look.ask(&Controller, ToolVersion { path: self.path() }).await?;
        let wanted = match (&self.version, &installed, &self.stable_url) {
            (Some(version), None, _) => Some(version.value.clone()),
            (Some(version), Some(_), _) => version.stated.then(|| version.value.clone()),
            (None, None, Some(url)) => {
                let text = look.ask(&Controller, WebText { url: url.clone() }).await?;
                let version = Version::parse(text.trim()).ok_or_else(|| {
                    Fault::new(Cause::Mismatch, Target::Controller, format!("find the latest {}", self.name))
                        .said(format!("{url} names no version: {}", text.chars().take(60).collect::<String>()))
                        .next(format!("state {}_version in the site", self.name))
                })?;
                Some(version.without_v())
            }
            (None, _, _) => None,
        };
        Ok(Seen { installed, wanted })
    }

    fn diff(&self, seen: &Seen) -> Diff {
        match &seen.wanted {
            Some(wanted) if seen.installed.as_deref() != Some(wanted.as_str()) => {
                let (from, to) = (seen.installed.clone(), wanted.to_string());
                Diff::Change(vec![Change { field: format!("{} version", self.name), from, to }])
            }
            _ => Diff::InSync,
        }
    }

    async fn apply(&self, seen: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        let Some(version) = seen.wanted.as_ref().map(Version::as_str) else { return Ok(Applied::Changed) };
        let url = self.source.url.replace("VERSION", version);
        let sha256 = match (&self.source.sha256, &self.source.pinned) {
            (Some(sha256), _) => *sha256,
            (None, Some((pinned, sha256))) if *pinned == version => *sha256,
            _ => published_sum(&act.look(), &self.source.sums_url.replace("VERSION", version), &url).await?,
        };
        let (member, sha256) = (self.source.member.clone(), Some(sha256));
        act.act(&Controller, Fetch { url, sha256, member, path: self.path(), mode: 0o755 }).await?;
        Ok(Applied::Changed)
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::controller;
    use crate::resources::scripted::{Script, check};

    #[test]
    fn a_sum_is_taken_from_a_list_or_from_a_bare_one() {
        let (one, other) = ("a".repeat(64), "B".repeat(64));
        let sum = |text: &str| Some(Sha256::parse(text).unwrap());
        let list = format!("{one}  helm-v3-linux-arm64.tar.gz\n{other} *helm-v3-linux-amd64.tar.gz\n");
        for (sums, file, expected) in [
            (list.as_str(), "helm-v3-linux-amd64.tar.gz", sum(&other)),
            (one.as_str(), "kubectl", sum(&one)),
            (list.as_str(), "helm-v3-linux-arm.tar.gz", None),
            (&format!("{one}\n{other}\n"), "kubectl", None),
            ("<html>not found</html>", "kubectl", None),
            ("", "kubectl", None),
        ] {
            assert_eq!(sum_in(sums, file), expected, "{sums:?}");
        }
    }

    /// A tool of this version, where the site says one.
    fn tool(version: Option<bool>) -> PinnedTool {
        PinnedTool {
            name: "kubectl",
            bin_dir: "/bin".to_owned(),
            version: version.map(|stated| Stated { value: Version::of(1, 34, 0), stated }),
            stable_url: Some("https://a.example/stable.txt".to_owned()),
            source: ToolSource {
                url: "https://a.example/VERSION/kubectl".to_owned(),
                member: None,
                sums_url: "https://a.example/VERSION/sum".to_owned(),
                pinned: None,
                sha256: None,
            },
        }
    }

    #[test]
    fn a_tool_is_fetched_where_it_is_missing_or_the_site_states_another() {
        let has = |version: Option<&str>| says!(Controller, ToolVersion { path: "/bin/kubectl".to_owned() } => version.map(str::to_owned));
        let web = |url: &str, text: &str| says!(Controller, WebText { url: url.to_owned() } => text.to_owned());
        let sum = || web("https://a.example/1.34.0/sum", &Sha256::of("published").to_string());
        let stable = |text| web("https://a.example/stable.txt", text);
        let (added, same) = (&["kubectl version: + 1.34.0"][..], &["in sync"][..]);
        let fetch = &["controller: fetch https://a.example/1.34.0/kubectl to /bin/kubectl", "changed"][..];
        let pinned = |to: &str, sha256: Option<&str>| PinnedTool {
            source: ToolSource {
                pinned: Some((to.to_owned(), Sha256::of("pinned"))),
                sha256: sha256.map(Sha256::of),
                ..tool(None).source
            },
            ..tool(Some(true))
        };
        for (what, tool, facts, plan, run, sum) in [
            ("missing", tool(Some(false)), vec![has(None), sum()], added, fetch, "published"),
            ("another one does", tool(Some(false)), vec![has(Some("1.30.0"))], same, same, ""),
            (
                "another one does not",
                tool(Some(true)),
                vec![has(Some("1.30.0")), sum()],
                &["kubectl version: 1.30.0 → 1.34.0"],
                fetch,
                "published",
            ),
            ("the stated one", tool(Some(true)), vec![has(Some("1.34.0"))], same, same, ""),
            ("the latest", tool(None), vec![has(None), stable("v1.34.0\n"), sum()], added, fetch, "published"),
            // An installed tool is not compared with the latest: the web is not asked.
            ("any version does", tool(None), vec![has(Some("1.30.0"))], same, same, ""),
            (
                "the web names no version",
                tool(None),
                vec![has(None), stable("<html>")],
                &["unreachable: find the latest kubectl on controller: not what was expected \
                   (https://a.example/stable.txt names no version: <html>)"],
                &["failed: find the latest kubectl on controller: not what was expected \
                   (https://a.example/stable.txt names no version: <html>)"],
                "",
            ),
            ("pinned", pinned("1.34.0", None), vec![has(None)], added, fetch, "pinned"),
            ("another is pinned", pinned("1.33.0", None), vec![has(None), sum()], added, fetch, "published"),
            ("the site's own sum", pinned("1.34.0", Some("the site's")), vec![has(None)], added, fetch, "the site's"),
        ] {
            let words = "fetch https://a.example/1.34.0/kubectl to /bin/kubectl";
            let told = check(what, tool, Script::new(facts).once(words, [has(Some("1.34.0"))]), plan, run);
            let done = told.done::<Controller>();
            assert_eq!(done.is_empty(), sum.is_empty(), "{what}");
            for action in done {
                let controller::Action::Fetch(fetch) = action else { panic!("{what}: {action}") };
                assert_eq!((fetch.sha256, fetch.mode), (Some(Sha256::of(sum)), 0o755), "{what}");
            }
        }
    }
}
