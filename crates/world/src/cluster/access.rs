//! How the cluster's API is found: the administrator's kubeconfig as the control plane has it, read over SSH, and never
//! the user's own context, which may lead to another cluster.

use std::sync::{Mutex, PoisonError};

use bringup_core::contract::node::{AdminKubeconfig, K3s};
use bringup_core::contract::world::BoxFuture;
use bringup_core::contract::{K3sRole, Question};
use bringup_core::ids::Target;
use bringup_core::run::fault::{Cause, Fault};
use bringup_core::site::{Node, Site};
use bringup_core::text::kubeconfig::{ClusterAccess, Identity};
use bringup_core::text::secret::Mask;

use crate::node;
use crate::ssh::Hosts;

/// Where the access is read.
pub(crate) trait Access: Send + Sync {
    /// Reads it.
    fn read(&self) -> BoxFuture<'_, Result<ClusterAccess, Fault>>;
}

/// From the control plane of a site.
pub(crate) struct OverSsh<'a> {
    pub hosts: &'a Hosts,
    pub site: &'a Site,
    /// Told what the API will be sent and nobody may see.
    pub mask: &'a Mutex<Mask>,
}

pub(super) const DOING: &str = "speak to the Kubernetes API";

fn silent(said: impl AsRef<str>) -> Fault {
    Fault::new(Cause::Unreachable, Target::Cluster, DOING).said(said)
}

impl Access for OverSsh<'_> {
    fn read(&self) -> BoxFuture<'_, Result<ClusterAccess, Fault>> {
        Box::pin(async move {
            let Some(node) = self.site.control_plane() else { return Err(silent("the site names no control plane")) };
            let questions = [K3s {}.into(), AdminKubeconfig {}.into()];
            let mut answers = node::ask(self.hosts, &node.name, &questions).await.into_iter();
            let mut next = || answers.next().unwrap_or_else(|| Err(silent(format!("{} did not answer", node.name))));
            // A control plane that cannot be logged in to, for whatever reason, answers for no cluster.
            let k3s = next().map_err(|fault| {
                // The question never reached it.
                if fault.cause == Cause::Unasked {
                    return fault;
                }
                let silent =
                    silent(fault.to_string()).likely(format!("its control plane, {}, cannot be asked", node.name));
                match fault.next {
                    Some(next) => silent.next(next),
                    None => silent,
                }
            })?;
            match K3s::read(k3s).flatten() {
                None => return Err(silent(format!("{} has no k3s", node.name))),
                Some(k3s) if k3s.role != K3sRole::Server => {
                    return Err(silent(format!("{} runs k3s as {}", node.name, k3s.role.word())));
                }
                Some(_) => {}
            }
            let access = match next() {
                Ok(answer) => {
                    let access = AdminKubeconfig::read(answer).ok_or_else(|| silent("no answer came back"))?;
                    // The API may repeat it in an answer.
                    if let Identity::Token(token) = access.identity() {
                        self.mask.lock().unwrap_or_else(PoisonError::into_inner).add(token);
                    }
                    access
                }
                // What is there is not used, and waiting will not change that.
                Err(fault) if fault.cause == Cause::Mismatch => {
                    return Err(Fault { at: Target::Cluster, doing: DOING.to_owned(), ..fault });
                }
                Err(fault) => {
                    return Err(silent(fault.to_string())
                        .likely("k3s has not started there yet, or never did")
                        .next(format!("journalctl -u k3s on {} tells why", node.name)));
                }
            };
            let address = self.address(node).await?;
            access.at(&address).map_err(|_| {
                Fault::new(Cause::Unresolved, Target::Cluster, DOING)
                    .said(format!("`{}` is not a host name or an address", address.escape_debug()))
                    .next(format!("set node_ip of {}", node.name))
            })
        })
    }
}

impl OverSsh<'_> {
    /// The control plane's own address: what the site says, else what its name resolves to.
    async fn address(&self, node: &Node) -> Result<String, Fault> {
        if let Some(address) = &node.node_ip {
            return Ok(address.clone());
        }
        if node.connection.local {
            return Ok("127.0.0.1".to_owned());
        }
        let found = self.hosts.addresses(&node.connection).await;
        let found = found.map_err(|failure| failure.fault(&Target::Cluster, DOING))?;
        found.into_iter().next().ok_or_else(|| {
            Fault::new(Cause::Unresolved, Target::Cluster, DOING)
                .said(format!("{} does not resolve", node.connection.host))
                .next(format!("give {} a node_ip or an ansible_host, or fix its name in DNS", node.name))
        })
    }
}
