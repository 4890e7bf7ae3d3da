//! Containerd runs pods with NVIDIA's runtime.

use crate::contract::node::{Content, File, WriteFile};
use crate::contract::{Asked, Contract, FileState};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, NodeName, Sha256, Target};
use crate::run::change::{Change, Diff};
use crate::run::event::Notice;
use crate::run::fault::Fault;

/// The directory of containerd's templates.
const DIRECTORY: &str = "/var/lib/rancher/k3s/agent/etc/containerd";
const MODE: u32 = 0o644;

/// A node whose pods get NVIDIA's runtime unless they ask for another one.
///
/// k3s looks for the runtime's program itself and renders a table for it. A template that brings the same table keeps
/// containerd from starting ("table nvidia already exists", k3s 1.36), so ours names the default and nothing else.
///
/// Both templates are written. Which one is read goes by the release of containerd in k3s, and that changed within minor
/// releases (containerd 2 came with v1.31.6+k3s1 and v1.32.2+k3s1, docs.k3s.io). Containerd 2 prefers its own.
#[derive(Debug)]
pub struct NvidiaRuntime {
    /// Which node.
    pub node: NodeName,
}

/// What a look finds: each template, and the file that is there.
#[derive(Debug)]
pub struct Seen(Vec<(Template, Option<FileState>)>);

/// What k3s renders containerd's configuration from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::resources) enum Template {
    /// For containerd 1.
    Schema2,
    /// For containerd 2.
    Schema3,
}

impl Template {
    const ALL: [Self; 2] = [Self::Schema2, Self::Schema3];

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

    /// What bringup wrote until November 2026, with the table that k3s renders as well.
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

    /// What is missing of it; somebody else's is left.
    fn changes(self, present: Option<&FileState>) -> Vec<Change> {
        let (path, text) = (self.path(), self.text());
        match present {
            None => vec![Change::add(path, format!("{} bytes", text.len()))],
            Some(file) if self.is_ours(file) => match file.compare(&path, Sha256::of(&text), text.len(), MODE) {
                Diff::Change(changes) => changes,
                _ => Vec::new(),
            },
            Some(_) => Vec::new(),
        }
    }

    fn plugin(self) -> &'static str {
        match self {
            Self::Schema2 => "io.containerd.grpc.v1.cri",
            Self::Schema3 => "io.containerd.cri.v1.runtime",
        }
    }
}

impl NvidiaRuntime {
    /// The files that it writes: k3s reads one of them when it starts.
    pub fn files() -> Vec<String> {
        Template::ALL.map(Template::path).to_vec()
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

    fn questions(&self) -> Vec<Asked> {
        Self::files().into_iter().map(|path| self.node.asks(File { path })).collect()
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        let mut seen = Vec::new();
        for template in Template::ALL {
            let file = File { path: template.path() };
            seen.push((template, look.ask(&self.node, file).await?));
        }
        Ok(Seen(seen))
    }

    fn diff(&self, seen: &Seen) -> Diff {
        Diff::of(seen.0.iter().flat_map(|(template, file)| template.changes(file.as_ref())).collect())
    }

    fn notices(&self, seen: &Seen) -> Vec<Notice> {
        let is_theirs =
            |template: Template, file: &Option<FileState>| file.as_ref().is_some_and(|file| !template.is_ours(file));
        let theirs = seen.0.iter().filter(|(template, file)| is_theirs(*template, file));
        theirs
            .map(|(template, _)| Notice::ContainerdTemplateKept { path: template.path(), node: self.node.clone() })
            .collect()
    }

    async fn apply(&self, seen: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        for (template, file) in &seen.0 {
            if !template.changes(file.as_ref()).is_empty() {
                let (path, content) = (template.path(), Content::Plain(template.text()));
                act.act(&self.node, WriteFile { path, content, mode: MODE }).await?;
            }
        }
        Ok(Applied::Changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::node;
    use crate::resources::scripted::{Script, converge, node01};

    #[test]
    fn a_template_is_ours_to_change_or_somebody_elses_to_keep() {
        let resource = NvidiaRuntime { node: NodeName::new("n") };
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

    /// k3s 1.36 renders that table by itself (recorded on a host with the program).
    #[test]
    fn it_defines_no_runtime() {
        for template in Template::ALL {
            assert!(!template.text().contains("runtimes"), "{template:?}");
        }
    }

    #[test]
    fn only_templates_that_are_missing_or_ours_are_written() {
        let [old, new] = Template::ALL;
        let is = |template: Template, text: Option<String>| {
            let file = |text: String| FileState { sha256: Sha256::of(&text), size: 1, mode: MODE, modified: 1 };
            says!(node01(), File { path: template.path() } => text.map(file))
        };
        let added = |template: Template| format!("{}: + {} bytes", template.path(), template.text().len());
        let write = |template: Template| format!("write {}", template.path());
        let wrote = |template| format!("node01: {}", write(template));
        let changed = "changed".to_owned();
        let earlier = |template: Template| {
            format!("{}: other content (1 bytes) → {} bytes", template.path(), template.text().len())
        };
        for (what, old_text, new_text, plan, run) in [
            ("none", None, None, vec![added(old), added(new)], vec![wrote(old), wrote(new), changed.clone()]),
            (
                "an earlier one and theirs",
                Some(old.earlier_text()),
                Some("theirs".to_owned()),
                vec!["note: ContainerdTemplateKept".to_owned(), earlier(old)],
                vec![wrote(old), changed.clone()],
            ),
            ("one", Some(old.text()), None, vec![added(new)], vec![wrote(new), changed]),
            ("both", Some(old.text()), Some(new.text()), vec!["in sync".to_owned()], vec!["in sync".to_owned()]),
        ] {
            let script = Script::new([is(old, old_text), is(new, new_text)])
                .once(&write(old), [is(old, Some(old.text()))])
                .once(&write(new), [is(new, Some(new.text()))]);
            let lines = |lines: &[String]| lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
            let told = converge(what, NvidiaRuntime { node: node01() }, script);
            assert_eq!((lines(&told.plan), lines(&told.run)), (lines(&plan), lines(&run)), "{what}");
            for action in told.done::<NodeName>() {
                let node::Action::WriteFile(write) = action else { panic!("{what}: {action}") };
                let template = Template::ALL.into_iter().find(|template| template.path() == write.path).unwrap();
                assert_eq!((&write.content, write.mode), (&Content::Plain(template.text()), MODE), "{what}");
            }
        }
    }
}
