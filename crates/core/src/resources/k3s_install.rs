//! What control plane and workers have in common: which k3s is wanted, and what stands between it and what is there.

use std::time::Duration;

use crate::change::{Change, Diff, Reason};
use crate::deed::{Deed, Join, K3sInstall, KeptFiles, UnitAction};
use crate::digest::sha256_hex;
use crate::engine::{Act, Look, Wait};
use crate::fault::{Cause, Fault};
use crate::names::{NodeName, Target};
use crate::probe::{K3s, K3sBefore, K3sRole, K3sState, KubeNode, KubeNodeState};
use crate::site::Stated;

/// How long a node may take to be Ready.
const READY_BOUND: Duration = Duration::from_secs(600);
const EVERY: Duration = Duration::from_secs(5);

/// The k3s that a node should have.
#[derive(Clone, Debug)]
pub struct K3sWanted {
    /// Which node.
    pub node: NodeName,
    /// As what.
    pub role: K3sRole,
    /// Which release.
    pub version: Stated<String>,
    /// The install script in the controller's cache.
    pub script: String,
    /// Mirror of the release artifacts, if any.
    pub artifact_url: Option<String>,
    /// Text of our drop-in configuration.
    pub config: String,
    /// It is uninstalled first, once a run.
    pub force: bool,
    /// What an uninstallation keeps and the next installation puts back.
    pub kept: Vec<String>,
}

/// What a look at a node's k3s finds.
#[derive(Debug)]
pub struct K3sSeen {
    /// On the node.
    pub installed: Option<K3sState>,
    /// In the cluster.
    pub kube: Option<KubeNodeState>,
    /// Which release our last uninstallation took away, if none was installed since.
    pub before: Option<String>,
    /// This run has forced it already.
    pub forced_already: bool,
}

impl K3sWanted {
    pub(super) fn target(&self) -> Target {
        Target::Node(self.node.clone())
    }

    pub(super) async fn look(&self, look: &Look<'_>) -> Result<K3sSeen, Fault> {
        let installed = look.ask(&self.target(), K3s {}).await?;
        let before = match &installed {
            Some(_) => None,
            None => look.ask(&self.target(), K3sBefore {}).await?,
        };
        let kube = match look.ask(&Target::Cluster, KubeNode { name: self.node.clone() }).await {
            // What the cluster has of a machine that will be made anew, or that we took k3s from, is what that leaves
            // behind: it may look Ready for a minute.
            Ok(kube) if before.is_some() || look.will_be_renewed(&self.target()) => {
                kube.map(|kube| KubeNodeState { ready: false, ..kube })
            }
            Ok(kube) => kube,
            // A control plane that is down answers for nobody; what is on the node still tells what to do.
            Err(fault) if matches!(fault.cause, Cause::Unreachable | Cause::Unresolved) => None,
            Err(fault) => return Err(fault),
        };
        let forced_already = installed.as_ref().is_some_and(|state| state.run.as_deref() == Some(look.run()));
        Ok(K3sSeen { installed, kube, before, forced_already })
    }

    /// Whether it is to be uninstalled first.
    pub(super) fn reinstalls(&self, seen: &K3sSeen) -> bool {
        self.force && !seen.forced_already && seen.installed.is_some()
    }

    /// The release to install: one that the site does not state changes nothing that ran here.
    fn release<'a>(&'a self, seen: &'a K3sSeen) -> &'a str {
        let present = seen.installed.as_ref().map(|state| &state.version).or(seen.before.as_ref());
        present.filter(|_| !self.version.stated).unwrap_or(&self.version.value)
    }

    pub(super) fn diff(&self, seen: &K3sSeen) -> Diff {
        let Some(state) = &seen.installed else {
            let to = format!("{} {}", self.role.word(), self.release(seen));
            return match &seen.kube {
                Some(kube) if kube.ready => Diff::Blocked(Reason::new(
                    format!("{} has no k3s, but the cluster has a Ready Node of that name", self.node),
                    "two machines seem to share the name: rename one",
                )),
                _ => Diff::Change(vec![Change::add("k3s", to)]),
            };
        };
        if state.role != self.role {
            return Diff::Blocked(Reason::new(
                format!("{} runs k3s as {}, the site wants it as {}", self.node, state.role.word(), self.role.word()),
                "uninstall it by hand, or mend control_plane in the site",
            ));
        }
        let mut changes = Vec::new();
        if self.reinstalls(seen) {
            changes.push(Change::new("k3s", "installed", "installed anew (k3s_force)"));
        }
        if self.version.stated && state.version != self.version.value {
            if release(&state.version) > release(&self.version.value) {
                return Diff::Blocked(Reason::new(
                    format!(
                        "{} runs k3s {}, the site states the older {}",
                        self.node, state.version, self.version.value
                    ),
                    "k3s cannot go back: state the newer version",
                ));
            }
            changes.push(Change::new("k3s version", &state.version, &self.version.value));
        }
        let config = sha256_hex(self.config.as_bytes());
        // Without our drop-in it was configured by someone else's flags, and those are theirs.
        if state.config_sha256.as_ref().is_some_and(|sha256| *sha256 != config) {
            changes.push(Change::new("k3s configuration", "another", "as the site has it"));
        }
        if !state.active {
            changes.push(Change::new(state.role.unit(), "not running", "running"));
        }
        if !seen.kube.as_ref().is_some_and(|kube| kube.ready) {
            let now = if seen.kube.is_some() { "not Ready" } else { "not in the cluster" };
            changes.push(Change::new("Node", now, "Ready"));
        }
        Diff::of(changes)
    }

    /// Uninstalls it first, where that is forced.
    pub(super) async fn uninstall(&self, seen: &K3sSeen, act: &Act<'_>) -> Result<(), Fault> {
        if self.reinstalls(seen) {
            let keep = KeptFiles(self.kept.clone());
            act.act(&self.target(), Deed::UninstallK3s { role: self.role, keep }).await?;
        }
        Ok(())
    }

    /// Brings it about, up to the Node's being Ready.
    pub(super) async fn apply(&self, seen: &K3sSeen, join: Option<Join>, act: &Act<'_>) -> Result<(), Fault> {
        let target = self.target();
        let config = sha256_hex(self.config.as_bytes());
        let as_wanted = seen.installed.as_ref().filter(|_| !self.reinstalls(seen)).is_some_and(|state| {
            let version = !self.version.stated || state.version == self.version.value;
            version && state.config_sha256.as_ref().is_none_or(|sha256| *sha256 == config)
        });
        if as_wanted {
            if seen.installed.as_ref().is_some_and(|state| !state.active) {
                let name = self.role.unit().to_owned();
                act.act(&target, Deed::Unit { name, action: UnitAction::Start }).await?;
            }
        } else {
            let install = K3sInstall {
                role: self.role,
                version: self.release(seen).to_owned(),
                script: self.script.clone(),
                artifact_url: self.artifact_url.clone(),
                config: self.config.clone(),
                join,
                run: act.run().to_owned(),
            };
            act.act(&target, Deed::InstallK3s(Box::new(install))).await?;
        }
        self.ready(act).await
    }

    /// Neither an exit status nor an active unit proves that a node joined; only its Node's Ready does.
    async fn ready(&self, act: &Act<'_>) -> Result<(), Fault> {
        let wanted = format!("Node {} to be Ready", self.node);
        let wait = Wait { target: &Target::Cluster, wanted: &wanted, bound: READY_BOUND, every: EVERY };
        let ready = act.wait_until(wait, KubeNode { name: self.node.clone() }, |kube| match kube {
            Some(KubeNodeState { ready: true, .. }) => Some(()),
            _ => None,
        });
        match ready.await {
            Err(fault) if fault.cause == Cause::TimedOut => {
                let said =
                    act.look().ask(&self.target(), K3s {}).await.ok().flatten().and_then(|state| state.last_error);
                Err(fault.said(said.unwrap_or_else(|| "its journal shows no error".to_owned())).next(format!(
                    "journalctl -u {} on {} tells more",
                    self.role.unit(),
                    self.node
                )))
            }
            result => result,
        }
    }
}

/// A release as numbers that compare: `v1.33.6+k3s1` as 1, 33, 6, 1.
fn release(version: &str) -> Vec<u64> {
    let plain = version.trim_start_matches('v').replace("+k3s", ".");
    plain.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::release;

    #[test]
    fn releases_compare_as_numbers() {
        for (older, newer) in
            [("v1.9.0+k3s1", "v1.33.6+k3s1"), ("v1.33.6+k3s1", "v1.33.6+k3s2"), ("v1.33.9+k3s2", "v1.33.10+k3s1")]
        {
            assert!(release(older) < release(newer), "{older} < {newer}");
        }
    }
}
