//! Containerd runs pods with NVIDIA's runtime.

use std::collections::BTreeSet;

use crate::change::{Change, Diff};
use crate::deed::{Content, Deed};
use crate::engine::{Act, Look};
use crate::fault::Fault;
use crate::ids::{Label, NodeName, Sha256, Target};
use crate::probe::{File, FileState, K3s, Probe};
use crate::resource::{Applied, Resource};
use crate::site::Stated;
use crate::version::Version;

/// The directory of containerd's templates.
const DIRECTORY: &str = "/var/lib/rancher/k3s/agent/etc/containerd";
const MODE: u32 = 0o644;

/// A node whose pods get NVIDIA's runtime unless they ask for another one.
///
/// k3s looks for the runtime's program itself and renders a table for it. A template that brings the same table keeps
/// containerd from starting ("table nvidia already exists", k3s 1.36), so ours names the default and nothing else.
#[derive(Debug)]
pub struct NvidiaRuntime {
    /// Which node.
    pub node: NodeName,
    /// The release of k3s that the site wants.
    pub version: Stated<Version>,
}

/// What a look finds: each template that k3s reads, or will read in this run, and the file that is there.
#[derive(Debug)]
pub struct Seen(Vec<(Template, Option<FileState>)>);

/// What a release of k3s renders containerd's configuration from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Template {
    /// For containerd 1, up to k3s 1.31.
    Schema2,
    /// For containerd 2, from k3s 1.32 on.
    Schema3,
}

impl Template {
    const ALL: [Self; 2] = [Self::Schema2, Self::Schema3];

    fn of(version: &Version) -> Self {
        if version.minor() >= (1, 32) { Self::Schema3 } else { Self::Schema2 }
    }

    fn path(self) -> String {
        let name = match self {
            Self::Schema2 => "config.toml.tmpl",
            Self::Schema3 => "config-v3.toml.tmpl",
        };
        format!("{DIRECTORY}/{name}")
    }

    fn text(self) -> String {
        let plugin = self.plugin();
        format!(
            "{{{{ template \"base\" . }}}}\n\n[plugins.'{plugin}'.containerd]\n  default_runtime_name = \"nvidia\"\n"
        )
    }

    /// What we wrote until November 2026, with the table that k3s renders as well.
    fn earlier_text(self) -> String {
        let (text, plugin) = (self.text(), self.plugin());
        let runtime = format!("[plugins.'{plugin}'.containerd.runtimes.'nvidia'");
        format!(
            "{text}\n{runtime}]\n  runtime_type = \"io.containerd.runc.v2\"\n\n\
             {runtime}.options]\n  BinaryName = \"/usr/bin/nvidia-container-runtime\"\n  SystemdCgroup = true\n"
        )
    }

    fn is_ours(self, file: &FileState) -> bool {
        [self.text(), self.earlier_text()].map(Sha256::of).contains(&file.sha256)
    }

    fn plugin(self) -> &'static str {
        match self {
            Self::Schema2 => "io.containerd.grpc.v1.cri",
            Self::Schema3 => "io.containerd.cri.v1.runtime",
        }
    }
}

impl NvidiaRuntime {
    /// The files that it may write: k3s reads one of them when it starts.
    pub fn files() -> Vec<String> {
        Template::ALL.map(Template::path).to_vec()
    }

    /// Those of the installed release, and of the one that it is brought to: one that the site does not state leaves what is
    /// installed as it is.
    fn templates(&self, installed: Option<&Version>) -> BTreeSet<Template> {
        let wanted = (self.version.stated || installed.is_none()).then_some(&self.version.value);
        installed.into_iter().chain(wanted).map(Template::of).collect()
    }

    /// Brings a template about; somebody else's is left.
    fn compare(template: Template, present: Option<&FileState>) -> Vec<Change> {
        let (path, text) = (template.path(), template.text());
        match present {
            None => vec![Change::add(path, format!("{} bytes", text.len()))],
            Some(file) if template.is_ours(file) => match file.compare(&path, Sha256::of(&text), text.len(), MODE) {
                Diff::Change(changes) => changes,
                _ => Vec::new(),
            },
            Some(_) => Vec::new(),
        }
    }
}

impl Resource for NvidiaRuntime {
    type State = Seen;

    fn label(&self) -> Label {
        Label::of(&self.node, "nvidia_runtime")
    }

    fn target(&self) -> Target {
        Target::Node(self.node.clone())
    }

    fn questions(&self) -> Vec<(Target, Probe)> {
        let files = Self::files().into_iter().map(|path| File { path }.into());
        files.chain([K3s {}.into()]).map(|probe| (Resource::target(self), probe)).collect()
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        let target = Resource::target(self);
        let installed = look.ask(&target, K3s {}).await?.map(|k3s| k3s.version);
        let mut seen = Vec::new();
        for template in self.templates(installed.as_ref()) {
            seen.push((template, look.ask(&target, File { path: template.path() }).await?));
        }
        Ok(Seen(seen))
    }

    fn diff(&self, seen: &Seen) -> Diff {
        Diff::of(seen.0.iter().flat_map(|(template, file)| Self::compare(*template, file.as_ref())).collect())
    }

    fn notices(&self, seen: &Seen) -> Vec<String> {
        let theirs = |(template, file): &&(Template, Option<FileState>)| {
            file.as_ref().is_some_and(|file| !template.is_ours(file))
        };
        let notice = |(template, _): &(Template, Option<FileState>)| {
            format!(
                "{} on {} was not written by bringup and is left as it is: it has to name nvidia as the default runtime, and \
                 must not define that runtime, because k3s does",
                template.path(),
                self.node
            )
        };
        seen.0.iter().filter(theirs).map(notice).collect()
    }

    async fn apply(&self, seen: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        for (template, file) in &seen.0 {
            if !Self::compare(*template, file.as_ref()).is_empty() {
                let (path, content) = (template.path(), Content::Plain(template.text()));
                act.act(&Resource::target(self), Deed::WriteFile { path, content, mode: MODE }).await?;
            }
        }
        Ok(Applied::Changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(version: &str, stated: bool) -> NvidiaRuntime {
        let version = Stated { value: Version::parse(version).unwrap(), stated };
        NvidiaRuntime { node: NodeName::new("n"), version }
    }

    #[test]
    fn the_template_follows_what_is_installed_and_what_will_be() {
        use Template::{Schema2, Schema3};
        for (wanted, stated, installed, templates) in [
            ("v1.31.9+k3s1", false, None, &[Schema2][..]),
            ("v1.32.0+k3s1", false, None, &[Schema3]),
            ("v1.33.6+k3s1", false, Some("v1.31.9+k3s1"), &[Schema2]),
            ("v1.33.6+k3s1", true, Some("v1.31.9+k3s1"), &[Schema2, Schema3]),
            ("v1.33.6+k3s1", true, Some("v1.36.3+k3s1"), &[Schema3]),
        ] {
            let installed = installed.map(|version| Version::parse(version).unwrap());
            let found: Vec<_> = wants(wanted, stated).templates(installed.as_ref()).into_iter().collect();
            assert_eq!(found, templates, "{wanted}, {installed:?}");
        }
    }

    #[test]
    fn a_template_is_ours_to_change_or_somebody_elses_to_keep() {
        let resource = wants("v1.36.3+k3s1", false);
        for template in Template::ALL {
            let file = |text: String| FileState { sha256: Sha256::of(&text), size: 1, mode: MODE, modified: 1 };
            for (text, changes, notices) in [
                (None, true, 0),
                (Some(template.text()), false, 0),
                (Some(template.earlier_text()), true, 0),
                (Some("{{ template \"base\" . }}\n".to_owned()), false, 1),
            ] {
                let seen = Seen(vec![(template, text.clone().map(file))]);
                assert_eq!(resource.diff(&seen).changes(), changes, "{text:?}");
                assert_eq!(resource.notices(&seen).len(), notices, "{text:?}");
            }
        }
    }

    /// k3s 1.36 renders this table by itself (recorded on a host with the program).
    #[test]
    fn it_defines_no_runtime() {
        for template in Template::ALL {
            assert!(!template.text().contains("runtimes"), "{template:?}");
        }
    }
}
