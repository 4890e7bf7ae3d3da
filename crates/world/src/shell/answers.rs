//! What a node's shell printed, as answers.

// A node may say any number.
#![deny(clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use bringup_core::contract::node::{Answer, Question};
use bringup_core::contract::{
    CloudInitState, DiskState, FileState, JobPhase, JobStatus, K3sRole, K3sState, SystemState, UnitState, UpgradeState,
};
use bringup_core::ids::Sha256;
use bringup_core::text::k3s_journal::Said;
use bringup_core::text::kubeconfig::{ClusterAccess, Refused};
use bringup_core::text::secret::Secret;
use bringup_core::version::Version;
use serde::Deserialize;

use super::script::NONE;
use super::script::Section;

/// Why what came back is no answer.
#[derive(Debug)]
pub(crate) enum Odd {
    /// In words, the last lines of what was printed among them.
    Words(String),
    /// A kubeconfig that is not used.
    Kubeconfig(Refused),
}

impl From<String> for Odd {
    fn from(words: String) -> Self {
        Self::Words(words)
    }
}

impl From<&str> for Odd {
    fn from(words: &str) -> Self {
        Self::Words(words.to_owned())
    }
}

/// Whether what is printed for a question may hold a secret.
fn is_secret(question: &Question) -> bool {
    matches!(
        question,
        Question::AdminKubeconfig(_) | Question::JoinToken(_) | Question::AgentToken(_) | Question::K3sConfig(_)
    )
}

/// Reads what a question's piece of script printed.
///
/// # Errors
/// When it is no answer. What may hold a secret is not in the words.
pub(crate) fn answer(question: &Question, section: &Section) -> Result<Answer, Odd> {
    let none = section.status == NONE;
    if section.status != 0 && !none {
        let said = if section.err.is_empty() && !is_secret(question) { &section.out } else { &section.err };
        return Err(format!("exit status {}\n{said}", section.status).into());
    }
    let out = section.out.as_str();
    let line = || out.lines().next().map(str::trim).unwrap_or_default().to_owned();
    let odd = || match is_secret(question) {
        true => "unexpected output".to_owned(),
        false => format!("unexpected output: {out}"),
    };
    Ok(match question {
        Question::BootId(question) => question.answer(Some(line()).filter(|id| id.len() == 36).ok_or_else(odd)?),
        Question::File(question) => question.answer(unless(none, || file(out)).ok_or_else(odd)?),
        Question::Directory(question) => question.answer(!none),
        Question::System(question) => question.answer(system(out).ok_or_else(odd)?),
        // ZFS and overlays have a root that is on no device of its own; what they call it tells it from any disk.
        Question::RootPartition(question) => {
            question.answer(Some(line()).filter(|device| !device.is_empty()).ok_or_else(odd)?)
        }
        Question::Disk(question) => question.answer(unless(none, || disk(out)).ok_or_else(odd)?),
        Question::CloudInit(question) => question.answer(if none { CloudInitState::Absent } else { cloud_init(out)? }),
        Question::Packages(question) => question.answer(
            // `ii `: wanted and installed; held ones are installed as well.
            out.lines()
                .filter_map(|line| line.split_once(' '))
                .filter(|(_, status)| status.starts_with("ii") || status.starts_with("hi"))
                .map(|(name, _)| name.to_owned())
                .collect(),
        ),
        Question::Upgrades(question) => question.answer(upgrades(out).ok_or_else(odd)?),
        Question::RebootRequired(question) => question.answer(!none),
        Question::Unit(question) => question.answer(unit(out).ok_or_else(odd)?),
        Question::PackagesBusy(question) => question.answer(!none),
        Question::RunningJobs(question) => {
            let jobs = out.lines().map(|name| is_job(name).then(|| name.to_owned()));
            question.answer(jobs.collect::<Option<_>>().ok_or_else(odd)?)
        }
        Question::JobState(question) => question.answer(unless(none, || job(out)).ok_or_else(odd)?),
        Question::K3s(question) => question.answer(unless(none, || k3s(out)).ok_or_else(odd)?),
        Question::K3sConfig(question) => {
            let text = || out.strip_suffix('.').map(Secret::new);
            question.answer(unless(none, text).ok_or("an answer without its end")?)
        }
        // First containerd's last line, then those of the journal.
        Question::K3sTrouble(question) => {
            let (containerd, journal) = if none { ("", "") } else { out.split_once('\n').unwrap_or((out, "")) };
            question.answer(Said::of(journal.lines(), containerd.trim()))
        }
        Question::K3sBefore(question) => {
            question.answer(unless(none || line().is_empty(), || Version::parse(&line())).ok_or_else(odd)?)
        }
        Question::Reaches(question) => question.answer(!none),
        Question::MissingKernelFeatures(question) => {
            question.answer(out.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
        }
        Question::AdminKubeconfig(_) if none => return Err(odd().into()),
        Question::AdminKubeconfig(question) => question.answer(ClusterAccess::parse(out).map_err(Odd::Kubeconfig)?),
        // Odd or not, what it is is nobody's business.
        Question::JoinToken(question) => question.answer((!none).then(|| Secret::new(line()))),
        Question::AgentToken(question) => question.answer((!none).then(|| Secret::new(line()))),
        Question::GpuDriver(question) => question.answer((!none).then(line).filter(|version| !version.is_empty())),
        // No script asks these.
        Question::Addresses(_) | Question::SshBanner(_) | Question::HostKeys(_) => return Err(odd().into()),
    })
}

/// What was read, if there is something to read; the outer `None`: it cannot be read.
fn unless<T>(none: bool, read: impl FnOnce() -> Option<T>) -> Option<Option<T>> {
    if none { Some(None) } else { read().map(Some) }
}

/// Whether it is a name that a job of ours may have, of whichever release: it begins a line of a plan.
fn is_job(name: &str) -> bool {
    (1..=40).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

/// Reads a sum, then size, permission bits and time of a file.
pub(crate) fn file(out: &str) -> Option<FileState> {
    let (sum, rest) = out.split_once('\n')?;
    let sha256 = sum.split_whitespace().next().and_then(Sha256::parse)?;
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

/// When a host was booted, which turns systemd's times since then into those of the clock.
struct Boot {
    /// Microseconds of the clock, at the latest: `date` tells whole seconds.
    latest: u64,
}

impl Boot {
    /// From the clock in seconds, and the seconds since the boot with their fraction.
    fn of(now: &str, up: &str) -> Option<Self> {
        let now: u64 = now.trim().parse().ok()?;
        let (seconds, fraction) = up.trim().split_once('.')?;
        // The kernel tells hundredths.
        let hundredths: u64 = fraction.parse().ok().filter(|_| fraction.len() == 2)?;
        let up = seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(hundredths.checked_mul(10_000)?)?;
        let now = now.checked_mul(1_000_000)?.checked_add(999_999)?;
        Some(Self { latest: now.saturating_sub(up) })
    }

    /// The last second in which something may have happened that systemd saw so many microseconds after the boot. A file
    /// of that second may be older than it: what follows a write at once is not older than the file.
    fn latest_second(&self, monotonic: u64) -> Option<u64> {
        Some(self.latest.checked_add(monotonic)? / 1_000_000)
    }
}

/// `None` inside: there is no such unit.
fn unit(out: &str) -> Option<Option<UnitState>> {
    let mut lines = out.lines();
    let boot = Boot::of(lines.next()?, lines.next()?)?;
    let properties: BTreeMap<&str, &str> = lines.filter_map(|line| line.split_once('=')).collect();
    if *properties.get("LoadState")? == "not-found" {
        return Some(None);
    }
    let entered: u64 = properties.get("ActiveEnterTimestampMonotonic")?.parse().ok()?;
    Some(Some(UnitState {
        active: *properties.get("ActiveState")? == "active",
        enabled: *properties.get("UnitFileState")? == "enabled",
        since: boot.latest_second(entered)?,
    }))
}

fn k3s(out: &str) -> Option<K3sState> {
    let mut lines = out.lines().map(str::trim);
    let role = match lines.next()? {
        "server" => K3sRole::Server,
        "agent" => K3sRole::Agent,
        _ => return None,
    };
    let version = Version::parse(lines.next()?)?;
    let run = lines.next().filter(|line| !line.is_empty()).map(str::to_owned);
    let ours = !lines.next()?.is_empty();
    let has_password = !lines.next()?.is_empty();
    let boot = Boot::of(lines.next()?, lines.next()?)?;
    let mut number = || lines.next()?.parse::<u64>().ok();
    let written = number()?.max(number()?);
    let properties: BTreeMap<&str, &str> = lines.filter_map(|line| line.split_once('=')).collect();
    let started = *properties.get("ActiveState")? == "active";
    // It is `activating` until it is up, and between two tries, when nothing of it runs.
    let active = match *properties.get("ActiveState")? {
        "active" => true,
        "activating" => *properties.get("SubState")? == "start",
        _ => false,
    };
    let since: u64 = properties.get("ExecMainStartTimestampMonotonic")?.parse().ok()?;
    let stale = since > 0 && written > boot.latest_second(since)?;
    Some(K3sState { role, version, active, started, stale, run, ours, has_password })
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

#[cfg(test)]
mod tests {
    use super::k3s;

    /// An agent as its question prints it: the clock and the time since boot, when its configuration was written, when it
    /// was started.
    fn is_stale(now: &str, up: &str, written: u64, started: u64) -> bool {
        let out = format!(
            "agent\nv1.35.4+k3s1\nrun\nours\npassword\n{now}\n{up}\n{written}\n0\n\
             ExecMainStartTimestampMonotonic={started}\nActiveState=active\nSubState=running"
        );
        k3s(&out).unwrap().stale
    }

    #[test]
    fn what_starts_right_after_its_configuration_was_written_is_not_older_than_that() {
        // Booted at 1000.8 by the clock. The question comes at 1020.9: `date` says 1020, and 20.10 s are since the boot.
        for (written, started, stale) in [
            // Written at 1005.9 and started 0.1 s later.
            (1005, 5_200_000, false),
            (1005, 4_900_000, false),
            // Started 3 s before it was written.
            (1009, 5_200_000, true),
            (2000, 0, false),
        ] {
            assert_eq!(is_stale("1020", "20.10", written, started), stale, "{written} {started}");
        }
    }
}
