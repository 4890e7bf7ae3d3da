//! The user's kubectl reaches the cluster, under a context of its own.

use std::time::Duration;

use super::k3s_agent::{api_address, api_url};
use crate::change::{Change, Diff};
use crate::deed::Deed;
use crate::engine::{Act, Look};
use crate::fault::{Cause, Fault};
use crate::kubeconfig::Access;
use crate::names::{Label, NodeName, Target};
use crate::probe::{AdminKubeconfig, KubeconfigContext, KubeconfigState, Probe};
use crate::resource::{Applied, Resource};

/// A context merged into the user's kubeconfig; what else is in it stays.
#[derive(Debug)]
pub struct Kubeconfig {
    /// The file.
    pub path: String,
    /// The context's name.
    pub context: String,
    /// Whether a context that is new becomes the current one.
    pub set_current: bool,
    /// The control plane.
    pub control_plane: NodeName,
    /// The address that the site gives it in the cluster, if it does.
    pub control_plane_ip: Option<String>,
}

/// What a look finds.
#[derive(Debug)]
pub struct Seen {
    present: Option<KubeconfigState>,
    /// Server and credentials as the control plane has them; `None` where it will be made anew.
    wanted: Option<(String, String)>,
}

impl Resource for Kubeconfig {
    type State = Seen;

    fn label(&self) -> Label {
        Label::of("cluster", "kubeconfig")
    }

    fn target(&self) -> Target {
        Target::Controller
    }

    fn questions(&self) -> Vec<(Target, Probe)> {
        let question = KubeconfigContext { path: self.path.clone(), context: self.context.clone() };
        vec![(Target::Controller, question.into())]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        let question = KubeconfigContext { path: self.path.clone(), context: self.context.clone() };
        let present = look.ask(&Target::Controller, question).await?;
        let node = Target::Node(self.control_plane.clone());
        let wanted = match look.ask(&node, AdminKubeconfig {}).await {
            Ok(kubeconfig) => {
                let access = Access::of_administrator(kubeconfig.expose()).map_err(|odd| {
                    Fault::new(Cause::Mismatch, node.clone(), "read the administrator's kubeconfig")
                        .said(format!("what k3s wrote there is none: {odd}"))
                        .next(format!("see /etc/rancher/k3s/k3s.yaml on {}", self.control_plane))
                })?;
                let address = api_address(look, &self.control_plane, self.control_plane_ip.as_ref()).await?;
                Some((api_url(&address), access.sha256()))
            }
            // No kubeconfig to be had yet: only a plan comes here before the control plane is up.
            Err(fault) if matches!(fault.cause, Cause::NotYet | Cause::Failed) => None,
            Err(fault) => return Err(fault),
        };
        Ok(Seen { present, wanted })
    }

    fn diff(&self, seen: &Seen) -> Diff {
        let field = format!("context {} in {}", self.context, self.path);
        let Some((server, credentials)) = &seen.wanted else {
            return Diff::Change(vec![Change::add(field, "as the control plane will have it")]);
        };
        let Some(present) = &seen.present else {
            return Diff::Change(vec![Change::add(field, server)]);
        };
        let mut changes = Vec::new();
        if present.server != *server {
            changes.push(Change::new(format!("server of {field}"), &present.server, server));
        }
        if present.credentials_sha256 != *credentials {
            changes.push(Change::new(format!("credentials of {field}"), "others", "the control plane's"));
        }
        if present.mode != 0o600 {
            changes.push(Change::new(format!("mode of {}", self.path), format!("{:04o}", present.mode), "0600"));
        }
        Diff::of(changes)
    }

    async fn apply(&self, _: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        let look = act.look();
        let kubeconfig = look.ask(&Target::Node(self.control_plane.clone()), AdminKubeconfig {}).await?;
        let server = api_url(&api_address(&look, &self.control_plane, self.control_plane_ip.as_ref()).await?);
        let (path, context, set_current) = (self.path.clone(), self.context.clone(), self.set_current);
        act.act(&Target::Controller, Deed::MergeKubeconfig { path, context, server, kubeconfig, set_current }).await?;
        Ok(Applied::Changed)
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(2)
    }
}
