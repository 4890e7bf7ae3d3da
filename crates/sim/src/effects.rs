//! What the simulated world makes of each deed.

use std::collections::BTreeSet;

use bringup_core::deed::{Content, Deed, Job, K3sArtifacts, K3sFetch, K3sInstall, Reply, UnitAction};
use bringup_core::fault::{Cause, Fault};
use bringup_core::hazard::{Hazard, Liveness};
use bringup_core::ids::{BoardName, NodeName, Sha256, Slot, Target};
use bringup_core::k3s_config;
use bringup_core::known_hosts::KnownHosts;
use bringup_core::probe::{FileState, JobPhase, K3sRole, KubeconfigState, ReleaseState};
use bringup_core::resources::{UNINSTALLED, value_sums};
use bringup_core::secret::Secret;
use serde_json::Value;

use crate::board::{Ending, Transfer};
use crate::cluster::SimObject;
use crate::controller::Fetched;
use crate::durations;
use crate::machine::{Boot, Machine, SimJob, SimK3s, System};
use crate::state::State;

/// Brings a deed about, at once. `before` is known_hosts as it was when an edit of it began.
pub(crate) fn effect(
    state: &mut State,
    target: &Target,
    deed: &Deed,
    before: Option<KnownHosts>,
) -> Result<Reply, Fault> {
    match target {
        Target::Controller => controller(state, deed, before),
        Target::Bmc(board) => bmc(state, board, deed),
        Target::Node(node) => self::node(state, node, deed),
        Target::Cluster => cluster(state, deed),
    }
}

fn nonsense(target: Target, deed: &Deed) -> Fault {
    Fault::new(Cause::Failed, target, deed.to_string()).said("not a deed for this target")
}

fn file(bytes: &[u8], mode: u32, now: u64) -> FileState {
    FileState { sha256: Sha256::of(bytes), size: bytes.len() as u64, mode, modified: State::seconds(now) }
}

fn written(content: &Content, mode: u32, now: u64) -> FileState {
    match content {
        Content::Plain(text) => file(text.as_bytes(), mode, now),
        Content::Hidden(secret) => file(secret.expose().as_bytes(), mode, now),
    }
}

fn controller(state: &mut State, deed: &Deed, before: Option<KnownHosts>) -> Result<Reply, Fault> {
    let now = state.now;
    match deed {
        Deed::Fetch { url, sha256, path, mode, .. } => {
            let mut fetched = file(url.as_bytes(), *mode, now);
            fetched.sha256 = sha256.unwrap_or(fetched.sha256);
            let record = Fetched { url: url.clone(), sha256: fetched.sha256 };
            state.controller.fetched.insert(path.clone(), record);
            state.controller.files.insert(path.clone(), fetched);
            if let Some(version) = version_in(url) {
                state.controller.tools.insert(path.clone(), version);
            }
        }
        Deed::WriteFile { path, content, mode } => {
            state.controller.files.insert(path.clone(), written(content, *mode, now));
        }
        Deed::MakeDirectory { path } => {
            state.controller.directories.insert(path.clone());
        }
        Deed::WriteBlock { path, name, text } => {
            state.controller.blocks.insert((path.clone(), name.clone()), text.clone());
        }
        Deed::InstallHelmPlugin { name, version, .. } => {
            state.controller.plugins.insert(name.clone(), version.to_string());
        }
        Deed::WriteCompletion { tool, path, .. } => {
            state.controller.files.insert(path.clone(), file(tool.as_bytes(), 0o644, now));
        }
        Deed::EditKnownHosts { remove, add, expect, .. } => {
            state.keys_are_vouched_for(add);
            let current = state.controller.known_hosts.version().to_owned();
            match (expect, before) {
                (Some(expect), _) if *expect != current => {
                    return Err(Fault::new(Cause::Stale, Target::Controller, deed.to_string())
                        .said("someone else wrote known_hosts meanwhile"));
                }
                // Nobody asked to be told of other writers: what was read at the beginning is written back.
                (None, Some(before)) => state.controller.known_hosts = before,
                _ => {}
            }
            for name in remove {
                state.controller.known_hosts.remove(name);
            }
            for (name, key) in add {
                state.controller.known_hosts.add(name, key);
            }
            state.foreign_lines_stay();
        }
        Deed::MergeKubeconfig { context, access, .. } => {
            let (server, credentials_sha256) = (access.server().to_string(), Some(access.sha256()));
            let merged = KubeconfigState { server, credentials_sha256, mode: 0o600 };
            state.controller.kubeconfig.insert(context.clone(), merged);
        }
        _ => return Err(nonsense(Target::Controller, deed)),
    }
    Ok(Reply::Done)
}

/// The version in a release's address: what follows a `v` and looks like one.
fn version_in(url: &str) -> Option<String> {
    url.split(['/', '-']).find_map(|part| {
        let version = part.strip_prefix('v')?;
        let numbers = version.trim_end_matches(".tar.gz");
        numbers.starts_with(|first: char| first.is_ascii_digit()).then(|| numbers.to_owned())
    })
}

fn bmc(state: &mut State, name: &BoardName, deed: &Deed) -> Result<Reply, Fault> {
    state.settle_board(name);
    let now = state.now;
    let target = Target::Bmc(name.clone());
    let Some(board) = state.boards.get_mut(name) else { return Err(nonsense(target, deed)) };
    match deed {
        Deed::StageImage { to, sha256, cached, .. } => {
            let staged = FileState { sha256: *sha256, size: 1, mode: 0o644, modified: State::seconds(now) };
            board.images.insert(to.clone(), staged.clone());
            state.controller.files.insert(cached.clone(), staged);
        }
        Deed::WriteFlashMark { slot, mark } => {
            board.marks.insert(*slot, mark.clone());
        }
        Deed::ClearStoredUsbBoot { slot } => {
            board.stored_usb_boot = board.stored_usb_boot.filter(|stored| stored != slot);
            board.waiting = board.waiting.filter(|waiting| waiting != slot);
        }
        Deed::RestartBmcDaemon { slot } => {
            board.transfer = None;
            board.waiting = board.stored_usb_boot.or(board.waiting);
            let run_of = |slot: &Slot| board.marks.get(slot).map(|mark| mark.run.clone());
            let run = run_of(slot);
            let new: BTreeSet<Slot> = Slot::ALL.into_iter().filter(|slot| run_of(slot) == run).collect();
            restart_takes_power(state, name, *slot, &new)?;
        }
        Deed::PowerOff { slot } => {
            if let Some(machine) = module(state, name, *slot) {
                let (node, condition) = (machine.name.clone(), machine.liveness(now));
                cut_power(machine, now);
                state.referee.cut(&node, condition);
            }
        }
        Deed::PowerOn { slot } => {
            let hangs = state.faults.boot;
            let hangs = state.faults.strike(hangs);
            if let Some(machine) = module(state, name, *slot) {
                give_power(machine, now, hangs);
            }
        }
        Deed::StartFlash { slot, node, order, .. } => start_flash(state, name, *slot, node, order),
        Deed::SeedCloudInit { slot, seed } => return seed_module(state, name, *slot, &seed.instance_id, deed),
        _ => return Err(nonsense(target, deed)),
    }
    Ok(Reply::Done)
}

fn module<'a>(state: &'a mut State, board: &BoardName, slot: Slot) -> Option<&'a mut Machine> {
    let node = state.boards.get(board)?.modules.get(&slot)?.clone();
    state.machines.get_mut(&node)
}

/// All slots lose their power for a moment, which is refused but for those that this run gave it.
fn restart_takes_power(state: &mut State, name: &BoardName, flashed: Slot, new: &BTreeSet<Slot>) -> Result<(), Fault> {
    let now = state.now;
    let powered: Vec<Slot> = Slot::ALL
        .into_iter()
        .filter(|slot| *slot != flashed)
        .filter(|slot| module(state, name, *slot).is_some_and(|machine| machine.boot != Boot::Off))
        .collect();
    if let Some(other) = powered.iter().find(|slot| !new.contains(slot)) {
        return Err(Fault::new(Cause::Failed, Target::Bmc(name.clone()), "restart the BMC's daemon")
            .said(format!("its restart may cut the power of slot {other}")));
    }
    for slot in powered {
        if let Some(machine) = module(state, name, slot) {
            cut_power(machine, now);
            give_power(machine, now, false);
        }
    }
    Ok(())
}

fn cut_power(machine: &mut Machine, now: u64) {
    if machine.boot != Boot::Off {
        machine.when_cut = machine.liveness(now);
        machine.down_since = now;
    }
    machine.boot = Boot::Off;
    if let Some(k3s) = machine.system.as_mut().and_then(|system| system.k3s.as_mut()) {
        k3s.active = false;
    }
}

fn give_power(machine: &mut Machine, now: u64, hangs: bool) {
    if machine.boot != Boot::Off {
        return;
    }
    let first = machine.system.as_ref().is_some_and(|system| !system.lived);
    machine.boot = if (hangs && first) || machine.system.is_none() {
        Boot::Hung
    } else {
        Boot::Coming { up_at: now + durations::boot(machine.kind, first) }
    };
}

fn start_flash(state: &mut State, board_name: &BoardName, slot: Slot, node: &NodeName, order: &str) {
    let now = state.now;
    let kind = state.kind_in(board_name, slot);
    let (usb, stall) = (state.faults.flash, state.faults.stall);
    let ending = if state.faults.strike(usb) {
        if state.faults.strike(500) { Ending::Usb } else { Ending::Checksum }
    } else if state.faults.strike(stall) {
        Ending::Stall
    } else {
        Ending::Well
    };
    let Some(board) = state.boards.get_mut(board_name) else { return };
    if let Some(running) = &board.transfer
        && running.state(now).phase == JobPhase::Running
        && running.ending != Ending::Stall
    {
        state.referee.violation(format!("{board_name}: slot {slot} is flashed while slot {} is", running.slot));
    }
    if let Some(waiting) = board.waiting.filter(|waiting| *waiting != slot) {
        state.referee.violation(format!("{board_name}: slot {waiting} is written instead of slot {slot}"));
    }
    let (_, total) = durations::image_sizes(kind);
    board.transfer = Some(Transfer {
        slot,
        node: node.clone(),
        order: order.to_owned(),
        began: now,
        total,
        rate: durations::flash_rate(kind),
        ending,
        written: false,
    });
    if let Some(machine) = module(state, board_name, slot) {
        let condition = if machine.boot == Boot::Off { machine.when_cut } else { machine.liveness(now) };
        machine.system = None;
        machine.when_cut = Liveness::Idle;
        // bmcd leaves a module with power when it does not show up on USB.
        machine.boot = if ending == Ending::Usb { Boot::Hung } else { Boot::Off };
        state.referee.erased(node, condition);
    }
}

fn seed_module(state: &mut State, board: &BoardName, slot: Slot, instance: &str, deed: &Deed) -> Result<Reply, Fault> {
    let now = state.now;
    let transfers = state.boards.get(board).and_then(|board| board.transfer.as_ref());
    if transfers
        .is_some_and(|transfer| transfer.state(now).phase == JobPhase::Running && transfer.ending != Ending::Stall)
    {
        state.referee.violation(format!("{board}: slot {slot} is mounted while the USB bus is in use"));
    }
    let target = Target::Bmc(board.clone());
    let machine = module(state, board, slot);
    let Some(machine) = machine.filter(|machine| machine.boot == Boot::Off) else {
        return Err(Fault::new(Cause::Passing, target, deed.to_string()).said("the module does not show up as storage"));
    };
    let key = crate::machine::key_of(&format!("{}-{instance}", machine.name));
    let Some(system) = &mut machine.system else {
        return Err(Fault::new(Cause::Failed, target, deed.to_string()).said("mount: wrong fs type"));
    };
    system.seeded = true;
    system.host_keys = vec![key.clone()];
    Ok(Reply::HostKey(key))
}

fn node(state: &mut State, name: &NodeName, deed: &Deed) -> Result<Reply, Fault> {
    let now = state.now;
    match deed {
        Deed::Reboot => return reboot(state, name),
        Deed::StartJob { job } => return start_job(state, name, job),
        Deed::InstallK3s(install) => return install_k3s(state, name, install),
        Deed::UninstallK3s { .. } => state.referee.hazard(&Hazard::UninstallK3s { node: name.clone() }),
        _ => {}
    }
    let target = Target::Node(name.clone());
    let Some(machine) = state.machines.get_mut(name) else { return Err(nonsense(target, deed)) };
    let Some(system) = &mut machine.system else { return Err(nonsense(target, deed)) };
    match deed {
        Deed::WriteFile { path, content, mode } => {
            system.files.insert(path.clone(), written(content, *mode, now));
        }
        Deed::FetchKeyring { url, path, .. } => {
            system.files.insert(path.clone(), file(url.as_bytes(), 0o644, now));
        }
        Deed::MakeDirectory { path } => {
            system.directories.insert(path.clone());
        }
        Deed::Unit { name, action } => {
            let k3s = system.k3s.as_mut().filter(|k3s| k3s.role.unit() == name.as_str());
            let Some(k3s) = k3s else {
                return Err(Fault::new(Cause::Failed, target, deed.to_string()).said("Unit not found"));
            };
            if *action == UnitAction::Restart || !k3s.active {
                (k3s.active, k3s.since) = (true, now);
            }
        }
        Deed::FetchK3s(K3sFetch { version, .. }) | Deed::HandOverK3s(K3sArtifacts { version, .. }) => {
            system.k3s_fetched = Some(version.clone());
        }
        Deed::UninstallK3s { keep, .. } => {
            if let Some(k3s) = system.k3s.take() {
                (system.k3s_before, system.k3s_left) = (Some(k3s.version), Some(now));
            }
            let gone = |path: &String| path.starts_with("/etc/rancher/k3s") || path.starts_with("/var/lib/rancher/k3s");
            let is_kept = |path: &String| {
                keep.0
                    .iter()
                    .any(|kept| path.strip_prefix(kept).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
            };
            system.files.retain(|path, _| !gone(path) || is_kept(path));
            system.k3s_config = system.k3s_config.take().filter(|_| keep.0.iter().any(|path| path == k3s_config::PATH));
        }
        Deed::FetchSnapshot { run } => {
            let path = format!("/site/.bringup/snapshots/{run}-{name}-{}", State::seconds(now));
            state.controller.files.insert(path, file(b"etcd", 0o600, now));
        }
        _ => return Err(nonsense(target, deed)),
    }
    Ok(Reply::Done)
}

fn reboot(state: &mut State, name: &NodeName) -> Result<Reply, Fault> {
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
    Ok(Reply::Done)
}

/// At most one node of the cluster is cordoned by us or, Ready before, on its way through a reboot.
fn one_in_maintenance(state: &mut State, name: &NodeName) {
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

fn start_job(state: &mut State, name: &NodeName, job: &Job) -> Result<Reply, Fault> {
    let now = state.now;
    let chance = state.faults.job;
    let fails = state.faults.strike(chance);
    if let Job::MoveRoot { disk } = job {
        state.referee.moved(name, disk);
    }
    let Some(machine) = state.machines.get_mut(name) else {
        return Err(nonsense(Target::Node(name.clone()), &Deed::Reboot));
    };
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
    Ok(Reply::Done)
}

fn install_k3s(state: &mut State, name: &NodeName, install: &K3sInstall) -> Result<Reply, Fault> {
    let now = state.now;
    let cluster = match &install.join {
        None => None,
        Some(join) => state.cluster.as_ref().map(|cluster| cluster.id).filter(|id| token_is_for(&join.token, *id)),
    };
    let Some(machine) = state.machines.get_mut(name) else { return Ok(Reply::Done) };
    let Some(system) = &mut machine.system else { return Ok(Reply::Done) };
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
    Ok(Reply::Done)
}

fn token_is_for(token: &Secret, cluster: u32) -> bool {
    token.expose().ends_with(&format!("-{cluster}-{cluster}"))
}

fn cluster(state: &mut State, deed: &Deed) -> Result<Reply, Fault> {
    let now = state.now;
    let chance = state.faults.drain;
    match deed {
        Deed::Cordon { node } => {
            state.settle_nodes();
            one_in_maintenance(state, node);
        }
        Deed::Drain { .. } if state.faults.strike(chance) => {
            return Err(Fault::new(Cause::Refused, Target::Cluster, deed.to_string())
                .said("Cannot evict pod as it would violate the pod's disruption budget."));
        }
        Deed::DeleteNode { node } => {
            state.referee.hazard(&Hazard::Delete { object: format!("Node {node} and its node-password secret") })
        }
        Deed::UninstallRelease { namespace, name, .. } => {
            state.referee.hazard(&Hazard::Delete { object: format!("release {namespace}/{name}") });
        }
        _ => {}
    }
    let Some(cluster) = &mut state.cluster else { return Err(nonsense(Target::Cluster, deed)) };
    match deed {
        Deed::Cordon { node } | Deed::Uncordon { node } => {
            let cordons = matches!(deed, Deed::Cordon { .. });
            let Some(node) = cluster.nodes.get_mut(node) else { return Err(nonsense(Target::Cluster, deed)) };
            (node.unschedulable, node.in_maintenance) = (cordons, cordons);
        }
        Deed::Drain { .. } => {}
        Deed::DeleteNode { node } => {
            cluster.nodes.remove(node);
        }
        Deed::MarkNode { node, labels, taints } => {
            let Some(node) = cluster.nodes.get_mut(node) else {
                return Err(Fault::new(Cause::Failed, Target::Cluster, deed.to_string()).said("nodes not found"));
            };
            node.labels.extend(labels.clone());
            node.taints.extend(taints.iter().cloned());
        }
        Deed::InstallRelease { namespace, name, version, values, run, .. } => {
            let key = (namespace.clone(), name.clone());
            // What the site does not give stays as it was.
            let mut kept = cluster.releases.remove(&key).map(|release| release.values).unwrap_or_default();
            kept.extend(value_sums(values));
            let release = ReleaseState {
                version: version.clone(),
                status: "deployed".to_owned(),
                values: kept,
                run: run.clone(),
            };
            cluster.releases.insert(key, release);
            cluster.pods.insert((namespace.clone(), "argocd-application-controller".to_owned()), now);
        }
        Deed::UninstallRelease { namespace, name, .. } => {
            if let Some(release) = cluster.releases.get_mut(&(namespace.clone(), name.clone())) {
                (release.status, release.run) = (UNINSTALLED.to_owned(), None);
            }
            cluster.pods.retain(|(pods, _), _| pods != namespace);
        }
        Deed::ApplyObject { id, fields, .. } => {
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
        Deed::BackUpSealedKeys { .. } | Deed::RestoreSealedKeys { .. } => {}
        Deed::RestartWorkload { namespace, name } => {
            cluster.pods.insert((namespace.clone(), name.clone()), now);
        }
        _ => return Err(nonsense(Target::Cluster, deed)),
    }
    Ok(Reply::Done)
}

/// Server-side apply: the fields given, all others as they were.
pub(crate) fn merge(into: &mut Value, fields: &Value) {
    match (into, fields) {
        (Value::Object(into), Value::Object(fields)) => {
            for (key, value) in fields {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, fields) => *into = fields.clone(),
    }
}

/// A system as a hand that knows what it does would leave it, for machines that are there already.
pub(crate) fn installed_by_hand(machine: &mut Machine) {
    machine.system = Some(System::by_hand(&machine.name));
    machine.boot = Boot::Up;
    machine.boots = 1;
}
