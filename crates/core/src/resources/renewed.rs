//! What a freshly flashed node and a fresh cluster answer: what plans hold against that lies behind a flash.

use std::collections::BTreeSet;

use crate::contract::{Answered, Asked, CloudInitState, ForeseenState, SealedKeysState, cluster, node};
use crate::engine::resource::Renewal;
use crate::ids::{NodeName, Target};

/// A node that will be flashed.
pub(super) fn node(node: &NodeName) -> Renewal {
    let answers = |asked: &Asked| match asked {
        Asked::Node(_, question) => fresh_node(question).map(Answered::Node),
        Asked::Controller(..) | Asked::Bmc(..) | Asked::Cluster(..) => None,
    };
    Renewal { target: Target::Node(node.clone()), answers, present_answers: true }
}

/// A cluster that will be made.
pub(super) fn cluster() -> Renewal {
    let answers = |asked: &Asked| match asked {
        Asked::Cluster(_, question) => fresh_cluster(question).map(Answered::Cluster),
        Asked::Controller(..) | Asked::Bmc(..) | Asked::Node(..) => None,
    };
    Renewal { target: Target::Cluster, answers, present_answers: true }
}

/// A host whose identity will be recorded: until then nobody logs in to it.
pub(super) fn introduced(host: Target) -> Renewal {
    Renewal { target: host, answers: |_| None, present_answers: false }
}

/// `None` for what nobody can know yet.
fn fresh_node(question: &node::Question) -> Option<node::Answer> {
    use node::Question;
    Some(match question {
        Question::CloudInit(question) => question.answer(CloudInitState::Done),
        // Both images boot from the module's eMMC, with the root file system on the second partition.
        Question::RootPartition(question) => question.answer("/dev/mmcblk0p2".to_owned()),
        Question::Packages(question) => question.answer(BTreeSet::new()),
        Question::K3s(question) => question.answer(None),
        Question::K3sBefore(question) => question.answer(None),
        Question::K3sConfig(question) => question.answer(None),
        Question::File(question) => question.answer(None),
        Question::Directory(question) => question.answer(false),
        Question::Unit(question) => question.answer(None),
        Question::JobState(question) => question.answer(None),
        Question::PackagesBusy(question) => question.answer(false),
        Question::RunningJobs(question) => question.answer(BTreeSet::new()),
        Question::GpuDriver(question) => question.answer(None),
        Question::MissingKernelFeatures(question) => question.answer(Vec::new()),
        Question::Addresses(_)
        | Question::SshBanner(_)
        | Question::HostKeys(_)
        | Question::BootId(_)
        | Question::System(_)
        | Question::Disk(_)
        | Question::Upgrades(_)
        | Question::RebootRequired(_)
        | Question::K3sTrouble(_)
        | Question::Reaches(_)
        | Question::JoinToken(_)
        | Question::AgentToken(_)
        | Question::AdminKubeconfig(_) => return None,
    })
}

/// `None` for what nobody can know yet.
fn fresh_cluster(question: &cluster::Question) -> Option<cluster::Answer> {
    use cluster::Question;
    Some(match question {
        Question::ApiReady(question) => question.answer(true),
        Question::KubeNode(question) => question.answer(None),
        Question::InMaintenance(question) => question.answer(BTreeSet::new()),
        Question::ReadyDeployments(question) => question.answer(BTreeSet::new()),
        Question::HelmRelease(question) => question.answer(None),
        Question::KubeObject(question) => question.answer(None),
        Question::ForeseenObject(question) => question.answer(ForeseenState {
            present: None,
            after: None,
            fields: question.fields.value(),
            conflicts: Vec::new(),
            kept: Vec::new(),
        }),
        Question::SealedSecretsKeys(question) => question.answer(SealedKeysState::none()),
        Question::PodsSince(question) => question.answer(None),
        Question::ReadyNodes(_) => return None,
    })
}
