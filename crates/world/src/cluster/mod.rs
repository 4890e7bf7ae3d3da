//! The cluster, through its Kubernetes API.
//!
//! Requests are counted, because a look at a cluster that is as it should be is to cost few of them. Objects are read and
//! written by their paths: no discovery is asked for.

mod access;
mod certificate;
mod definitions;
mod drain;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod helm;
mod lease;
mod nodes;
mod objects;
mod release;
mod sealed_keys;
mod session;
#[cfg(test)]
pub(crate) mod tests;
mod workloads;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bringup_core::contract::KubeNodeState;
use bringup_core::contract::cluster::{
    Action, Answer, ApplyObject, BackUpSealedKeys, Cordon, DeleteNode, Drain, InstallRelease, MarkNode, Question,
    RestartWorkload, RestoreSealedKeys, Uncordon, UninstallRelease,
};
use bringup_core::contract::world::Progress;
use bringup_core::ids::{NodeName, Target};
use bringup_core::run::fault::{Cause, Fault};
use futures_util::future::{join, join_all};
use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};

pub(crate) use self::access::{Access, OverSsh};
use self::drain::DrainBounds;
use self::nodes::Kubelet;
pub(crate) use self::sealed_keys::backup as sealed_keys_backup;
use self::session::{Bounds, Session};

/// How long an object waits for its kind to be defined.
const DEFINED_WITHIN: Duration = Duration::from_secs(180);
/// How long a workload may take to start anew.
const RESTARTED_WITHIN: Duration = Duration::from_secs(540);

/// The cluster of a run.
pub(crate) struct Cluster {
    helm: PathBuf,
    bounds: Bounds,
    drain: DrainBounds,
    defined_within: Duration,
    open: Mutex<Option<Arc<Session>>>,
    lease: Mutex<Option<lease::Held>>,
    requests: Arc<AtomicU64>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("helm", &self.helm).field("requests", &self.requests()).finish_non_exhaustive()
    }
}

impl Cluster {
    /// A cluster whose releases this `helm` sees to.
    pub fn new(helm: PathBuf) -> Self {
        Self {
            helm,
            bounds: Bounds::default(),
            drain: DrainBounds::default(),
            defined_within: DEFINED_WITHIN,
            open: Mutex::default(),
            lease: Mutex::default(),
            requests: Arc::default(),
        }
    }

    /// How many requests its API was sent so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Lets go of what is held in the cluster for as long as this run lasts.
    pub async fn close(&self) {
        if let Some(held) = self.lease.lock().await.take() {
            held.release().await;
        }
    }

    /// The way to the API: the one that is open, or a new one.
    async fn session(&self, access: &dyn Access) -> Result<Arc<Session>, Fault> {
        let mut open = self.open.lock().await;
        if let Some(session) = open.as_ref() {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(Session::open(access.read().await?, self.bounds, Arc::clone(&self.requests))?);
        *open = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Another way, where one was not believed and the control plane knows another by now: it was made anew, or renewed
    /// what had expired.
    /// `None`: it knows no other.
    ///
    /// # Errors
    /// The control plane cannot tell now: k3s is being made anew there, and what did not believe us is about to go.
    async fn another(&self, old: &Arc<Session>, access: &dyn Access) -> Result<Option<Arc<Session>>, Fault> {
        let mut open = self.open.lock().await;
        if let Some(session) = open.as_ref().filter(|session| !Arc::ptr_eq(session, old)) {
            return Ok(Some(Arc::clone(session)));
        }
        *open = None;
        let found = access.read().await?;
        if found == old.access {
            return Ok(None);
        }
        let session = Arc::new(Session::open(found, self.bounds, Arc::clone(&self.requests))?);
        *open = Some(Arc::clone(&session));
        Ok(Some(session))
    }

    /// Asks some questions, at once.
    pub async fn ask(&self, access: &dyn Access, questions: &[Question]) -> Vec<Result<Answer, Fault>> {
        let session = match self.session(access).await {
            Ok(session) => session,
            Err(fault) => return questions.iter().map(|question| Err(as_asked(&fault, question))).collect(),
        };
        let answers = answers(&session, questions).await;
        if !session.distrusted() {
            return answers;
        }
        match self.another(&session, access).await {
            Ok(Some(session)) => self::answers(&session, questions).await,
            Ok(None) => answers,
            Err(fault) => questions.iter().map(|question| Err(as_asked(&fault, question))).collect(),
        }
    }

    /// Acts.
    pub async fn act(&self, access: &dyn Access, action: &Action, progress: Progress<'_>) -> Result<(), Fault> {
        let session = self.session(access).await.map_err(|fault| Fault { doing: action.to_string(), ..fault })?;
        let result = self.effect(&session, action, progress).await;
        if result.is_ok() || !session.distrusted() {
            return result;
        }
        match self.another(&session, access).await {
            Ok(Some(session)) => self.effect(&session, action, progress).await,
            Ok(None) => result,
            Err(fault) => Err(Fault { doing: action.to_string(), ..fault }),
        }
    }

    /// Sees to it that nobody else writes to this cluster meanwhile.
    async fn hold_lease(&self, session: &Arc<Session>, doing: &str) -> Result<(), Fault> {
        let mut lease = self.lease.lock().await;
        if lease.as_ref().is_some_and(|held| held.stands(session)) {
            return Ok(());
        }
        *lease = None;
        *lease = Some(lease::take(session, &lease::holder(), doing).await?);
        Ok(())
    }

    async fn effect(&self, session: &Arc<Session>, action: &Action, progress: Progress<'_>) -> Result<(), Fault> {
        let doing = action.to_string();
        self.hold_lease(session, &doing).await?;
        let fault = |trouble: error::ApiError| trouble.fault(&doing);
        match action {
            Action::Cordon(Cordon { node }) => nodes::cordon(session, node).await.map_err(fault),
            Action::Uncordon(Uncordon { node }) => nodes::uncordon(session, node).await.map_err(fault),
            Action::Drain(Drain { node }) => drain::drain(session, node, self.drain, &doing, progress).await,
            Action::DeleteNode(DeleteNode { node }) => nodes::delete(session, node).await.map_err(fault),
            Action::MarkNode(MarkNode { node, labels, taints }) => {
                nodes::set_marks(session, node, labels, taints).await.map_err(fault)
            }
            Action::ApplyObject(ApplyObject { id, fields, force }) => {
                objects::apply(session, id, fields, *force, self.defined_within, &doing).await
            }
            Action::RestartWorkload(RestartWorkload { namespace, name }) => {
                workloads::restart(session, namespace, name, RESTARTED_WITHIN, &doing).await
            }
            Action::InstallRelease(InstallRelease { namespace, name, chart, version, values, run }) => {
                let before = release::release(session, namespace, name).await.map_err(fault)?;
                let values = &before.map_or_else(|| values.clone(), |before| before.values_for(values));
                let version = version.as_str();
                let install = helm::Install { namespace, name, chart, version, values, run: run.as_deref() };
                helm::install(&self.helm, session, &install, &doing).await
            }
            Action::UninstallRelease(UninstallRelease { namespace, name, chart, version }) => {
                self.may_go(session, namespace, name, &doing).await?;
                helm::can_be_had(&self.helm, session, chart, version.as_str(), &doing).await?;
                helm::uninstall(&self.helm, session, namespace, name, &doing).await
            }
            Action::BackUpSealedKeys(BackUpSealedKeys { to, recipients }) => {
                sealed_keys::back_up(session, to.as_ref(), recipients, &doing).await
            }
            Action::RestoreSealedKeys(RestoreSealedKeys { from, identity }) => {
                sealed_keys::restore(session, from.as_ref(), identity.as_ref(), &doing).await
            }
        }
    }

    /// Makes sure that no kind, and every object of it, would go with a release.
    async fn may_go(&self, session: &Session, namespace: &str, name: &str, doing: &str) -> Result<(), Fault> {
        let release = release::release(session, namespace, name).await.map_err(|trouble| trouble.fault(doing))?;
        let Some(release) = release else { return Ok(()) };
        let lost = definitions::lost(&release.manifest).map_err(|malformed| {
            Fault::new(Cause::NotAllowed, Target::Cluster, doing)
                .said(format!("the manifest that Helm keeps of it cannot be read: {malformed}"))
                .likely("it was not made by Helm; what uninstalling it would delete is not known")
                .next("see it with `helm get manifest`, or leave cluster_force out")
        })?;
        if !lost.is_empty() {
            return Err(Fault::new(Cause::NotAllowed, Target::Cluster, doing)
                .said(format!("it would delete {}, and every object of these kinds with them", lost.join(", ")))
                .likely("the chart does not keep its custom resource definitions")
                .next(
                    "upgrade the release once with values that keep them (`crds: {keep: true}`), or leave cluster_force \
                     out",
                ));
        }
        Ok(())
    }
}

fn as_asked(fault: &Fault, question: &Question) -> Fault {
    Fault { doing: question.to_string(), ..fault.clone() }
}

/// What several questions of one trip are answered from.
struct Lists<'a> {
    session: &'a Session,
    nodes: OnceCell<Result<Value, error::ApiError>>,
    leases: OnceCell<Option<Value>>,
    /// One Node is asked for, and nothing of the others.
    only: bool,
}

impl Lists<'_> {
    async fn nodes(&self) -> Result<Vec<&Value>, error::ApiError> {
        let list = self.nodes.get_or_init(|| self.session.get(nodes::ALL)).await;
        list.as_ref().map(|list| nodes::items(list).collect()).map_err(Clone::clone)
    }

    async fn node(&self, name: &NodeName) -> Result<Option<Value>, error::ApiError> {
        if self.only {
            return nodes::node(self.session, name).await;
        }
        Ok(self.nodes().await?.into_iter().find(|node| nodes::name(node) == name.as_str()).cloned())
    }

    /// Leases that cannot be read take nothing from what a Node says.
    async fn leases(&self) -> Option<&Value> {
        self.leases.get_or_init(|| async { nodes::all_leases(self.session).await.ok().flatten() }).await.as_ref()
    }

    async fn kube_node(&self, name: &NodeName) -> Result<Option<KubeNodeState>, error::ApiError> {
        let (node, leases) = join(self.node(name), self.leases()).await;
        let Some(node) = node? else { return Ok(None) };
        let kubelet = Kubelet::of(&node, leases, self.session).await;
        Ok(Some(nodes::state(&node, kubelet)))
    }

    async fn ready_nodes(&self) -> Result<BTreeSet<NodeName>, error::ApiError> {
        let (nodes, leases) = join(self.nodes(), self.leases()).await;
        let looked = nodes?.into_iter().map(|node| async move {
            let state = nodes::state(node, Kubelet::of(node, leases, self.session).await);
            state.is_up().then(|| NodeName::new(nodes::name(node)))
        });
        Ok(join_all(looked).await.into_iter().flatten().collect())
    }

    async fn in_maintenance(&self) -> Result<BTreeSet<NodeName>, error::ApiError> {
        let all = self.nodes().await?.into_iter().filter(|node| nodes::is_in_maintenance(node));
        Ok(all.map(|node| NodeName::new(nodes::name(node))).collect())
    }
}

async fn answers(session: &Session, questions: &[Question]) -> Vec<Result<Answer, Fault>> {
    let about_nodes = |question: &&Question| {
        matches!(question, Question::KubeNode(_) | Question::ReadyNodes(_) | Question::InMaintenance(_))
    };
    let only = questions.iter().filter(about_nodes).count() == 1;
    let lists = Lists { session, nodes: OnceCell::new(), leases: OnceCell::new(), only };
    let answers = questions.iter().map(|question| async {
        answer(&lists, question).await.map_err(|trouble| trouble.fault(&question.to_string()))
    });
    join_all(answers).await
}

async fn answer(lists: &Lists<'_>, question: &Question) -> Result<Answer, error::ApiError> {
    let session = lists.session;
    Ok(match question {
        Question::ApiReady(question) => {
            session.get_if_any("/version").await?;
            question.answer(true)
        }
        Question::KubeNode(question) => question.answer(lists.kube_node(&question.name).await?),
        Question::ReadyNodes(question) => question.answer(lists.ready_nodes().await?),
        Question::InMaintenance(question) => question.answer(lists.in_maintenance().await?),
        Question::ReadyDeployments(question) => {
            question.answer(workloads::ready_deployments(session, &question.namespace, &question.names).await?)
        }
        Question::HelmRelease(question) => {
            let release = release::release(session, &question.namespace, &question.name).await?;
            question.answer(release.map(|release| release.state()))
        }
        Question::KubeObject(question) => question.answer(objects::object(session, &question.id).await?),
        Question::ForeseenObject(question) => question.answer(objects::foresee(session, question).await?),
        Question::PodsSince(question) => {
            question.answer(workloads::pods_since(session, &question.namespace, &question.name).await?)
        }
        Question::SealedSecretsKeys(question) => question.answer(sealed_keys::present(session).await?),
    })
}
