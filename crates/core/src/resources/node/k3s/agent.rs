//! A worker is in the cluster.

use std::time::Duration;

use crate::contract::cluster::{DeleteNode, KubeNode};
use crate::contract::node::{Addresses, AgentToken, Join, JoinToken, K3s, Reaches};
use crate::contract::{Asked, Cluster, Contract};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look, Wait};
use crate::ids::{Label, NodeName, Target};
use crate::resources::node::k3s::install::{K3sSeen, K3sWanted};
use crate::run::change::{Change, Diff};
use crate::run::event::{Awaited, Notice};
use crate::run::fault::{Cause, Fault};
use crate::run::hazard::Hazard;
use crate::text::k3s_journal::StartFailure;

/// The API's port.
const PORT: u16 = 6443;
/// How long the control plane may take to write its token, and to be reached from a node: it is Ready by then.
const SERVER_BOUND: Duration = Duration::from_secs(120);
/// After how long a Node without a kubelet is not Ready any more: Kubernetes waits 50 s, and k3s does not change that.
const GONE_BOUND: Duration = Duration::from_secs(150);
const EVERY: Duration = Duration::from_secs(5);

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
    /// What is left in the cluster of the machine that had this name before, or of this one before it lost its password: it
    /// would be refused because of it, or is.
    fn leftover(&self, seen: &K3sSeen) -> bool {
        let refused = seen.trouble == Some(StartFailure::RefusedPassword);
        let is_new = match &seen.installed {
            None => true,
            Some(state) => self.wanted.reinstalls(seen) || (!state.has_password && self.wanted.installs(seen)),
        };
        seen.kube.is_some() && (is_new || refused)
    }

    /// Waits until the Node of this name is not Ready: the cluster takes one for Ready for a minute after its machine went.
    async fn nobody_bears_the_name(&self, act: &Act<'_>) -> Result<(), Fault> {
        let node = &self.wanted.node;
        let awaited = Awaited::NodeNotReady { node: node.clone() };
        let wait = Wait { of: &Cluster, awaited, bound: GONE_BOUND, every: EVERY };
        let gone = act.wait_until(wait, KubeNode { name: node.clone() }, |kube| {
            (!kube.is_some_and(|kube| kube.ready)).then_some(())
        });
        gone.await.map_err(|fault| {
            fault.likely("two machines share the name").next(format!("rename {node}, or the other; then run again"))
        })
    }

    /// Waits until the control plane's API is reached from the node and its token is there.
    async fn join(&self, act: &Act<'_>) -> Result<Join, Fault> {
        let (node, control_plane) = (&self.wanted.node, &self.control_plane);
        let host = api_address(&act.look(), &self.control_plane, self.control_plane_ip.as_ref()).await?;
        let server = api_url(&host);
        let awaited = Awaited::ApiReached { server: server.clone(), from: node.clone() };
        let wait = Wait { of: node, awaited, bound: SERVER_BOUND, every: EVERY };
        let reached = act.wait_until(wait, Reaches { host, port: PORT }, |reaches| reaches.then_some(())).await;
        reached.map_err(|fault| {
            fault
                .likely("a firewall is between them, or that address is not one of the control plane's in this network")
                .next("set node_ip of the control plane, or let its port 6443 be reached; then run again")
        })?;
        let awaited = Awaited::JoinToken { of: control_plane.clone() };
        let wait = Wait { of: control_plane, awaited, bound: SERVER_BOUND, every: EVERY };
        let token = act.wait_until(wait, JoinToken {}, |token| token).await.map_err(|fault| {
            fault
                .likely("k3s does not run there as a server, or has not come up")
                .next(format!("see on {}: systemctl status k3s; then run again", self.control_plane))
        })?;
        Ok(Join { server, token })
    }

    /// Whether what we gave it to join with is not what the control plane wants by now: that was installed anew. Its
    /// journal may tell of it in many words, or not at all.
    async fn has_another_token(&self, look: &Look<'_>) -> Result<bool, Fault> {
        let Some(given) = look.ask(&self.wanted.node, AgentToken {}).await? else { return Ok(false) };
        let wanted = match look.ask(&self.control_plane, JoinToken {}).await {
            Ok(wanted) => wanted,
            Err(fault) if fault.cause.is_passing() => None,
            Err(fault) => return Err(fault),
        };
        Ok(wanted.is_some_and(|wanted| wanted != given))
    }

    fn object(&self) -> String {
        format!("Node {} and its node-password secret", self.wanted.node)
    }
}

/// The control plane's address for those who join: what the site says, else what its name resolves to.
pub(in crate::resources) async fn api_address(
    look: &Look<'_>,
    node: &NodeName,
    stated: Option<&String>,
) -> Result<String, Fault> {
    match stated {
        Some(address) => Ok(address.clone()),
        None => {
            let addresses = look.ask(node, Addresses {}).await?;
            addresses.into_iter().next().ok_or_else(|| {
                Fault::new(Cause::Unresolved, node.target(), "find the control plane's address")
                    .next(format!("give {node} a node_ip or an ansible_host, or fix its name in DNS"))
            })
        }
    }
}

/// The API's URL at an address.
pub(in crate::resources) fn api_url(address: &str) -> String {
    if address.contains(':') { format!("https://[{address}]:{PORT}") } else { format!("https://{address}:{PORT}") }
}

impl Resource for K3sAgent {
    type State = K3sSeen;

    fn label(&self) -> Label {
        Label::of(&self.wanted.node, "k3s_agent")
    }

    fn target(&self) -> Target {
        self.wanted.target()
    }

    fn questions(&self) -> Vec<Asked> {
        self.wanted.questions()
    }

    async fn observe(&self, look: &Look<'_>) -> Result<K3sSeen, Fault> {
        let mut seen = self.wanted.look(look).await?;
        if self.wanted.follows(&seen) {
            let control_plane = look.ask(&self.control_plane, K3s {}).await;
            // Where it does not answer now, it is asked again before anything is installed.
            seen.control_plane = control_plane.ok().flatten().map(|k3s| k3s.version);
        }
        if seen.runs_in_vain() && seen.trouble.is_none() && self.has_another_token(look).await? {
            seen.trouble = Some(StartFailure::WrongAuthority);
        }
        Ok(seen)
    }

    fn diff(&self, seen: &K3sSeen) -> Diff {
        match self.wanted.diff(seen) {
            Diff::Change(mut changes) if self.leftover(seen) => {
                let known = if seen.installed.is_some() {
                    "registered with another password"
                } else {
                    "left by an earlier machine"
                };
                changes.insert(0, Change::new("Node", known, "deleted and joined again"));
                Diff::Change(changes)
            }
            diff => diff,
        }
    }

    fn notices(&self, seen: &K3sSeen) -> Vec<Notice> {
        self.wanted.notices(seen)
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
        let mut seen = seen.clone();
        if self.wanted.follows(&seen) {
            let control_plane = act.look().ask(&self.control_plane, K3s {}).await?;
            seen.control_plane = control_plane.map(|k3s| k3s.version);
        }
        let seen = &seen;
        let prepared = self.wanted.prepare(seen, act).await?;
        let join = if prepared.is_some() { Some(self.join(act).await?) } else { None };
        // First the old k3s, which would make its Node anew; then what it leaves in the cluster.
        self.wanted.uninstall(seen, act).await?;
        if self.leftover(seen) {
            if seen.installed.is_none() {
                self.nobody_bears_the_name(act).await?;
            }
            act.act(&Cluster, DeleteNode { node: self.wanted.node.clone() }).await?;
        }
        self.wanted.apply(seen, prepared, join, act).await?;
        Ok(Applied::Changed)
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(48)
    }
}

#[cfg(test)]
mod tests;
