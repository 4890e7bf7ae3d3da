//! What a node's shell printed, as answers.

use std::collections::BTreeMap;

use bringup_core::probe::{
    Answer, CloudInitState, DiskState, FileState, JobPhase, JobStatus, K3sRole, K3sState, Probe, SystemState,
    UnitState, UpgradeState,
};
use bringup_core::secret::Secret;
use serde::Deserialize;

use super::questions::NONE;
use super::script::Section;

/// Reads what a question's piece of script printed; what is odd about it, in words, if it is no answer.
pub(crate) fn answer(probe: &Probe, section: &Section) -> Result<Answer, String> {
    let none = section.status == NONE;
    if section.status != 0 && !none {
        let said = if section.err.is_empty() { &section.out } else { &section.err };
        return Err(format!("exit status {}\n{said}", section.status));
    }
    let out = section.out.as_str();
    let line = || out.lines().next().map(str::trim).unwrap_or_default().to_owned();
    let odd = || match probe {
        // What it holds is nobody's to read.
        Probe::AdminKubeconfig(_) => "an answer that makes no sense".to_owned(),
        _ => format!("an answer that makes no sense: {out}"),
    };
    Ok(match probe {
        Probe::BootId(_) if line().len() == 36 => Answer::BootId(line()),
        Probe::File(_) => Answer::File(if none { None } else { Some(file(out).ok_or_else(odd)?) }),
        Probe::Directory(_) => Answer::Directory(!none),
        Probe::System(_) => Answer::System(system(out).ok_or_else(odd)?),
        // ZFS and overlays have a root that is on no device of its own; what they call it tells it from any disk.
        Probe::RootPartition(_) if !line().is_empty() => Answer::RootPartition(line()),
        Probe::Disk(_) => Answer::Disk(if none { None } else { Some(disk(out).ok_or_else(odd)?) }),
        Probe::CloudInit(_) => Answer::CloudInit(if none { CloudInitState::Absent } else { cloud_init(out)? }),
        Probe::Packages(_) => Answer::Packages(
            // `ii `: wanted and installed; held ones are installed as well.
            out.lines()
                .filter_map(|line| line.split_once(' '))
                .filter(|(_, status)| status.starts_with("ii") || status.starts_with("hi"))
                .map(|(name, _)| name.to_owned())
                .collect(),
        ),
        Probe::Upgrades(_) => Answer::Upgrades(upgrades(out).ok_or_else(odd)?),
        Probe::RebootRequired(_) => Answer::RebootRequired(!none),
        Probe::Unit(_) => Answer::Unit(unit(out).ok_or_else(odd)?),
        Probe::PackagesBusy(_) => Answer::PackagesBusy(!none),
        Probe::RunningJobs(_) => Answer::RunningJobs(out.lines().map(str::to_owned).collect()),
        Probe::JobState(_) => Answer::JobState(if none { None } else { Some(job(out).ok_or_else(odd)?) }),
        Probe::K3s(_) => Answer::K3s(if none { None } else { Some(k3s(out).ok_or_else(odd)?) }),
        Probe::K3sConfig(_) if none => Answer::K3sConfig(None),
        Probe::K3sConfig(_) => {
            Answer::K3sConfig(Some(Secret::new(out.strip_suffix('.').ok_or("an answer without its end")?)))
        }
        Probe::K3sTrouble(_) => Answer::K3sTrouble((!none).then(line)),
        Probe::K3sBefore(_) => Answer::K3sBefore((!none).then(line).filter(|version| !version.is_empty())),
        Probe::Reaches(_) => Answer::Reaches(!none),
        Probe::MissingKernelFeatures(_) => {
            Answer::MissingKernelFeatures(out.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
        }
        Probe::AdminKubeconfig(_) if !none => Answer::AdminKubeconfig(Secret::new(out)),
        // Odd or not, what it is is nobody's business.
        Probe::JoinToken(_) => Answer::JoinToken((!none).then(|| Secret::new(line()))),
        Probe::AgentToken(_) => Answer::AgentToken((!none).then(|| Secret::new(line()))),
        Probe::GpuDriver(_) => Answer::GpuDriver((!none).then(line).filter(|version| !version.is_empty())),
        _ => return Err(odd()),
    })
}

/// Reads a sum, then size, permission bits and time of a file.
pub(crate) fn file(out: &str) -> Option<FileState> {
    let (sum, rest) = out.split_once('\n')?;
    let sha256 = sum.split_whitespace().next().filter(|sum| sum.len() == 64)?.to_owned();
    let mut numbers = rest.split_whitespace();
    let size = numbers.next()?.parse().ok()?;
    let mode = u32::from_str_radix(numbers.next()?, 8).ok()?;
    Some(FileState { sha256, size, mode, modified: numbers.next()?.parse().ok()? })
}

fn system(out: &str) -> Option<SystemState> {
    let mut lines = out.lines().map(|line| line.trim().to_owned());
    Some(SystemState { hostname: lines.next()?, os: lines.next()?, architecture: lines.next()? })
}

/// Labels of the root file systems of the images that we flash and of Ubuntu's others.
const ROOT_LABELS: [&str; 4] = ["cloudimg-rootfs", "writable", "desktop-rootfs", "rootfs"];

fn disk(out: &str) -> Option<DiskState> {
    let mut lines = out.lines().map(str::trim);
    let size = lines.next()?.parse().ok()?;
    let or_unknown = |text: &str| if text.is_empty() { "unknown".to_owned() } else { text.to_owned() };
    let (model, serial) = (or_unknown(lines.next()?), or_unknown(lines.next()?));
    let carries_root = lines.next()? == "root";
    let (mounted, lines): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with("at "));
    let mounted = mounted.into_iter().filter_map(|line| line.strip_prefix("at ")).map(str::to_owned).collect();
    let holds: Vec<String> = lines
        .into_iter()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty())
        .collect();
    let is_root = |held: &String| held.split(' ').next_back().is_some_and(|label| ROOT_LABELS.contains(&label));
    Some(DiskState {
        model,
        serial,
        size,
        holds_root: !carries_root && holds.iter().any(is_root),
        carries_root,
        file_systems: holds,
        mounted,
    })
}

#[derive(Deserialize)]
struct CloudInitResult {
    v1: CloudInitErrors,
}

#[derive(Deserialize)]
struct CloudInitErrors {
    #[serde(default)]
    errors: Vec<serde_json::Value>,
}

fn cloud_init(out: &str) -> Result<CloudInitState, String> {
    if out.trim() == "running" {
        return Ok(CloudInitState::Running);
    }
    let result: CloudInitResult =
        serde_json::from_str(out).map_err(|error| format!("cloud-init's result is not understood: {error}"))?;
    Ok(if result.v1.errors.is_empty() { CloudInitState::Done } else { CloudInitState::Failed })
}

fn upgrades(out: &str) -> Option<UpgradeState> {
    let mut numbers = out.lines().map(|line| line.trim().parse::<u64>().ok());
    let mut count = || numbers.next()?.and_then(|number| u32::try_from(number).ok());
    let (half_configured, upgradable, removable) = (count()?, count()?, count()?);
    Some(UpgradeState { upgradable, half_configured, removable, lists_age: numbers.next()?? })
}

/// `None` inside: there is no such unit.
fn unit(out: &str) -> Option<Option<UnitState>> {
    let mut lines = out.lines();
    let now: u64 = lines.next()?.trim().parse().ok()?;
    let up = lines.next()?.trim().split('.').next()?.parse::<u64>().ok()?;
    let properties: BTreeMap<&str, &str> = lines.filter_map(|line| line.split_once('=')).collect();
    if *properties.get("LoadState")? == "not-found" {
        return Some(None);
    }
    let entered: u64 = properties.get("ActiveEnterTimestampMonotonic")?.parse().ok()?;
    Some(Some(UnitState {
        active: *properties.get("ActiveState")? == "active",
        enabled: *properties.get("UnitFileState")? == "enabled",
        since: now.saturating_sub(up) + entered / 1_000_000,
    }))
}

fn k3s(out: &str) -> Option<K3sState> {
    let mut lines = out.lines().map(str::trim);
    let role = match lines.next()? {
        "server" => K3sRole::Server,
        "agent" => K3sRole::Agent,
        _ => return None,
    };
    let version = lines.next()?.to_owned();
    let run = lines.next().filter(|line| !line.is_empty()).map(str::to_owned);
    let mut number = || lines.next()?.split('.').next()?.parse::<u64>().ok();
    let (now, up) = (number()?, number()?);
    let written = number()?.max(number()?);
    let properties: BTreeMap<&str, &str> = lines.filter_map(|line| line.split_once('=')).collect();
    // A server is `activating` until its API answers, and between two tries, when nothing of it runs.
    let active = match *properties.get("ActiveState")? {
        "active" => true,
        "activating" => *properties.get("SubState")? == "start",
        _ => false,
    };
    let started: u64 = properties.get("ExecMainStartTimestampMonotonic")?.parse().ok()?;
    let stale = started > 0 && written > now.saturating_sub(up) + started / 1_000_000;
    Some(K3sState { role, version, active, stale, run })
}

/// A line as a terminal shows it in the end: dpkg counts over the same place again and again.
fn last_written(line: &str) -> String {
    line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default().to_owned()
}

fn job(out: &str) -> Option<JobStatus> {
    let mut lines = out.lines();
    let (hash, boot_id) = (lines.next()?.trim().to_owned(), lines.next()?.trim().to_owned());
    let phase = match lines.next()?.trim() {
        "running" => JobPhase::Running,
        "0" => JobPhase::Succeeded,
        _ => JobPhase::Failed,
    };
    let ended_ago = lines.next()?.trim().parse().ok();
    Some(JobStatus { hash, boot_id, phase, ended_ago, said: lines.map(last_written).collect() })
}
