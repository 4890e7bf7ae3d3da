//! A node.

use std::fmt;

use bringup_core::contract::node::{
    Action, Answer, ControlUnit, FetchK3s, FetchKeyring, FetchSnapshot, HandOverK3s, InstallK3s, MakeDirectory,
    Question, StartJob, UninstallK3s, UnitAction, WriteFile,
};
use bringup_core::contract::{
    CloudInitState, Contract, DiskState, Job, JobPhase, K3sRole, K3sState, SystemState, UnitState, UpgradeState,
};
use bringup_core::ids::{DiskPath, NodeName, Sha256, Target};
use bringup_core::run::fault::{Cause, Fault};
use bringup_core::run::hazard::Hazard;
use bringup_core::site::Kind;
use bringup_core::text::k3s_config;
use bringup_core::text::k3s_journal::Said;
use bringup_core::text::kubeconfig::ClusterAccess;
use bringup_core::text::secret::Secret;

use super::cluster::one_in_maintenance;
use super::{SECRET_MARK, Simulated, absent, file, reach, written};
use crate::durations;
use crate::machine::{Boot, Machine, SimJob, SimK3s, System};
use crate::state::State;

impl Simulated for NodeName {
    type Begun = ();

    const TRIP: u64 = durations::ASK_NODE;
    const TRAVELS: bool = true;

    fn answer(&self, state: &mut State, question: &Question) -> (Result<Answer, Fault>, u64) {
        let now = state.now;
        let up = state.machines.get_mut(self).is_some_and(|machine| machine.is_up(now));
        let silence = if up { 0 } else { durations::SILENCE };
        if let Some(answer) = state.machines.get(self).and_then(|machine| outside(machine, question, up)) {
            let took = if matches!(question, Question::SshBanner(_)) { silence } else { 0 };
            return (Ok(answer), took);
        }
        match reach(state, &self.target()) {
            Ok(()) => {
                state.controller.remembered.insert(self.clone());
                (answer(state, self, question), 0)
            }
            Err(fault) => {
                let silent = fault.cause == Cause::Unreachable;
                (Err(fault), if silent { durations::SILENCE } else { 0 })
            }
        }
    }

    fn takes(&self, state: &State, action: &Action) -> u64 {
        let kind = state.machines.get(self).map_or(Kind::Other, |machine| machine.kind);
        match action {
            Action::FetchKeyring(_) => 1_200,
            Action::FetchK3s(_) | Action::HandOverK3s(_) => 6_000,
            // The script takes 1.8 s where it downloads nothing and starts nothing.
            Action::InstallK3s(_) => 3_000 * durations::slowness(kind) / 100,
            // Measured: 0.5 to 1.0 s.
            Action::UninstallK3s(_) => 2_000,
            Action::FetchSnapshot(_) => 8_000,
            Action::ControlUnit(_) => 5_000,
            Action::WriteFile(_) | Action::MakeDirectory(_) | Action::StartJob(_) | Action::Reboot(_) => {
                durations::AT_ONCE
            }
        }
    }

    fn begin(&self, state: &mut State, _: &Action) -> Result<(), Fault> {
        reach(state, &self.target())
    }

    fn effect(&self, state: &mut State, action: &Action, (): ()) -> Result<(), Fault> {
        match action {
            Action::Reboot(_) => {
                reboot(state, self);
                Ok(())
            }
            Action::StartJob(StartJob { job }) => start_job(state, self, job),
            Action::InstallK3s(install) => install_k3s(state, self, install),
            Action::UninstallK3s(UninstallK3s { keep, .. }) => {
                state.referee.hazard(&Hazard::UninstallK3s { node: self.clone() });
                let now = state.now;
                uninstall_k3s(system(state, self, action)?, &keep.0, now);
                Ok(())
            }
            Action::FetchSnapshot(FetchSnapshot { run }) => {
                system(state, self, action)?;
                let now = state.now;
                let path = format!("/site/.bringup/snapshots/{run}-{self}-{}", State::seconds(now));
                state.controller.files.insert(path, file(b"etcd", 0o600, now));
                Ok(())
            }
            Action::WriteFile(WriteFile { path, content, mode }) => {
                let written = written(content, *mode, state.now);
                system(state, self, action)?.files.insert(path.clone(), written);
                Ok(())
            }
            Action::FetchKeyring(FetchKeyring { url, path, .. }) => {
                let fetched = file(url.as_bytes(), 0o644, state.now);
                system(state, self, action)?.files.insert(path.clone(), fetched);
                Ok(())
            }
            Action::MakeDirectory(MakeDirectory { path }) => {
                system(state, self, action)?.directories.insert(path.clone());
                Ok(())
            }
            Action::ControlUnit(control) => control_unit(state, self, control),
            Action::FetchK3s(FetchK3s { version, .. }) | Action::HandOverK3s(HandOverK3s { version, .. }) => {
                system(state, self, action)?.k3s_fetched = Some(version.clone());
                Ok(())
            }
        }
    }
}

/// What is installed on a node.
fn system<'a>(state: &'a mut State, name: &NodeName, doing: &impl fmt::Display) -> Result<&'a mut System, Fault> {
    let system = state.machines.get_mut(name).and_then(|machine| machine.system.as_mut());
    system.ok_or_else(|| absent(name.target(), doing))
}

fn answer(state: &mut State, name: &NodeName, question: &Question) -> Result<Answer, Fault> {
    let now = state.now;
    let api = state.api_is_up();
    let cluster = state.cluster.as_ref().map(|cluster| cluster.id);
    let refused = state.cluster.as_ref().is_some_and(|cluster| {
        let install = state.machines.get(name).and_then(|machine| machine.system.as_ref()).map(|system| system.install);
        cluster.nodes.get(name).is_some_and(|node| Some(node.install) != install)
    });
    let Some(machine) = state.machines.get(name) else { return Err(absent(name.target(), question)) };
    let Some(system) = &machine.system else { return Err(absent(name.target(), question)) };
    let server = system.k3s.as_ref().filter(|k3s| k3s.role == K3sRole::Server);
    let token = |k3s: &SimK3s| format!("{SECRET_MARK}-{}-{}", k3s.cluster, cluster.unwrap_or(k3s.cluster));
    Ok(match question {
        Question::File(question) => question.answer(system.files.get(&question.path).cloned()),
        Question::Directory(question) => question.answer(system.directories.contains(&question.path)),
        Question::BootId(question) => question.answer(machine.boot_id()),
        Question::System(question) => question.answer(SystemState {
            hostname: name.to_string(),
            os: "Ubuntu 24.04".to_owned(),
            architecture: if machine.kind == Kind::Other { "amd64" } else { "arm64" }.to_owned(),
        }),
        Question::RootPartition(question) => question.answer(system.root.clone()),
        Question::Disk(question) => question.answer(nvme(machine, &question.path)),
        Question::CloudInit(question) => question.answer(if now < system.cloud_init_ends {
            CloudInitState::Running
        } else if system.install == 0 {
            CloudInitState::Absent
        } else {
            CloudInitState::Done
        }),
        Question::Packages(question) => {
            question.answer(question.names.intersection(&system.packages).cloned().collect())
        }
        Question::Upgrades(question) => question.answer(UpgradeState {
            upgradable: system.upgradable,
            half_configured: system.half_configured,
            removable: system.removable,
            lists_age: 7_200,
        }),
        Question::RebootRequired(question) => question.answer(system.reboot_required),
        Question::Unit(question) => {
            let k3s = system.k3s.as_ref().filter(|k3s| k3s.role.unit() == question.name);
            question.answer(k3s.map(|k3s| UnitState {
                active: k3s.active,
                enabled: true,
                since: State::seconds(k3s.since),
            }))
        }
        Question::JobState(question) => question.answer(machine.job(question.name, now)),
        Question::PackagesBusy(question) => {
            question.answer(machine.running_jobs().iter().any(|name| name != "move-root"))
        }
        Question::RunningJobs(question) => question.answer(machine.running_jobs()),
        Question::GpuDriver(question) => question.answer(system.gpu_driver.clone()),
        Question::K3s(question) => question.answer(system.k3s.as_ref().map(|k3s| K3sState {
            role: k3s.role,
            version: k3s.version.clone(),
            active: k3s.active,
            started: k3s.active && k3s.since + durations::until_up(k3s.role) <= now,
            stale: false,
            run: k3s.run.clone(),
            ours: k3s.run.is_some(),
            has_password: true,
        })),
        Question::K3sConfig(question) => question.answer(system.k3s_config.as_deref().map(Secret::new)),
        Question::K3sTrouble(question) => {
            let agent = system.k3s.as_ref().filter(|k3s| k3s.role == K3sRole::Agent && k3s.active);
            question.answer(Said::of(agent.and_then(|k3s| trouble(k3s.cluster, cluster, api, refused)).into_iter(), ""))
        }
        Question::Reaches(question) => question.answer(api),
        Question::K3sBefore(question) => question.answer(system.k3s_before.clone()),
        Question::MissingKernelFeatures(question) => question.answer(Vec::new()),
        Question::AgentToken(question) => {
            let agent = system.k3s.as_ref().filter(|k3s| k3s.role == K3sRole::Agent);
            let text = |cluster| format!("{SECRET_MARK}-{cluster}-{cluster}");
            question.answer(agent.map(|k3s| Secret::new(text(k3s.cluster))))
        }
        Question::JoinToken(question) => question.answer(server.map(|k3s| Secret::new(token(k3s)))),
        Question::AdminKubeconfig(question) => {
            let fault = |cause| Fault::new(cause, name.target(), question.to_string());
            let k3s =
                server.ok_or_else(|| fault(Cause::Failed).said("no such file: k3s is not installed as server"))?;
            let access = ClusterAccess::parse(&administrators(&token(k3s)));
            question.answer(access.map_err(|refused| fault(Cause::Mismatch).said(refused.to_string()))?)
        }
        // Those of a machine that is up were answered from outside.
        Question::Addresses(_) | Question::SshBanner(_) | Question::HostKeys(_) => {
            return Err(absent(name.target(), question));
        }
    })
}

/// What is seen of a machine without logging in; `None`: it takes a login, or shows nothing.
fn outside(machine: &Machine, question: &Question, up: bool) -> Option<Answer> {
    if let Question::Addresses(question) = question {
        // A module that never ran never asked for an address.
        let ran = machine.system.as_ref().is_some_and(|system| system.lived);
        return Some(question.answer(if ran { vec![machine.address.clone()] } else { Vec::new() }));
    }
    if let Question::SshBanner(question) = question {
        return Some(question.answer(up));
    }
    let Question::HostKeys(question) = question else { return None };
    machine.system.as_ref().filter(|_| up).map(|system| question.answer(system.host_keys.clone()))
}

fn control_unit(state: &mut State, name: &NodeName, action: &ControlUnit) -> Result<(), Fault> {
    let now = state.now;
    let k3s = system(state, name, action)?.k3s.as_mut().filter(|k3s| k3s.role.unit() == action.name);
    let Some(k3s) = k3s else {
        return Err(Fault::new(Cause::Failed, name.target(), action.to_string()).said("Unit not found"));
    };
    if action.action == UnitAction::Restart || !k3s.active {
        (k3s.active, k3s.since) = (true, now);
    }
    Ok(())
}

fn uninstall_k3s(system: &mut System, keep: &[String], now: u64) {
    if let Some(k3s) = system.k3s.take() {
        (system.k3s_before, system.k3s_left) = (Some(k3s.version), Some(now));
    }
    let gone = |path: &String| path.starts_with("/etc/rancher/k3s") || path.starts_with("/var/lib/rancher/k3s");
    let is_kept = |path: &String| {
        keep.iter().any(|kept| path.strip_prefix(kept).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    };
    system.files.retain(|path, _| !gone(path) || is_kept(path));
    system.k3s_config = system.k3s_config.take().filter(|_| keep.iter().any(|path| path == k3s_config::PATH));
}

fn reboot(state: &mut State, name: &NodeName) {
    let now = state.now;
    state.referee.hazard(&Hazard::Reboot { node: name.clone() });
    let member = state.is_member(name);
    let marked =
        state.cluster.as_ref().and_then(|cluster| cluster.nodes.get(name)).is_some_and(|node| node.in_maintenance);
    if member && !marked {
        state.referee.violation(format!("{name} is a Ready node and was rebooted without being cordoned"));
    }
    if member {
        one_in_maintenance(state, name);
    }
    let chance = state.faults.reboot;
    let ignored = state.faults.strike(chance);
    if let Some(machine) = state.machines.get_mut(name)
        && !ignored
        && machine.boot == Boot::Up
    {
        let down_at = now + durations::GOING_DOWN;
        machine.was_member = member;
        machine.boot = Boot::Rebooting { down_at, up_at: down_at + durations::boot(machine.kind, false) };
    }
}

fn start_job(state: &mut State, name: &NodeName, job: &Job) -> Result<(), Fault> {
    let now = state.now;
    let chance = state.faults.job;
    let fails = state.faults.strike(chance);
    if let Job::MoveRoot { disk } = job {
        state.referee.moved(name, disk);
    }
    let Some(machine) = state.machines.get_mut(name) else { return Err(absent(name.target(), job)) };
    let running = machine.job(job.name(), now).is_some_and(|job| job.phase == JobPhase::Running);
    let (kind, boot) = (machine.kind, machine.boots);
    if let Some(system) = &mut machine.system {
        // Whoever comes while cloud-init holds apt's lock waits for it.
        let begins = now.max(system.cloud_init_ends);
        let ends_at = begins + durations::job(job, kind);
        system.jobs.insert(job.name(), SimJob { job: job.clone(), boot, ends_at, fails, settled: false });
    }
    if running {
        state.referee.violation(format!("{name}: {} was started while it runs", job.name()));
    }
    Ok(())
}

fn install_k3s(state: &mut State, name: &NodeName, install: &InstallK3s) -> Result<(), Fault> {
    let now = state.now;
    let cluster = match &install.join {
        None => None,
        Some(join) => state.cluster.as_ref().map(|cluster| cluster.id).filter(|id| token_is_for(&join.token, *id)),
    };
    let Some(machine) = state.machines.get_mut(name) else { return Ok(()) };
    let Some(system) = &mut machine.system else { return Ok(()) };
    let before = system.k3s.as_ref();
    let has_binary = system.k3s_fetched.take().as_ref() == Some(&install.version)
        || before.is_some_and(|k3s| k3s.version == install.version);
    if !has_binary {
        return Err(Fault::new(Cause::Failed, Target::Node(name.clone()), "install k3s")
            .said("Executable k3s binary not found at /usr/local/bin/k3s"));
    }
    let cluster = match (install.role, before) {
        (K3sRole::Server, Some(before)) => before.cluster,
        (K3sRole::Server, None) => {
            state.clusters += 1;
            state.clusters
        }
        // A wrong token: it runs, and tries for ever.
        (K3sRole::Agent, _) => cluster.unwrap_or(0),
    };
    (system.k3s_before, system.k3s_left) = (None, None);
    system.k3s_config = Some(install.config.expose().to_owned());
    system.k3s = Some(SimK3s {
        role: install.role,
        version: install.version.clone(),
        active: true,
        since: now,
        run: Some(install.run.clone()),
        cluster,
    });
    Ok(())
}

fn token_is_for(token: &Secret, cluster: u32) -> bool {
    token.expose().ends_with(&format!("-{cluster}-{cluster}"))
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

/// A system as a hand that knows what it does would leave it, for machines that are there already.
pub(crate) fn installed_by_hand(machine: &mut Machine) {
    machine.system = Some(System::by_hand(&machine.name));
    machine.boot = Boot::Up;
    machine.boots = 1;
}
