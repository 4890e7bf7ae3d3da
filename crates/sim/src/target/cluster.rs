//! The cluster.

use std::collections::BTreeSet;
use std::fmt;

use bringup_core::contract::cluster::{
    Action, Answer, ApplyObject, Cordon, DeleteNode, Drain, ForeseenObject, InstallRelease, MarkNode, Question,
    RestartWorkload, Uncordon, UninstallRelease,
};
use bringup_core::contract::{
    Cluster, ForeseenState, KubeNodeState, ObjectId, ObjectState, ReleaseState, SealedKeysState,
};
use bringup_core::ids::{NodeName, Target};
use bringup_core::resources::UNINSTALLED;
use bringup_core::run::fault::{Cause, Fault};
use bringup_core::run::hazard::Hazard;
use bringup_core::text::value_sums::value_sums;
use serde_json::{Value, json};

use super::Simulated;
use crate::cluster::{SimNode, SimObject};
use crate::durations;
use crate::machine::Boot;
use crate::state::State;

impl Simulated for Cluster {
    type Begun = ();

    const TRIP: u64 = durations::ASK_CLUSTER;
    const TRAVELS: bool = true;

    fn answer(&self, state: &mut State, question: &Question) -> (Result<Answer, Fault>, u64) {
        let answer =
            if state.api_is_up() { answer(state, question) } else { Err(refused(&"speak to the Kubernetes API")) };
        (answer, 0)
    }

    fn takes(&self, _: &State, action: &Action) -> u64 {
        match action {
            Action::Drain(_) => 32_000,
            Action::InstallRelease(_) => 75_000,
            Action::UninstallRelease(_) => 20_000,
            Action::RestartWorkload(_) => 15_000,
            Action::Cordon(_)
            | Action::Uncordon(_)
            | Action::DeleteNode(_)
            | Action::MarkNode(_)
            | Action::ApplyObject(_)
            | Action::BackUpSealedKeys(_)
            | Action::RestoreSealedKeys(_) => durations::AT_ONCE,
        }
    }

    fn begin(&self, state: &mut State, action: &Action) -> Result<(), Fault> {
        if state.api_is_up() { Ok(()) } else { Err(refused(action)) }
    }

    fn effect(&self, state: &mut State, action: &Action, (): ()) -> Result<(), Fault> {
        match action {
            Action::Cordon(Cordon { node }) => {
                state.settle_nodes();
                one_in_maintenance(state, node);
                let node = member(state, node, action)?;
                (node.unschedulable, node.in_maintenance) = (true, true);
            }
            Action::Uncordon(Uncordon { node }) => {
                let node = member(state, node, action)?;
                (node.unschedulable, node.in_maintenance) = (false, false);
            }
            Action::Drain(Drain { .. }) => {
                let chance = state.faults.drain;
                if state.faults.strike(chance) {
                    return Err(Fault::new(Cause::Refused, Target::Cluster, action.to_string())
                        .said("Cannot evict pod as it would violate the pod's disruption budget."));
                }
            }
            Action::DeleteNode(DeleteNode { node }) => {
                let object = format!("Node {node} and its node-password secret");
                state.referee.hazard(&Hazard::Delete { object });
                cluster(state, action)?.nodes.remove(node);
            }
            Action::MarkNode(MarkNode { node, labels, taints }) => {
                let node = member(state, node, action)?;
                node.labels.extend(labels.clone());
                node.taints.extend(taints.iter().cloned());
            }
            Action::InstallRelease(install) => {
                let now = state.now;
                install_release(cluster(state, action)?, install, now);
            }
            Action::UninstallRelease(UninstallRelease { namespace, name, .. }) => {
                state.referee.hazard(&Hazard::Delete { object: format!("release {namespace}/{name}") });
                let cluster = cluster(state, action)?;
                if let Some(release) = cluster.releases.get_mut(&(namespace.clone(), name.clone())) {
                    (release.status, release.run) = (UNINSTALLED.to_owned(), None);
                }
                cluster.pods.retain(|(pods, _), _| pods != namespace);
            }
            Action::ApplyObject(ApplyObject { id, fields, .. }) => {
                let now = state.now;
                apply(cluster(state, action)?, id, fields, now);
            }
            // What the applications bring is not played.
            Action::BackUpSealedKeys(_) | Action::RestoreSealedKeys(_) => {}
            Action::RestartWorkload(RestartWorkload { namespace, name }) => {
                let now = state.now;
                cluster(state, action)?.pods.insert((namespace.clone(), name.clone()), now);
            }
        }
        Ok(())
    }
}

fn refused(doing: &impl fmt::Display) -> Fault {
    Fault::new(Cause::Unreachable, Target::Cluster, doing.to_string()).said("connection refused")
}

fn cluster<'a>(state: &'a mut State, doing: &impl fmt::Display) -> Result<&'a mut crate::cluster::Cluster, Fault> {
    state.cluster.as_mut().ok_or_else(|| refused(doing))
}

fn member<'a>(state: &'a mut State, node: &NodeName, doing: &impl fmt::Display) -> Result<&'a mut SimNode, Fault> {
    let missing = || Fault::new(Cause::Failed, Target::Cluster, doing.to_string()).said("nodes not found");
    cluster(state, doing)?.nodes.get_mut(node).ok_or_else(missing)
}

fn answer(state: &mut State, question: &Question) -> Result<Answer, Fault> {
    let now = state.now;
    match question {
        Question::KubeNode(question) => {
            let ready = state.settle_node(&question.name);
            let node = state.cluster.as_ref().and_then(|cluster| cluster.nodes.get(&question.name));
            Ok(question.answer(node.map(|node| node_state(node, ready, now))))
        }
        Question::ReadyNodes(question) => {
            let names: Vec<NodeName> = state.machines.keys().cloned().collect();
            Ok(question.answer(names.into_iter().filter(|name| state.settle_node(name)).collect()))
        }
        Question::ApiReady(question) => Ok(question.answer(true)),
        // What the applications bring is not played.
        Question::SealedSecretsKeys(question) => Ok(question.answer(SealedKeysState::none())),
        Question::InMaintenance(question) => {
            let marked = cluster(state, question)?.nodes.iter().filter(|(_, node)| node.in_maintenance);
            Ok(question.answer(marked.map(|(name, _)| name.clone()).collect()))
        }
        Question::ReadyDeployments(question) => {
            let up = now >= cluster(state, question)?.born + durations::SYSTEM_PODS;
            Ok(question.answer(if up { question.names.clone() } else { BTreeSet::new() }))
        }
        Question::HelmRelease(question) => {
            let key = (question.namespace.clone(), question.name.clone());
            Ok(question.answer(cluster(state, question)?.releases.get(&key).cloned()))
        }
        Question::KubeObject(question) => {
            let found = cluster(state, question)?.objects.get(&question.id);
            Ok(question.answer(found.map(|object| object_state(object, &question.id, now))))
        }
        Question::ForeseenObject(question) => {
            let present = cluster(state, question)?.objects.get(&question.id).map(|object| object.value.clone());
            Ok(question.answer(foreseen(present, question)))
        }
        Question::PodsSince(question) => {
            let key = (question.namespace.clone(), question.name.clone());
            Ok(question.answer(cluster(state, question)?.pods.get(&key).map(|ms| State::seconds(*ms))))
        }
    }
}

fn node_state(node: &SimNode, ready: bool, now: u64) -> KubeNodeState {
    KubeNodeState {
        ready,
        renews: node.renewed == 0 || now < node.renewed + durations::LEASE_ENDS,
        renewed: (node.renewed > 0).then(|| node.renewed.to_string()),
        boot_id: node.boot_id.clone(),
        unschedulable: node.unschedulable,
        in_maintenance: node.in_maintenance,
        labels: node.labels.clone(),
        taints: node.taints.clone(),
    }
}

/// What applying an object makes of it: nobody else owns anything here.
fn foreseen(present: Option<Value>, question: &ForeseenObject) -> ForeseenState {
    let mut fields = question.fields.value();
    merge(&mut fields, &question.defaults.value());
    let mut after = present.clone().unwrap_or_default();
    merge(&mut after, &fields);
    ForeseenState { present, after: Some(after), fields, conflicts: Vec::new(), kept: Vec::new() }
}

/// An object with the status that its controller would have given it by now.
fn object_state(object: &SimObject, id: &ObjectId, now: u64) -> ObjectState {
    let mut value = object.value.clone();
    if let Some(fields) = value.as_object_mut().filter(|_| id.kind == "Application") {
        let healthy = now >= object.made + durations::APPLICATION;
        let (sync, health) = if healthy { ("Synced", "Healthy") } else { ("OutOfSync", "Progressing") };
        fields.insert("status".to_owned(), json!({"sync": {"status": sync}, "health": {"status": health}}));
    }
    ObjectState { value, modified: State::seconds(object.modified) }
}

fn install_release(cluster: &mut crate::cluster::Cluster, install: &InstallRelease, now: u64) {
    let InstallRelease { namespace, name, version, values, run, .. } = install;
    let key = (namespace.clone(), name.clone());
    // What the site does not give stays as it was.
    let mut kept = cluster.releases.remove(&key).map(|release| release.values).unwrap_or_default();
    kept.extend(value_sums(values));
    let release =
        ReleaseState { version: version.clone(), status: "deployed".to_owned(), values: kept, run: run.clone() };
    cluster.releases.insert(key, release);
    cluster.pods.insert((namespace.clone(), "argocd-application-controller".to_owned()), now);
}

fn apply(cluster: &mut crate::cluster::Cluster, id: &ObjectId, fields: &Value, now: u64) {
    let object = cluster.objects.entry(id.clone()).or_insert_with(|| SimObject {
        value: Value::Object(serde_json::Map::new()),
        modified: now,
        made: now,
    });
    let before = object.value.clone();
    merge(&mut object.value, fields);
    if object.value != before {
        object.modified = now;
    }
}

/// At most one node of the cluster is cordoned by us or, Ready before, on its way through a reboot.
pub(super) fn one_in_maintenance(state: &mut State, name: &NodeName) {
    let Some(cluster) = &state.cluster else { return };
    let other = cluster.nodes.iter().find(|(other, node)| {
        let machine = state.machines.get(*other);
        let reboots =
            machine.is_some_and(|machine| machine.was_member && matches!(machine.boot, Boot::Rebooting { .. }));
        *other != name && (node.in_maintenance || reboots)
    });
    if let Some((other, _)) = other {
        let text = format!("{name} goes into maintenance while {other} is in it");
        state.referee.violation(text);
    }
}

/// Server-side apply: the fields given, all others as they were.
fn merge(into: &mut Value, fields: &Value) {
    match (into, fields) {
        (Value::Object(into), Value::Object(fields)) => {
            for (key, value) in fields {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, fields) => *into = fields.clone(),
    }
}
