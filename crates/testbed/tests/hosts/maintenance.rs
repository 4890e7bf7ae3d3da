//! A node of a cluster is drained before it is rebooted. The hosts are real; the cluster is played here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use bringup_core::contract::cluster::{Cordon, Drain, Uncordon};
use bringup_core::contract::node::BootId;
use bringup_core::contract::world::{BoxFuture, Progress, Speaks};
use bringup_core::contract::{
    Cluster, Contract, Controller, K3sRole, K3sState, KubeNodeState, Question, cluster, node,
};
use bringup_core::engine::{Expected, Run, Stop, walk};
use bringup_core::ids::{BoardName, NodeName, Target};
use bringup_core::run::event::Pass;
use bringup_core::run::fault::{Cause, Fault};
use bringup_core::sabotage::Guards;
use bringup_core::site::{LoadOptions, Scope, load};
use bringup_core::stages::{Options, lanes};
use bringup_core::version::Version;
use bringup_world::ssh::{ClientConfig, Logins};
use bringup_world::{Directories, LocalSource, RealWorld};

use crate::bed::Bed;

/// Real hosts in a cluster that only knows who is cordoned.
struct Clustered {
    real: RealWorld,
    cordoned: Mutex<BTreeSet<NodeName>>,
    /// What happened to nodes, in its order.
    told: Mutex<Vec<String>>,
    /// Whose pods may not be evicted.
    budget: Option<NodeName>,
}

impl Clustered {
    async fn answer(&self, question: &cluster::Question) -> Result<cluster::Answer, Fault> {
        let cordoned = self.cordoned.lock().unwrap().clone();
        match question {
            cluster::Question::KubeNode(question) => {
                let boot_id = self.real.ask(&question.name, &[BootId {}.into()]).await.remove(0)?;
                Ok(question.answer(Some(KubeNodeState {
                    ready: true,
                    renews: true,
                    renewed: None,
                    boot_id: BootId::read(boot_id).unwrap(),
                    unschedulable: cordoned.contains(&question.name),
                    in_maintenance: cordoned.contains(&question.name),
                    labels: BTreeMap::new(),
                    taints: BTreeSet::new(),
                })))
            }
            cluster::Question::InMaintenance(question) => Ok(question.answer(cordoned)),
            other => Err(Fault::new(Cause::Failed, Target::Cluster, other.to_string())),
        }
    }

    fn effect(&self, action: &cluster::Action) -> Result<(), Fault> {
        self.told.lock().unwrap().push(action.to_string());
        let mut cordoned = self.cordoned.lock().unwrap();
        match action {
            cluster::Action::Cordon(Cordon { node }) => {
                cordoned.insert(node.clone());
            }
            cluster::Action::Uncordon(Uncordon { node }) => {
                cordoned.remove(node);
            }
            cluster::Action::Drain(Drain { node }) if Some(node) == self.budget.as_ref() => {
                return Err(Fault::new(Cause::Refused, Target::Cluster, action.to_string())
                    .said("Cannot evict pod as it would violate the pod's disruption budget."));
            }
            _ => {}
        }
        Ok(())
    }
}

/// What is believed to run on each host: nothing is drained from a machine without it.
fn k3s() -> K3sState {
    let version = Version::parse("v1.33.6+k3s1").unwrap();
    let role = K3sRole::Server;
    K3sState { role, version, active: true, started: true, stale: false, run: None, ours: false, has_password: true }
}

impl Speaks<Cluster> for Clustered {
    fn ask<'a>(
        &'a self,
        _: &'a Cluster,
        questions: &'a [cluster::Question],
    ) -> BoxFuture<'a, Vec<Result<cluster::Answer, Fault>>> {
        Box::pin(async move {
            let mut answers = Vec::new();
            for question in questions {
                answers.push(self.answer(question).await);
            }
            answers
        })
    }

    fn act<'a>(
        &'a self,
        _: &'a Cluster,
        action: &'a cluster::Action,
        _: Progress<'a>,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async { self.effect(action) })
    }
}

impl Speaks<NodeName> for Clustered {
    fn ask<'a>(
        &'a self,
        of: &'a NodeName,
        questions: &'a [node::Question],
    ) -> BoxFuture<'a, Vec<Result<node::Answer, Fault>>> {
        match questions {
            [node::Question::K3s(question)] => Box::pin(async { vec![Ok(question.answer(Some(k3s())))] }),
            _ => self.real.ask(of, questions),
        }
    }

    fn act<'a>(
        &'a self,
        on: &'a NodeName,
        action: &'a node::Action,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        if matches!(action, node::Action::Reboot(_)) {
            self.told.lock().unwrap().push(format!("reboot {on}"));
        }
        self.real.act(on, action, progress)
    }
}

macro_rules! as_real {
    ($($of:ty),+) => {
        $(
            impl Speaks<$of> for Clustered {
                fn ask<'a>(
                    &'a self,
                    of: &'a $of,
                    questions: &'a [<$of as Contract>::Question],
                ) -> BoxFuture<'a, Vec<Result<<$of as Contract>::Answer, Fault>>> {
                    self.real.ask(of, questions)
                }

                fn act<'a>(
                    &'a self,
                    on: &'a $of,
                    action: &'a <$of as Contract>::Action,
                    progress: Progress<'a>,
                ) -> BoxFuture<'a, Result<(), Fault>> {
                    self.real.act(on, action, progress)
                }
            }
        )+
    };
}

as_real!(Controller, BoardName);

#[test]
#[ignore = "needs root and real hosts"]
fn one_node_at_a_time_is_drained_rebooted_and_brought_back() {
    let bed = Bed::up("maintenance", &["--nodes", "3"]);
    let inventory = bed.site().to_string_lossy().into_owned();
    let loaded = load(&LocalSource, &LoadOptions { inventory: vec![inventory], ..LoadOptions::default() }).unwrap();
    let site = Arc::new(loaded.site.clone());
    let world = Clustered {
        real: RealWorld::new(
            Arc::clone(&site),
            ClientConfig::read(Path::new("/nonexistent")),
            Logins::of_user("/nonexistent", None, Box::new(|_| None)),
            Directories { site: "/nonexistent".into(), cache: "/nonexistent".into() },
        ),
        cordoned: Mutex::default(),
        told: Mutex::default(),
        budget: Some(NodeName::new("node03")),
    };
    let before: Vec<String> = ["node01", "node02", "node03"].map(|host| bed.boot_id(host)).into();
    let tags = ["known_hosts", "update_packages"].map(str::to_owned);
    let scope = Scope::select(&loaded.inventory, &site, &tags, &[], &[]).unwrap();
    let options = Options {
        accept_changed_host_keys: false,
        force_conflicts: false,
        cache: "/nonexistent".to_owned(),
        data: "/nonexistent".to_owned(),
        home: "/nonexistent".to_owned(),
        architecture: "amd64",
        system: "linux",
    };
    let lanes = lanes(&site, &scope, &options);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tally = runtime.block_on(async {
        let run = |pass, approved, expected| Run {
            world: &world,
            name: "maintenance".to_owned(),
            site: site.name.clone(),
            pass,
            approved,
            expected,
            stop: Stop::default(),
            forks: 8,
            events: &|_| {},
            guards: Guards::default(),
        };
        let planned = walk(&lanes, &run(Pass::Plan, Vec::new(), Expected::default())).await;
        walk(&lanes, &run(Pass::Apply, planned.hazards.clone(), planned.expected)).await.tally
    });
    let told = world.told.into_inner().unwrap();
    let of = |node: &str| told.iter().filter(|line| line.ends_with(node)).cloned().collect::<Vec<_>>();
    let whole = |node: &str| ["cordon", "drain", "reboot", "uncordon"].map(|verb| format!("{verb} {node}")).to_vec();
    assert_eq!(of("node01"), whole("node01"));
    assert_eq!(of("node02"), whole("node02"));
    assert_eq!(of("node03"), ["cordon node03", "drain node03", "uncordon node03"], "a budget is respected");
    // Between a cordon and its uncordon nothing else happens, and the control plane, node01, is last.
    let nodes: Vec<&str> = told.iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
    let mut order = nodes.clone();
    order.dedup();
    assert_eq!(order.len(), 3, "{told:?}");
    assert_eq!(order[2], "node01", "{told:?}");
    assert_eq!((tally.blocked, tally.failed), (1, 0), "{told:?}");
    let rebooted = ["node01", "node02", "node03"].iter().zip(&before).map(|(host, id)| bed.boot_id(host) != *id);
    assert_eq!(rebooted.collect::<Vec<_>>(), [true, true, false]);
}
