//! What a freshly flashed node and a fresh cluster answer: what plans hold against that lies behind a flash.

use std::collections::BTreeSet;

use crate::ids::{NodeName, Target};
use crate::probe::{Answer, CloudInitState, ForeseenState, Probe, SealedKeysState};
use crate::resource::Renewal;

/// A node that will be flashed.
pub(super) fn node(node: &NodeName) -> Renewal {
    Renewal { target: Target::Node(node.clone()), answers: fresh_node, present_answers: true }
}

/// A cluster that will be made.
pub(super) fn cluster() -> Renewal {
    Renewal { target: Target::Cluster, answers: fresh_cluster, present_answers: true }
}

/// A host whose identity will be recorded: until then nobody logs in to it.
pub(super) fn introduced(host: &Target) -> Renewal {
    Renewal { target: host.clone(), answers: |_| None, present_answers: false }
}

fn fresh_node(probe: &Probe) -> Option<Answer> {
    Some(match probe {
        Probe::CloudInit(_) => Answer::CloudInit(CloudInitState::Done),
        // Both images boot from the module's eMMC, with the root file system on the second partition.
        Probe::RootPartition(_) => Answer::RootPartition("/dev/mmcblk0p2".to_owned()),
        Probe::Packages(_) => Answer::Packages(BTreeSet::new()),
        Probe::K3s(_) => Answer::K3s(None),
        Probe::K3sBefore(_) => Answer::K3sBefore(None),
        Probe::K3sConfig(_) => Answer::K3sConfig(None),
        Probe::File(_) => Answer::File(None),
        Probe::Directory(_) => Answer::Directory(false),
        Probe::Unit(_) => Answer::Unit(None),
        Probe::JobState(_) => Answer::JobState(None),
        Probe::PackagesBusy(_) => Answer::PackagesBusy(false),
        Probe::RunningJobs(_) => Answer::RunningJobs(BTreeSet::new()),
        Probe::GpuDriver(_) => Answer::GpuDriver(None),
        Probe::MissingKernelFeatures(_) => Answer::MissingKernelFeatures(Vec::new()),
        _ => return None,
    })
}

fn fresh_cluster(probe: &Probe) -> Option<Answer> {
    Some(match probe {
        Probe::ApiReady(_) => Answer::ApiReady(true),
        Probe::KubeNode(_) => Answer::KubeNode(None),
        Probe::InMaintenance(_) => Answer::InMaintenance(BTreeSet::new()),
        Probe::ReadyDeployments(_) => Answer::ReadyDeployments(BTreeSet::new()),
        Probe::HelmRelease(_) => Answer::HelmRelease(None),
        Probe::KubeObject(_) => Answer::KubeObject(None),
        Probe::ForeseenObject(question) => Answer::ForeseenObject(ForeseenState {
            present: None,
            after: None,
            fields: question.fields.value(),
            conflicts: Vec::new(),
            kept: Vec::new(),
        }),
        Probe::SealedSecretsKeys(_) => Answer::SealedSecretsKeys(SealedKeysState::none()),
        Probe::PodsSince(_) => Answer::PodsSince(None),
        _ => return None,
    })
}
