//! The user's kubectl reaches the cluster, under a context of its own.

use std::time::Duration;

use crate::contract::controller::{KubeconfigContext, MergeKubeconfig};
use crate::contract::node::AdminKubeconfig;
use crate::contract::{Asked, Contract, Controller, KubeconfigState};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, NodeName, Target};
use crate::resources::node::k3s::agent::api_address;
use crate::run::change::{Change, Diff};
use crate::run::fault::{Cause, Fault};
use crate::text::kubeconfig::ClusterAccess;

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
    /// What the control plane has; `None` where it will be reinstalled.
    wanted: Option<ClusterAccess>,
}

impl Resource for Kubeconfig {
    type State = Seen;

    fn label(&self) -> Label {
        Label::of("cluster", "kubeconfig")
    }

    fn target(&self) -> Target {
        Target::Controller
    }

    fn questions(&self) -> Vec<Asked> {
        let question = KubeconfigContext { path: self.path.clone(), context: self.context.clone() };
        vec![Controller.asks(question)]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        let question = KubeconfigContext { path: self.path.clone(), context: self.context.clone() };
        let present = look.ask(&Controller, question).await?;
        let wanted = match look.ask(&self.control_plane, AdminKubeconfig {}).await {
            Ok(access) => Some(self.reachable(look, access).await?),
            // No kubeconfig to be had yet: only a plan comes here before the control plane is up.
            Err(fault) if matches!(fault.cause, Cause::NotYet | Cause::Failed) => None,
            Err(fault) => return Err(fault),
        };
        Ok(Seen { present, wanted })
    }

    fn diff(&self, seen: &Seen) -> Diff {
        let field = format!("context {} in {}", self.context, self.path);
        let Some(access) = &seen.wanted else {
            return Diff::Change(vec![Change::add(field, "as the control plane will have it")]);
        };
        let server = access.server().to_string();
        let Some(present) = &seen.present else {
            return Diff::Change(vec![Change::add(field, server)]);
        };
        let mut changes = Vec::new();
        if present.server != server {
            changes.push(Change::new(format!("server of {field}"), &present.server, server));
        }
        if present.credentials_sha256 != Some(access.sha256()) {
            changes.push(Change::new(format!("credentials of {field}"), "others", "the control plane's"));
        }
        if present.mode != 0o600 {
            changes.push(Change::new(format!("mode of {}", self.path), format!("{:04o}", present.mode), "0600"));
        }
        Diff::of(changes)
    }

    async fn apply(&self, _: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        let look = act.look();
        let access = look.ask(&self.control_plane, AdminKubeconfig {}).await?;
        let access = self.reachable(&look, access).await?;
        let (path, context, set_current) = (self.path.clone(), self.context.clone(), self.set_current);
        act.act(&Controller, MergeKubeconfig { path, context, access, set_current }).await?;
        Ok(Applied::Changed)
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(2)
    }
}

impl Kubeconfig {
    /// The access, at an address that leads to the control plane from elsewhere.
    async fn reachable(&self, look: &Look<'_>, access: ClusterAccess) -> Result<ClusterAccess, Fault> {
        let address = api_address(look, &self.control_plane, self.control_plane_ip.as_ref()).await?;
        access.at(&address).map_err(|_| {
            Fault::new(Cause::Mismatch, Target::Node(self.control_plane.clone()), "find the control plane's address")
                .said(format!("`{}` is not a host name or an address", address.escape_debug()))
                .next(format!("set node_ip of {}", self.control_plane))
        })
    }
}

#[cfg(test)]
mod tests;
