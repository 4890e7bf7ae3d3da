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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::contract::cluster::{KubeNode, ReadyNodes, SealedSecretsKeys};
    use crate::contract::controller;
    use crate::contract::node::{BootId, CloudInit, Disk, File, K3s, Packages, RootPartition, SshBanner, Upgrades};
    use crate::contract::{Cluster, Contract, Controller};
    use crate::ids::DiskPath;
    use crate::resources::scripted::{Fact, node01};

    /// What a plan takes for granted behind a flash decides what it says of everything there: nothing that nobody can know.
    #[test]
    fn what_is_made_anew_answers_what_can_be_known() {
        let path = || "/etc/x".to_owned();
        let known: Vec<(Asked, Answered)> = vec![
            says!(node01(), CloudInit {} => CloudInitState::Done),
            says!(node01(), RootPartition {} => "/dev/mmcblk0p2".to_owned()),
            says!(node01(), Packages { names: ["a".to_owned()].into() } => BTreeSet::new()),
            says!(node01(), K3s {} => None),
            says!(node01(), File { path: path() } => None),
            says!(Cluster, KubeNode { name: node01() } => None),
            says!(Cluster, SealedSecretsKeys {} => SealedKeysState::none()),
        ]
        .into_iter()
        .map(|(asked, answers): Fact| (asked, answers[0].clone().unwrap()))
        .collect();
        let known: BTreeMap<Asked, Answered> = known.into_iter().collect();
        let disk = Disk { path: DiskPath::parse("/dev/nvme0n1").unwrap() };
        let unknown = [
            node01().asks(BootId {}),
            // A flash leaves it alone: what is on it now is looked at.
            node01().asks(disk),
            node01().asks(Upgrades {}),
            node01().asks(SshBanner {}),
            Cluster.asks(ReadyNodes {}),
            Controller.asks(controller::File { path: path() }),
        ];
        let (fresh_node, fresh_cluster) = (node(&node01()), cluster());
        assert_eq!((fresh_node.target, fresh_cluster.target), (Target::Node(node01()), Target::Cluster));
        assert!(fresh_node.present_answers && fresh_cluster.present_answers);
        for (asked, answer) in &known {
            let of_node = (fresh_node.answers)(asked);
            let of_cluster = (fresh_cluster.answers)(asked);
            let expected = Some(answer.clone());
            match asked {
                Asked::Node(..) => assert_eq!((of_node, of_cluster), (expected, None), "{asked:?}"),
                _ => assert_eq!((of_node, of_cluster), (None, expected), "{asked:?}"),
            }
        }
        for asked in &unknown {
            assert_eq!(((fresh_node.answers)(asked), (fresh_cluster.answers)(asked)), (None, None), "{asked:?}");
        }
        // Nobody logs in to a host whose key is not recorded: not even what is there now is asked.
        let introduced = introduced(Target::Node(node01()));
        assert!(!introduced.present_answers);
        assert!(known.keys().chain(&unknown).all(|asked| (introduced.answers)(asked).is_none()));
    }
}
