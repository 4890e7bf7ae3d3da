//! A worker is in the cluster.

use std::time::Duration;

use super::k3s_install::{K3sSeen, K3sWanted};
use crate::change::{Change, Diff};
use crate::deed::{Deed, Join};
use crate::engine::{Act, Look};
use crate::fault::{Cause, Fault};
use crate::hazard::Hazard;
use crate::names::{Label, NodeName, Target};
use crate::probe::{Addresses, JoinToken, K3s, Probe};
use crate::resource::{Applied, Resource};

/// k3s as agent.
#[derive(Debug)]
pub struct K3sAgent {
    /// What is wanted.
    pub wanted: K3sWanted,
    /// The node that it joins.
    pub control_plane: NodeName,
    /// The address that the site gives the control plane in the cluster, if it does.
    pub control_plane_ip: Option<String>,
}

impl K3sAgent {
    /// What is left in the cluster of the machine that had this name before: the new one would be refused because of it.
    fn leftover(&self, seen: &K3sSeen) -> bool {
        seen.kube.is_some() && (seen.installed.is_none() || self.wanted.reinstalls(seen))
    }

    fn object(&self) -> String {
        format!("Node {} and its node-password secret", self.wanted.node)
    }
}

/// The API's address for those who join: what the site says, else what the control plane's name resolves to.
pub(super) async fn api_url(look: &Look<'_>, node: &NodeName, stated: Option<&String>) -> Result<String, Fault> {
    let address = match stated {
        Some(address) => address.clone(),
        None => {
            let target = Target::Node(node.clone());
            let addresses = look.ask(&target, Addresses {}).await?;
            addresses.into_iter().next().ok_or_else(|| {
                Fault::new(Cause::Unresolved, target, "find the control plane's address")
                    .next(format!("give {node} a node_ip or an ansible_host, or mend its name in DNS"))
            })?
        }
    };
    Ok(if address.contains(':') { format!("https://[{address}]:6443") } else { format!("https://{address}:6443") })
}

impl Resource for K3sAgent {
    type State = K3sSeen;

    fn label(&self) -> Label {
        Label::of(&self.wanted.node, "k3s_agent")
    }

    fn target(&self) -> Target {
        self.wanted.target()
    }

    fn questions(&self) -> Vec<(Target, Probe)> {
        vec![(self.wanted.target(), K3s {}.into())]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<K3sSeen, Fault> {
        self.wanted.look(look).await
    }

    fn diff(&self, seen: &K3sSeen) -> Diff {
        match self.wanted.diff(seen) {
            Diff::Change(mut changes) if self.leftover(seen) => {
                changes.insert(0, Change::new("Node", "left by the machine that had this name before", "joined anew"));
                Diff::Change(changes)
            }
            diff => diff,
        }
    }

    fn hazards(&self, seen: Option<&K3sSeen>) -> Vec<Hazard> {
        let Some(seen) = seen else { return Vec::new() };
        let mut hazards = Vec::new();
        if self.wanted.reinstalls(seen) {
            hazards.push(Hazard::UninstallK3s { node: self.wanted.node.clone() });
        }
        if self.leftover(seen) {
            hazards.push(Hazard::Delete { object: self.object() });
        }
        hazards
    }

    async fn apply(&self, seen: &K3sSeen, act: &Act<'_>) -> Result<Applied, Fault> {
        // First the old k3s, which would make its Node anew; then what it leaves in the cluster.
        self.wanted.uninstall(seen, act).await?;
        if self.leftover(seen) {
            act.act(&Target::Cluster, Deed::DeleteNode { node: self.wanted.node.clone() }).await?;
        }
        let look = act.look();
        let server = api_url(&look, &self.control_plane, self.control_plane_ip.as_ref()).await?;
        let token = look.ask(&Target::Node(self.control_plane.clone()), JoinToken {}).await?;
        self.wanted.apply(seen, Some(Join { server, token }), act).await?;
        Ok(Applied::Changed)
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(48)
    }
}
