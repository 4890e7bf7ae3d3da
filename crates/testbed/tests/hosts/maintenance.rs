//! A node of a cluster is drained before it is rebooted. The hosts are real; the cluster is played here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use bringup_core::deed::{Deed, Reply};
use bringup_core::engine::{Expected, Run, Stop, walk};
use bringup_core::event::Pass;
use bringup_core::fault::{Cause, Fault};
use bringup_core::ids::{NodeName, Target};
use bringup_core::probe::{Answer, BootId, K3sRole, K3sState, KubeNodeState, Probe};
use bringup_core::sabotage::Guards;
use bringup_core::site::{LoadOptions, Scope, load};
use bringup_core::stages::{Options, lanes};
use bringup_core::version::Version;
use bringup_core::world::{Going, Progress, World};
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
    async fn answer(&self, probe: &Probe) -> Result<Answer, Fault> {
        let cordoned = self.cordoned.lock().unwrap().clone();
        match probe {
            Probe::KubeNode(question) => {
                let machine = Target::Node(question.name.clone());
                let boot_id = match self.real.ask(&machine, &[BootId {}.into()]).await.remove(0) {
                    Ok(Answer::BootId(boot_id)) => boot_id,
                    other => panic!("{other:?}"),
                };
                Ok(Answer::KubeNode(Some(KubeNodeState {
                    ready: true,
                    renews: true,
                    renewed: None,
                    boot_id,
                    unschedulable: cordoned.contains(&question.name),
                    in_maintenance: cordoned.contains(&question.name),
                    labels: BTreeMap::new(),
                    taints: BTreeSet::new(),
                })))
            }
            Probe::InMaintenance(_) => Ok(Answer::InMaintenance(cordoned)),
            other => Err(Fault::new(Cause::Failed, Target::Cluster, other.word().to_string())),
        }
    }

    fn deed(&self, deed: &Deed) -> Result<Reply, Fault> {
        self.told.lock().unwrap().push(deed.to_string());
        let mut cordoned = self.cordoned.lock().unwrap();
        match deed {
            Deed::Cordon { node } => {
                cordoned.insert(node.clone());
            }
            Deed::Uncordon { node } => {
                cordoned.remove(node);
            }
            Deed::Drain { node } if Some(node) == self.budget.as_ref() => {
                return Err(Fault::new(Cause::Refused, Target::Cluster, deed.to_string())
                    .said("Cannot evict pod as it would violate the pod's disruption budget."));
            }
            _ => {}
        }
        Ok(Reply::Done)
    }
}

/// What is believed to run on each host: nothing is drained from a machine without it.
fn k3s() -> K3sState {
    let version = Version::parse("v1.33.6+k3s1").unwrap();
    let role = K3sRole::Server;
    K3sState { role, version, active: true, started: true, stale: false, run: None, ours: false, has_password: true }
}

impl World for Clustered {
    fn ask<'a>(&'a self, target: &'a Target, probes: &'a [Probe]) -> Going<'a, Vec<Result<Answer, Fault>>> {
        match target {
            Target::Cluster => Box::pin(async move {
                let mut answers = Vec::new();
                for probe in probes {
                    answers.push(self.answer(probe).await);
                }
                answers
            }),
            Target::Node(_) if matches!(probes, [Probe::K3s(_)]) => {
                Box::pin(async { vec![Ok(Answer::K3s(Some(k3s())))] })
            }
            _ => self.real.ask(target, probes),
        }
    }

    fn act<'a>(
        &'a self,
        target: &'a Target,
        deed: &'a Deed,
        progress: Progress<'a>,
    ) -> Going<'a, Result<Reply, Fault>> {
        match target {
            Target::Cluster => Box::pin(async { self.deed(deed) }),
            Target::Node(node) => {
                if *deed == Deed::Reboot {
                    self.told.lock().unwrap().push(format!("reboot {node}"));
                }
                self.real.act(target, deed, progress)
            }
            _ => self.real.act(target, deed, progress),
        }
    }
}

#[test]
#[ignore = "needs root and real hosts"]
fn one_node_at_a_time_is_drained_rebooted_and_brought_back() {
    let bed = Bed::up("maintenance", &["--nodes", "3"]);
    let inventory = bed.site().to_string_lossy().into_owned();
    let loaded = load(&LocalSource, &LoadOptions { inventory, ..LoadOptions::default() }).unwrap();
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
