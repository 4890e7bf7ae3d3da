//! What control plane and workers have in common: which k3s is wanted, and what stands between it and what is there.

use std::time::Duration;

use tokio::time::Instant;

use crate::contract::cluster::KubeNode;
use crate::contract::node::{
    ControlUnit, FetchK3s, InstallK3s, Join, K3s, K3sBefore, K3sConfig, K3sTrouble, KeptFiles, UninstallK3s, UnitAction,
};
use crate::contract::{Asked, Cluster, Contract, K3sRole, K3sState, KubeNodeState};
use crate::engine::{Act, Look, Wait};
use crate::ids::{NodeName, Target};
use crate::resources::node::k3s::artifacts::ArtifactSource;
use crate::resources::node::k3s::watch::K3sWatch;
use crate::run::change::{Change, Diff, Reason};
use crate::run::event::{Awaited, Notice};
use crate::run::fault::{Cause, Fault};
use crate::site::Stated;
use crate::text::k3s_config::{self, Merged, Setting};
use crate::text::k3s_journal::StartFailure;
use crate::text::secret::Secret;
use crate::version::Version;

const EVERY: Duration = Duration::from_secs(5);

/// The k3s that a node should have.
#[derive(Clone, Debug)]
pub struct K3sWanted {
    /// Which node.
    pub node: NodeName,
    /// As what.
    pub role: K3sRole,
    /// Which release.
    pub version: Stated<Version>,
    /// The install script in the controller's cache.
    pub script: String,
    /// Where its files come from.
    pub releases: ArtifactSource,
    /// The controller fetches them and hands them over; else each node fetches the binary by itself.
    pub handed: bool,
    /// What we set in its configuration file.
    pub config: Vec<(&'static str, Setting)>,
    /// It is uninstalled first, once a run.
    pub force: bool,
    /// What an uninstallation keeps and the next installation puts back.
    pub kept: Vec<String>,
}

/// What an installation takes.
pub(in crate::resources) struct Prepared {
    version: Version,
    config: Secret,
    /// What the images that were handed over are called.
    images_name: Option<String>,
}

/// What a look at a node's k3s finds.
#[derive(Clone, Debug)]
pub struct K3sSeen {
    /// On the node.
    pub installed: Option<K3sState>,
    /// The text of its configuration file, if there is one.
    pub config: Option<Secret>,
    /// In the cluster.
    pub kube: Option<KubeNodeState>,
    /// Which release our last uninstallation took away, if none was installed since.
    pub before: Option<Version>,
    /// This run has forced it already.
    pub forced_already: bool,
    /// Why it does not join, where its journal says so.
    pub trouble: Option<StartFailure>,
    /// The release of the control plane that it joins, if that is known.
    pub control_plane: Option<Version>,
}

impl K3sSeen {
    fn lost_its_configuration(&self, role: K3sRole) -> bool {
        self.config.is_none() && self.installed.as_ref().is_some_and(|state| state.ours && state.role == role)
    }

    fn text(&self) -> &str {
        self.config.as_ref().map_or("", Secret::expose)
    }

    /// Whether it is an agent that runs, and whose Node is not up. One that is starting may have been restarted by somebody:
    /// what its journal said before is over.
    pub(in crate::resources) fn runs_in_vain(&self) -> bool {
        self.installed.as_ref().is_some_and(|state| state.active && state.role == K3sRole::Agent) && !self.node_is_up()
    }

    fn node_is_up(&self) -> bool {
        self.kube.as_ref().is_some_and(KubeNodeState::is_up)
    }

    /// Whether the configuration is one that we have a part in, or was until an agent's file went. Else k3s was configured by
    /// someone else's flags, and those are theirs. What a server's own lines were nobody knows: where its data is, among
    /// others.
    fn is_ours(&self) -> bool {
        self.lost_its_configuration(K3sRole::Agent) || k3s_config::has_block(self.text())
    }
}

impl K3sWanted {
    pub(in crate::resources) fn target(&self) -> Target {
        Target::Node(self.node.clone())
    }

    /// What its look asks.
    pub(in crate::resources) fn questions(&self) -> Vec<Asked> {
        vec![self.node.asks(K3s {}), self.node.asks(K3sConfig {})]
    }

    pub(in crate::resources) async fn look(&self, look: &Look<'_>) -> Result<K3sSeen, Fault> {
        let installed = look.ask(&self.node, K3s {}).await?;
        let config = look.ask(&self.node, K3sConfig {}).await?;
        let before = match &installed {
            Some(_) => None,
            None => look.ask(&self.node, K3sBefore {}).await?,
        };
        let kube = match look.ask(&Cluster, KubeNode { name: self.node.clone() }).await {
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
        let mut seen = K3sSeen { installed, config, kube, before, forced_already, trouble: None, control_plane: None };
        if seen.runs_in_vain() {
            seen.trouble = look.ask(&self.node, K3sTrouble {}).await?.and_then(|said| said.trouble);
        }
        Ok(seen)
    }

    /// Whether it is to be uninstalled first.
    pub(in crate::resources) fn reinstalls(&self, seen: &K3sSeen) -> bool {
        self.force && !seen.forced_already && seen.installed.is_some()
    }

    /// The release to install. One that the site does not state changes nothing that is here, is never another one than
    /// that of the control plane that it joins, and is what ran here before.
    fn release<'a>(&'a self, seen: &'a K3sSeen) -> &'a Version {
        let present = seen.installed.as_ref().filter(|_| !self.reinstalls(seen)).map(|state| &state.version);
        let ran = seen.installed.as_ref().map(|state| &state.version).or(seen.before.as_ref());
        let known = present.or(seen.control_plane.as_ref()).or(ran);
        known.filter(|_| !self.version.stated).unwrap_or(&self.version.value)
    }

    /// Whether the release to install may depend on that of the control plane.
    pub(in crate::resources) fn follows(&self, seen: &K3sSeen) -> bool {
        !self.version.stated && (seen.installed.is_none() || self.reinstalls(seen))
    }

    fn merged(&self, seen: &K3sSeen) -> Result<Merged, Reason> {
        k3s_config::merge(seen.text(), &self.config).map_err(|odd| {
            Reason::new(
                format!("{} on {} cannot take our settings: {odd}", k3s_config::PATH, self.node),
                "fix that file; what you set in it stands before what the site says",
            )
        })
    }

    /// What we would set and the user sets otherwise, and a file that is missing.
    pub(in crate::resources) fn notices(&self, seen: &K3sSeen) -> Vec<Notice> {
        if seen.lost_its_configuration(K3sRole::Server) && !self.reinstalls(seen) {
            return vec![Notice::K3sConfigurationMissing { node: self.node.clone() }];
        }
        let counts = seen.installed.is_none() || seen.is_ours() || self.reinstalls(seen);
        let Some(merged) = self.merged(seen).ok().filter(|merged| counts && !merged.given_way.is_empty()) else {
            return Vec::new();
        };
        let keys = merged.given_way.iter().map(ToString::to_string).collect();
        vec![Notice::K3sConfigurationKept { node: self.node.clone(), keys }]
    }

    pub(in crate::resources) fn diff(&self, seen: &K3sSeen) -> Diff {
        let Some(state) = &seen.installed else {
            let to = format!("{} {}", self.role.word(), self.release(seen));
            return match &seen.kube {
                // What an agent's machine left behind may look Ready for a minute; whether it goes is waited for.
                Some(kube) if kube.ready && self.role == K3sRole::Server => Diff::Blocked(Reason::new(
                    format!("{} has no k3s, but the cluster has a Ready Node of that name", self.node),
                    "two machines seem to share the name: rename one",
                )),
                _ => match self.merged(seen) {
                    Ok(_) => Diff::Change(vec![Change::add("k3s", to)]),
                    Err(reason) => Diff::Blocked(reason),
                },
            };
        };
        if state.role != self.role {
            return Diff::Blocked(Reason::new(
                format!("{} runs k3s as {}, the site wants it as {}", self.node, state.role.word(), self.role.word()),
                "uninstall it by hand, or fix control_plane in the site",
            ));
        }
        let mut changes = Vec::new();
        if self.reinstalls(seen) {
            changes.push(Change::new("k3s", "installed", "installed anew (k3s_force)"));
        }
        if self.version.stated && state.version != self.version.value {
            if self.version.value.is_older_than(&state.version) {
                return Diff::Blocked(Reason::new(
                    format!(
                        "{} runs k3s {}, the site states the older {}",
                        self.node, state.version, self.version.value
                    ),
                    "k3s cannot go back: state the newer version",
                ));
            }
            changes.push(Change::new("k3s version", state.version.as_str(), self.version.value.as_str()));
        }
        if seen.is_ours() || self.reinstalls(seen) {
            match self.merged(seen) {
                Err(reason) => return Diff::Blocked(reason),
                Ok(merged) if seen.is_ours() && merged.text != seen.text() => {
                    let now = if seen.config.is_some() { "another" } else { "missing" };
                    changes.push(Change::new("k3s configuration", now, "as the site has it"));
                }
                Ok(_) => {}
            }
        }
        if seen.is_ours() && state.run.is_none() {
            changes.push(Change::new("k3s installation", "begun by an earlier run", "ended"));
        }
        if !state.active {
            changes.push(Change::new(state.role.unit(), "not running", "running"));
        } else if seen.is_ours() && state.stale {
            changes.push(Change::new(state.role.unit(), "older than its configuration or binary", "restarted"));
        } else if !state.started {
            changes.push(Change::new(state.role.unit(), "starting", "running"));
        }
        if !seen.node_is_up() {
            let now = if seen.kube.is_some() { "not Ready" } else { "not in the cluster" };
            changes.push(Change::new("Node", now, "Ready"));
        }
        Diff::of(changes)
    }

    /// Uninstalls it first, where that is forced.
    pub(in crate::resources) async fn uninstall(&self, seen: &K3sSeen, act: &Act<'_>) -> Result<(), Fault> {
        if self.reinstalls(seen) {
            let keep = KeptFiles(self.kept.clone());
            act.act(&self.node, UninstallK3s { role: self.role, keep }).await?;
        }
        Ok(())
    }

    /// Whether it has to be installed, or what is installed to be brought to another version or configuration. An agent of
    /// ours that cannot join is given address and token of the control plane again.
    pub(in crate::resources) fn installs(&self, seen: &K3sSeen) -> bool {
        let Some(state) = seen.installed.as_ref().filter(|_| !self.reinstalls(seen)) else { return true };
        let other_version = self.version.stated && state.version != self.version.value;
        let other_config = || self.merged(seen).is_ok_and(|merged| merged.text != seen.text());
        let does_not_join = seen.trouble.is_some_and(StartFailure::ends_with_another_token);
        other_version || (seen.is_ours() && (other_config() || state.run.is_none() || state.stale || does_not_join))
    }

    /// Has all that its installation takes, checked, where it can be had from when nothing is deleted yet. `None`: nothing is
    /// installed.
    pub(in crate::resources) async fn prepare(&self, seen: &K3sSeen, act: &Act<'_>) -> Result<Option<Prepared>, Fault> {
        if !self.installs(seen) {
            return Ok(None);
        }
        let version = self.release(seen).clone();
        let present = seen.installed.as_ref().filter(|_| !self.reinstalls(seen));
        // What someone else configured by flags stays so when it gets another version.
        let config = match present {
            Some(_) if !seen.is_ours() => seen.text().to_owned(),
            _ => {
                let merged = self.merged(seen).map_err(|reason| {
                    Fault::new(Cause::NotAllowed, self.target(), "configure k3s").said(reason.why).next(reason.next)
                })?;
                merged.text
            }
        };
        let has_it = present.is_some_and(|state| state.version == version);
        let images_name = if has_it {
            None
        } else if self.handed {
            let artifacts = self.releases.bring(&version, &self.node, act).await?;
            let images_name = artifacts.images_name.clone();
            act.act(&self.node, artifacts).await?;
            Some(images_name)
        } else {
            let (url, sums) = (self.releases.url.clone(), self.releases.sums.clone());
            act.act(&self.node, FetchK3s { version: version.clone(), url, sums }).await?;
            None
        };
        Ok(Some(Prepared { version, config: Secret::new(config), images_name }))
    }

    /// Brings it about, up to the Node's being Ready.
    pub(in crate::resources) async fn apply(
        &self,
        seen: &K3sSeen,
        prepared: Option<Prepared>,
        join: Option<Join>,
        act: &Act<'_>,
    ) -> Result<(), Fault> {
        if let Some(Prepared { version, config, images_name }) = prepared {
            let (role, script, run) = (self.role, self.script.clone(), act.run().to_owned());
            let ours = k3s_config::has_block(config.expose());
            let install = InstallK3s { role, version, script, images_name, config, ours, join, run };
            act.act(&self.node, install).await?;
        } else if seen.installed.as_ref().is_some_and(|state| !state.active) {
            let name = self.role.unit().to_owned();
            act.act(&self.node, ControlUnit { name, action: UnitAction::Start }).await?;
        }
        // The one that was restarted has renewed its Lease since it was looked at.
        let now = act.look().ask(&Cluster, KubeNode { name: self.node.clone() }).await;
        let before = now.unwrap_or_default().or_else(|| seen.kube.clone()).and_then(|kube| kube.renewed);
        self.ready(before.as_deref(), act).await
    }

    /// Neither an exit status nor an active unit proves that a node joined, and Ready is what its Node was before a restart
    /// too: its unit is up, and its kubelet has renewed its Lease since. `renewed` is when it last did before.
    async fn ready(&self, renewed: Option<&str>, act: &Act<'_>) -> Result<(), Fault> {
        let mut watch = K3sWatch::begin(&self.node, self.role);
        loop {
            match self.ready_within(watch.bound(), renewed, act).await {
                Err(fault) if fault.cause == Cause::TimedOut => watch.look(fault, act).await?,
                result => return result,
            }
        }
    }

    async fn ready_within(&self, bound: Duration, renewed: Option<&str>, act: &Act<'_>) -> Result<(), Fault> {
        let begun = Instant::now();
        let awaited = Awaited::K3sUp { node: self.node.clone(), role: self.role };
        let wait = Wait { of: &self.node, awaited, bound, every: EVERY };
        act.wait_until(wait, K3s {}, |k3s| k3s.is_some_and(|k3s| k3s.started).then_some(())).await?;
        let awaited = Awaited::NodeReady { node: self.node.clone() };
        let bound = bound.saturating_sub(begun.elapsed());
        let wait = Wait { of: &Cluster, awaited, bound, every: EVERY };
        act.wait_until(wait, KubeNode { name: self.node.clone() }, |kube| {
            kube.is_some_and(|kube| kube.is_up() && (renewed.is_none() || kube.renewed.as_deref() != renewed))
                .then_some(())
        })
        .await
    }
}
