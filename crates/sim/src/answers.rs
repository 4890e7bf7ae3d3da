//! What the simulated world answers to each question.

use std::collections::BTreeSet;

use bringup_core::fault::{Cause, Fault};
use bringup_core::ids::{BoardName, DiskPath, NodeName, Sha256, Target};
use bringup_core::k3s_journal::Said;
use bringup_core::kubeconfig::ClusterAccess;
use bringup_core::probe::{
    Answer, CloudInitState, DiskState, ForeseenObject, ForeseenState, K3sRole, K3sState, KnownHostsState,
    KubeNodeState, ObjectState, Probe, RememberedState, SdCardState, SealedKeysState, SystemState, UnitState,
    UpgradeState,
};
use bringup_core::secret::Secret;
use bringup_core::site::Kind;
use serde_json::{Value, json};

use crate::cluster::SimObject;
use crate::durations;
use crate::effects::merge;
use crate::machine::Machine;
use crate::state::State;

/// What every secret of the simulation holds, so that a test can see whether one got out.
pub const SECRET_MARK: &str = "s3cr3t-of-the-simulation";

/// One answer; how long the question took besides its trip is in the second place, in milliseconds.
pub(crate) fn answer(state: &mut State, target: &Target, probe: &Probe) -> (Result<Answer, Fault>, u64) {
    match outside(state, target, probe) {
        Some((answer, took)) => (Ok(answer), took),
        None => match target {
            Target::Controller => (controller(state, probe), 0),
            Target::Bmc(board) => (reach(state, target).and_then(|()| bmc(state, board, probe)), 0),
            Target::Node(node) => match reach(state, target) {
                Ok(()) => {
                    state.controller.remembered.insert(node.clone());
                    (self::node(state, node, probe), 0)
                }
                Err(fault) => {
                    let silent = fault.cause == Cause::Unreachable;
                    (Err(fault), if silent { durations::SILENCE } else { 0 })
                }
            },
            Target::Cluster => {
                if state.api_is_up() {
                    (cluster(state, probe), 0)
                } else {
                    let fault = Fault::new(Cause::Unreachable, Target::Cluster, "speak to the Kubernetes API");
                    (Err(fault.said("connection refused")), 0)
                }
            }
        },
    }
}

/// Whether SSH lets us in.
pub(crate) fn reach(state: &mut State, target: &Target) -> Result<(), Fault> {
    let now = state.now;
    if let Target::Node(node) = target {
        let up = state.machines.get_mut(node).is_some_and(|machine| machine.is_up(now));
        if !up {
            return Err(Fault::new(Cause::Unreachable, target.clone(), "log in").said("no route to host"));
        }
    }
    if state.is_trusted(target) {
        let booting = |node| state.machines.get(node).is_some_and(|machine| machine.is_coming_up(now));
        return match target {
            Target::Node(node) if booting(node) => {
                Err(Fault::new(Cause::Denied, target.clone(), "log in").said("the system is booting up"))
            }
            _ => Ok(()),
        };
    }
    Err(Fault::new(Cause::Refused, target.clone(), "log in")
        .said("host key verification failed")
        .likely("its host key is not in known_hosts")
        .next("let the stage known_hosts record it"))
}

fn nonsense(target: &Target, probe: &Probe) -> Fault {
    Fault::new(Cause::Failed, target.clone(), format!("ask for {}", probe.word()))
        .said("not a question for this target")
}

/// What is asked of a host without logging in.
fn outside(state: &mut State, target: &Target, probe: &Probe) -> Option<(Answer, u64)> {
    let now = state.now;
    if let Target::Bmc(board) = target {
        let board = state.boards.get(board)?;
        return match probe {
            Probe::Addresses(_) => Some((Answer::Addresses(vec![board.address.clone()]), 0)),
            Probe::SshBanner(_) => Some((Answer::SshBanner(true), 0)),
            Probe::HostKeys(_) => Some((Answer::HostKeys(vec![board.host_key.clone()]), 0)),
            _ => None,
        };
    }
    let Target::Node(node) = target else { return None };
    let machine = state.machines.get_mut(node)?;
    let up = machine.is_up(now);
    let silence = if up { 0 } else { durations::SILENCE };
    match probe {
        // A module that never ran never asked for an address.
        Probe::Addresses(_) => {
            let ran = machine.system.as_ref().is_some_and(|system| system.lived);
            Some((Answer::Addresses(if ran { vec![machine.address.clone()] } else { Vec::new() }), 0))
        }
        Probe::SshBanner(_) => Some((Answer::SshBanner(up), silence)),
        Probe::HostKeys(_) => {
            let keys = machine.system.as_ref().filter(|_| up).map(|system| system.host_keys.clone());
            keys.map(|keys| (Answer::HostKeys(keys), 0))
        }
        _ => None,
    }
}

fn controller(state: &mut State, probe: &Probe) -> Result<Answer, Fault> {
    let controller = &state.controller;
    Ok(match probe {
        Probe::File(file) => Answer::File(controller.files.get(&file.path).cloned()),
        Probe::FetchedSum(file) => {
            let fetched = controller.fetched.get(&file.path).filter(|fetched| fetched.url == file.url);
            Answer::FetchedSum(fetched.map(|fetched| fetched.sha256))
        }
        // Whatever is in its directories is ours.
        Probe::HasLine(file) => Answer::HasLine(controller.files.get(&file.path).map(|_| true)),
        Probe::Directory(directory) => Answer::Directory(controller.directories.contains(&directory.path)),
        Probe::Modified(file) => Answer::Modified(controller.files.get(&file.path).map(|file| file.modified)),
        Probe::Block(block) => Answer::Block(controller.blocks.get(&(block.path.clone(), block.name.clone())).cloned()),
        Probe::ToolVersion(tool) => Answer::ToolVersion(controller.tools.get(&tool.path).cloned()),
        Probe::HelmPlugin(plugin) => Answer::HelmPlugin(controller.plugins.get(&plugin.name).cloned()),
        Probe::WebText(text) => {
            let words = if text.url.ends_with("stable.txt") {
                "v1.34.2".to_owned()
            } else {
                Sha256::of("published").to_string()
            };
            Answer::WebText(words)
        }
        Probe::KnownHostLines(lines) => {
            let keys = lines.names.iter().map(|name| (name.clone(), controller.known_hosts.keys_for(name)));
            Answer::KnownHostLines(KnownHostsState {
                keys: keys.filter(|(_, keys)| !keys.is_empty()).collect(),
                version: controller.known_hosts.version().to_owned(),
            })
        }
        Probe::KubeconfigContext(context) => {
            Answer::KubeconfigContext(controller.kubeconfig.get(&context.context).cloned())
        }
        Probe::SealedKeysBackup(_) => Answer::SealedKeysBackup(None),
        Probe::Remembered(remembered) => {
            let known = remembered.names.iter().any(|name| !controller.known_hosts.keys_for(name).is_empty());
            let in_known_hosts = known || controller.remembered.contains(&remembered.node);
            Answer::Remembered(RememberedState { in_known_hosts, last_run: None })
        }
        _ => return Err(nonsense(&Target::Controller, probe)),
    })
}

fn bmc(state: &mut State, name: &BoardName, probe: &Probe) -> Result<Answer, Fault> {
    state.settle_board(name);
    let now = state.now;
    let target = Target::Bmc(name.clone());
    let board = state.boards.get(name).ok_or_else(|| nonsense(&target, probe))?;
    Ok(match probe {
        Probe::SlotPower(slot) => {
            let node = board.modules.get(&slot.slot);
            let machine = node.and_then(|node| state.machines.get(node));
            Answer::SlotPower(machine.is_some_and(|machine| machine.boot != crate::machine::Boot::Off))
        }
        Probe::FlashMark(mark) => Answer::FlashMark(board.marks.get(&mark.slot).cloned()),
        Probe::FlashJob(_) => Answer::FlashJob(board.transfer.as_ref().map(|transfer| transfer.state(now))),
        Probe::ImageIsFit(_) => Answer::ImageIsFit(()),
        Probe::UnpacksXz(_) => Answer::UnpacksXz(Some(board.unpacks_xz)),
        Probe::ImageFile(image) => Answer::ImageFile(board.images.get(&image.path).cloned()),
        Probe::WaitingModules(_) => {
            let waits = board.waiting.map(|slot| format!("2207:350b at 1-1.{slot}"));
            Answer::WaitingModules(waits.into_iter().collect())
        }
        Probe::StoredUsbBoot(_) => Answer::StoredUsbBoot(board.stored_usb_boot),
        Probe::SdCard(_) => Answer::SdCard(board.card.map(|free| SdCardState { free })),
        Probe::Console(_) => Answer::Console(
            ["[    4.513201] EXT4-fs (mmcblk0p2): mounted filesystem", "[   11.204417] random: crng init done"]
                .map(str::to_owned)
                .into(),
        ),
        _ => return Err(nonsense(&target, probe)),
    })
}

fn node(state: &mut State, name: &NodeName, probe: &Probe) -> Result<Answer, Fault> {
    let now = state.now;
    let target = Target::Node(name.clone());
    let api = state.api_is_up();
    let cluster = state.cluster.as_ref().map(|cluster| cluster.id);
    let refused = state.cluster.as_ref().is_some_and(|cluster| {
        let install = state.machines.get(name).and_then(|machine| machine.system.as_ref()).map(|system| system.install);
        cluster.nodes.get(name).is_some_and(|node| Some(node.install) != install)
    });
    let Some(machine) = state.machines.get(name) else { return Err(nonsense(&target, probe)) };
    let Some(system) = &machine.system else { return Err(nonsense(&target, probe)) };
    Ok(match probe {
        Probe::File(file) => Answer::File(system.files.get(&file.path).cloned()),
        Probe::Directory(directory) => Answer::Directory(system.directories.contains(&directory.path)),
        Probe::BootId(_) => Answer::BootId(machine.boot_id()),
        Probe::System(_) => Answer::System(SystemState {
            hostname: name.to_string(),
            os: "Ubuntu 24.04".to_owned(),
            architecture: if machine.kind == Kind::Other { "amd64" } else { "arm64" }.to_owned(),
        }),
        Probe::RootPartition(_) => Answer::RootPartition(system.root.clone()),
        Probe::Disk(disk) => Answer::Disk(nvme(machine, &disk.path)),
        Probe::CloudInit(_) => Answer::CloudInit(if now < system.cloud_init_ends {
            CloudInitState::Running
        } else if system.install == 0 {
            CloudInitState::Absent
        } else {
            CloudInitState::Done
        }),
        Probe::Packages(packages) => Answer::Packages(packages.names.intersection(&system.packages).cloned().collect()),
        Probe::Upgrades(_) => Answer::Upgrades(UpgradeState {
            upgradable: system.upgradable,
            half_configured: system.half_configured,
            removable: system.removable,
            lists_age: 7_200,
        }),
        Probe::RebootRequired(_) => Answer::RebootRequired(system.reboot_required),
        Probe::Unit(unit) => {
            let k3s = system.k3s.as_ref().filter(|k3s| k3s.role.unit() == unit.name);
            Answer::Unit(k3s.map(|k3s| UnitState {
                active: k3s.active,
                enabled: true,
                since: State::seconds(k3s.since),
            }))
        }
        Probe::JobState(job) => Answer::JobState(machine.job(job.name, now)),
        Probe::PackagesBusy(_) => Answer::PackagesBusy(machine.running_jobs().iter().any(|name| name != "move-root")),
        Probe::RunningJobs(_) => Answer::RunningJobs(machine.running_jobs()),
        Probe::GpuDriver(_) => Answer::GpuDriver(system.gpu_driver.clone()),
        Probe::K3s(_) => Answer::K3s(system.k3s.as_ref().map(|k3s| K3sState {
            role: k3s.role,
            version: k3s.version.clone(),
            active: k3s.active,
            started: k3s.active && k3s.since + durations::until_up(k3s.role) <= now,
            stale: false,
            run: k3s.run.clone(),
            ours: k3s.run.is_some(),
            has_password: true,
        })),
        Probe::K3sConfig(_) => Answer::K3sConfig(system.k3s_config.as_deref().map(Secret::new)),
        Probe::K3sTrouble(_) => {
            let agent = system.k3s.as_ref().filter(|k3s| k3s.role == K3sRole::Agent && k3s.active);
            Answer::K3sTrouble(Said::of(
                agent.and_then(|k3s| trouble(k3s.cluster, cluster, api, refused)).into_iter(),
                "",
            ))
        }
        Probe::Reaches(_) => Answer::Reaches(api),
        Probe::K3sBefore(_) => Answer::K3sBefore(system.k3s_before.clone()),
        Probe::MissingKernelFeatures(_) => Answer::MissingKernelFeatures(Vec::new()),
        Probe::AgentToken(_) => {
            let agent = system.k3s.as_ref().filter(|k3s| k3s.role == K3sRole::Agent);
            let text = |cluster| format!("{SECRET_MARK}-{cluster}-{cluster}");
            Answer::AgentToken(agent.map(|k3s| Secret::new(text(k3s.cluster))))
        }
        Probe::JoinToken(_) | Probe::AdminKubeconfig(_) => {
            let server = system.k3s.as_ref().filter(|k3s| k3s.role == K3sRole::Server);
            let Some(k3s) = server else {
                if let Probe::JoinToken(_) = probe {
                    return Ok(Answer::JoinToken(None));
                }
                return Err(Fault::new(Cause::Failed, target, format!("ask for {}", probe.word()))
                    .said("no such file: k3s is not installed as server"));
            };
            let text = format!("{SECRET_MARK}-{}-{}", k3s.cluster, cluster.unwrap_or(k3s.cluster));
            match probe {
                Probe::JoinToken(_) => Answer::JoinToken(Some(Secret::new(text))),
                _ => Answer::AdminKubeconfig(ClusterAccess::parse(&administrators(&text)).map_err(|refused| {
                    Fault::new(Cause::Mismatch, target, format!("ask for {}", probe.word())).said(refused.to_string())
                })?),
            }
        }
        _ => return Err(nonsense(&target, probe)),
    })
}

/// PEM that holds no certificate: nobody shows one to anyone here.
const AUTHORITY: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCnNpbXVsYXRlZAotLS0tLUVORCBDRVJUSUZJQ0FURS0tLS0tCg==";

/// The kubeconfig that k3s writes, with this for a credential. A token shows the mark of secrets where it gets out.
fn administrators(token: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: default\n\
         clusters:\n- cluster:\n    certificate-authority-data: {AUTHORITY}\n    server: https://127.0.0.1:6443\n  \
         name: default\ncontexts:\n- context:\n    cluster: default\n    user: default\n  name: default\n\
         users:\n- name: default\n  user:\n    token: {token}\n"
    )
}

/// What the journal of an agent says that belongs to one cluster, where another one is.
fn trouble(of: u32, cluster: Option<u32>, api: bool, refused: bool) -> Option<&'static str> {
    match cluster {
        _ if !api => Some("level=error msg=\"failed to get CA certs: connection refused\""),
        Some(_) if of == 0 => {
            Some("level=error msg=\"failed to retrieve configuration from server: 401 Unauthorized\"")
        }
        Some(id) if of != id => {
            Some("level=error msg=\"token CA hash does not match the Cluster CA certificate hash\"")
        }
        _ => refused.then_some("level=error msg=\"Node password rejected\""),
    }
}

/// An RK1's disk, and a link to it.
const NVME: &str = "/dev/nvme0n1";
const NVME_LINK: &str = "/dev/disk/by-id/nvme-sim";

fn nvme(machine: &Machine, path: &DiskPath) -> Option<DiskState> {
    let carries_root = machine.system.as_ref().is_some_and(|system| system.root.starts_with(NVME));
    (machine.kind == Kind::Rk1 && [NVME, NVME_LINK].contains(&path.as_str())).then(|| DiskState {
        model: "WD Blue SN580 1TB".to_owned(),
        serial: format!("SIM{}", Sha256::of(machine.name.as_str()).to_string()[..8].to_uppercase()),
        size: 1_000_204_886_016,
        file_systems: machine.disk_holds_root.then(|| "ext4 cloudimg-rootfs".to_owned()).into_iter().collect(),
        holds_root: machine.disk_holds_root && !carries_root,
        carries_root,
        mounted: Vec::new(),
    })
}

fn cluster(state: &mut State, probe: &Probe) -> Result<Answer, Fault> {
    let now = state.now;
    if let Probe::KubeNode(question) = probe {
        let ready = state.settle_node(&question.name);
        let node = state.cluster.as_ref().and_then(|cluster| cluster.nodes.get(&question.name));
        return Ok(Answer::KubeNode(node.map(|node| KubeNodeState {
            ready,
            renews: node.renewed == 0 || now < node.renewed + durations::LEASE_ENDS,
            renewed: (node.renewed > 0).then(|| node.renewed.to_string()),
            boot_id: node.boot_id.clone(),
            unschedulable: node.unschedulable,
            in_maintenance: node.in_maintenance,
            labels: node.labels.clone(),
            taints: node.taints.clone(),
        })));
    }
    if let Probe::ReadyNodes(_) = probe {
        let names: Vec<NodeName> = state.machines.keys().cloned().collect();
        let ready = names.into_iter().filter(|name| state.settle_node(name)).collect();
        return Ok(Answer::ReadyNodes(ready));
    }
    let target = Target::Cluster;
    let Some(cluster) = &state.cluster else { return Err(nonsense(&target, probe)) };
    Ok(match probe {
        Probe::ApiReady(_) => Answer::ApiReady(true),
        Probe::InMaintenance(_) => {
            let marked = cluster.nodes.iter().filter(|(_, node)| node.in_maintenance);
            Answer::InMaintenance(marked.map(|(name, _)| name.clone()).collect())
        }
        Probe::ReadyDeployments(deployments) => {
            let up = now >= cluster.born + durations::SYSTEM_PODS;
            Answer::ReadyDeployments(if up { deployments.names.clone() } else { BTreeSet::new() })
        }
        Probe::HelmRelease(release) => {
            let key = (release.namespace.clone(), release.name.clone());
            Answer::HelmRelease(cluster.releases.get(&key).cloned())
        }
        Probe::KubeObject(object) => {
            let found = cluster.objects.get(&object.id);
            Answer::KubeObject(found.map(|object| object_state(object, probe, now)))
        }
        Probe::ForeseenObject(question) => {
            let present = cluster.objects.get(&question.id).map(|object| object.value.clone());
            Answer::ForeseenObject(foreseen(present, question))
        }
        // What the applications bring is not played.
        Probe::SealedSecretsKeys(_) => Answer::SealedSecretsKeys(SealedKeysState::none()),
        Probe::PodsSince(pods) => {
            let key = (pods.namespace.clone(), pods.name.clone());
            Answer::PodsSince(cluster.pods.get(&key).map(|ms| State::seconds(*ms)))
        }
        _ => return Err(nonsense(&target, probe)),
    })
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
fn object_state(object: &SimObject, probe: &Probe, now: u64) -> ObjectState {
    let mut value = object.value.clone();
    if let (Probe::KubeObject(question), Some(fields)) = (probe, value.as_object_mut())
        && question.id.kind == "Application"
    {
        let healthy = now >= object.made + durations::APPLICATION;
        let (sync, health) = if healthy { ("Synced", "Healthy") } else { ("OutOfSync", "Progressing") };
        fields.insert("status".to_owned(), json!({"sync": {"status": sync}, "health": {"status": health}}));
    }
    ObjectState { value, modified: State::seconds(object.modified) }
}
