//! A node's machine: power, boots, jobs, packages, k3s. Time is looked at, never run: whoever looks settles what has
//! come to pass by then.

use std::collections::{BTreeMap, BTreeSet};

use bringup_core::contract::{FileState, Job, JobPhase, JobStatus, K3sRole};
use bringup_core::ids::{NodeName, Sha256};
use bringup_core::run::hazard::Liveness;
use bringup_core::site::Kind;
use bringup_core::text::known_hosts::HostKey;
use bringup_core::version::Version;

use crate::durations;

/// Where the boot stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Boot {
    /// No power.
    Off,
    /// On its way up.
    Coming { up_at: u64 },
    /// Up.
    Up,
    /// Told to reboot: still up until `down_at`, up again from `up_at`.
    Rebooting { down_at: u64, up_at: u64 },
    /// Powered, silent, for good.
    Hung,
}

/// A detached job.
#[derive(Clone, Debug)]
pub(crate) struct SimJob {
    pub job: Job,
    pub boot: u32,
    pub ends_at: u64,
    pub fails: bool,
    pub settled: bool,
}

/// k3s on a machine.
#[derive(Clone, Debug)]
pub(crate) struct SimK3s {
    pub role: K3sRole,
    pub version: Version,
    pub active: bool,
    /// Since when its unit runs, in milliseconds of virtual time.
    pub since: u64,
    pub run: Option<String>,
    /// The cluster that it belongs to.
    pub cluster: u32,
}

/// An installed operating system.
#[derive(Clone, Debug)]
pub(crate) struct System {
    /// Tells one installation from the next.
    pub install: u32,
    pub host_keys: Vec<HostKey>,
    pub seeded: bool,
    pub lived: bool,
    pub root: String,
    /// The next boot takes its root from the NVMe disk.
    pub root_moved: bool,
    pub cloud_init_ends: u64,
    pub upgradable: u32,
    pub half_configured: u32,
    pub removable: u32,
    pub reboot_required: bool,
    pub packages: BTreeSet<String>,
    pub files: BTreeMap<String, FileState>,
    pub directories: BTreeSet<String>,
    pub jobs: BTreeMap<&'static str, SimJob>,
    pub gpu_driver: Option<String>,
    pub k3s: Option<SimK3s>,
    /// The text of its configuration file.
    pub k3s_config: Option<String>,
    /// The release whose binary was fetched and waits to be installed.
    pub k3s_fetched: Option<Version>,
    /// The release that was uninstalled last.
    pub k3s_before: Option<Version>,
    /// When it was uninstalled.
    pub k3s_left: Option<u64>,
}

/// A key made from a word: the same word, the same key.
pub(crate) fn key_of(word: &str) -> HostKey {
    HostKey::ed25519(Sha256::of(word).as_bytes())
}

impl System {
    /// What an image brings, before any boot.
    pub fn of_image(node: &NodeName, install: u32) -> Self {
        Self {
            install,
            host_keys: vec![key_of(&format!("{node}-{install}"))],
            seeded: false,
            lived: false,
            root: "/dev/mmcblk0p2".to_owned(),
            root_moved: false,
            cloud_init_ends: 0,
            upgradable: 93,
            half_configured: 0,
            removable: 4,
            reboot_required: false,
            packages: ["openssh-server", "unattended-upgrades"].map(str::to_owned).into(),
            files: BTreeMap::new(),
            directories: BTreeSet::new(),
            jobs: BTreeMap::new(),
            gpu_driver: None,
            k3s: None,
            k3s_config: None,
            k3s_fetched: None,
            k3s_before: None,
            k3s_left: None,
        }
    }

    /// One that someone installed by hand and has used.
    pub fn by_hand(node: &NodeName) -> Self {
        let mut system = Self::of_image(node, 0);
        system.root = "/dev/sda2".to_owned();
        (system.seeded, system.lived, system.upgradable) = (true, true, 41);
        system
    }
}

/// A machine.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub name: NodeName,
    pub kind: Kind,
    pub address: String,
    /// Never answers, whatever is done.
    pub dead: bool,
    /// The NVMe disk holds a root file system.
    pub disk_holds_root: bool,
    pub boot: Boot,
    pub boots: u32,
    pub installs: u32,
    pub system: Option<System>,
    /// What it was when its power was last cut, for the referee.
    pub when_cut: Liveness,
    /// Since when it has been up, in milliseconds.
    pub up_since: u64,
    /// Its Node was Ready when it was last told to reboot.
    pub was_member: bool,
    /// Since when it has been down, in milliseconds.
    pub down_since: u64,
}

impl Machine {
    /// Lets come to pass what has by now.
    pub fn settle(&mut self, now: u64) {
        match self.boot {
            Boot::Coming { up_at } if up_at <= now => self.come_up(up_at),
            Boot::Rebooting { down_at, up_at } if up_at <= now => {
                self.down_since = down_at;
                self.come_up(up_at);
            }
            _ => {}
        }
        let boots = self.boots;
        if let Some(system) = &mut self.system {
            let kind = self.kind;
            let mut ended = Vec::new();
            for job in system.jobs.values_mut() {
                if !job.settled && job.boot == boots && job.ends_at <= now {
                    job.settled = true;
                    if !job.fails {
                        ended.push(job.job.clone());
                    }
                }
            }
            for job in ended {
                effect(system, &job, kind, &mut self.disk_holds_root);
            }
        }
    }

    fn come_up(&mut self, at: u64) {
        self.boot = Boot::Up;
        self.up_since = at;
        self.boots += 1;
        let Some(system) = &mut self.system else {
            self.boot = Boot::Hung;
            return;
        };
        if !system.lived {
            system.cloud_init_ends = at + durations::cloud_init(self.kind);
        }
        system.lived = true;
        system.reboot_required = false;
        if system.root_moved {
            system.root = "/dev/nvme0n1p2".to_owned();
        }
        if let Some(k3s) = &mut system.k3s {
            (k3s.active, k3s.since) = (true, at);
        }
    }

    /// Whether its SSH server answers.
    pub fn is_up(&mut self, now: u64) -> bool {
        self.settle(now);
        !self.dead
            && self.system.is_some()
            && match self.boot {
                Boot::Up => true,
                Boot::Rebooting { down_at, .. } => now < down_at,
                Boot::Off | Boot::Coming { .. } | Boot::Hung => false,
            }
    }

    /// Whether its SSH server answers already and lets nobody in yet.
    pub fn is_coming_up(&self, now: u64) -> bool {
        self.boots > 0 && self.boot == Boot::Up && now < self.up_since + durations::NOLOGIN
    }

    /// What an onlooker who knows everything calls it. One that came up in the same breath may be alive: nobody could
    /// have known.
    pub fn liveness(&mut self, now: u64) -> Liveness {
        const BREATH: u64 = 10_000;
        let lived = self.system.as_ref().is_some_and(|system| system.lived);
        if self.is_up(now) && lived && now >= self.up_since + BREATH {
            Liveness::Living
        } else if lived && self.boot != Boot::Off {
            Liveness::Doubtful
        } else {
            Liveness::Idle
        }
    }

    pub fn boot_id(&self) -> String {
        format!("{}-boot-{}", self.name, self.boots)
    }

    /// The jobs that run in this boot.
    pub fn running_jobs(&self) -> BTreeSet<String> {
        let names = self.system.iter().flat_map(|system| system.jobs.keys());
        let runs = |name: &&&str| {
            self.job(name, 0).is_some_and(|job| job.phase == JobPhase::Running && job.boot_id == self.boot_id())
        };
        names.filter(runs).map(|name| (*name).to_owned()).collect()
    }

    /// How a job stands.
    pub fn job(&self, name: &str, now: u64) -> Option<JobStatus> {
        let job = self.system.as_ref()?.jobs.get(name)?;
        let gone = !job.settled && job.boot != self.boots;
        let phase = match (job.settled, job.fails || gone) {
            (false, false) => JobPhase::Running,
            (true, false) => JobPhase::Succeeded,
            (_, true) => JobPhase::Failed,
        };
        let said = if phase == JobPhase::Failed { "E: the job ended with status 100" } else { "" };
        Some(JobStatus {
            hash: job.job.hash(),
            boot_id: format!("{}-boot-{}", self.name, job.boot),
            phase,
            ended_ago: job.settled.then(|| now.saturating_sub(job.ends_at) / 1000),
            said: said.lines().map(str::to_owned).collect(),
        })
    }
}

/// What a job that ended well has made.
fn effect(system: &mut System, job: &Job, kind: Kind, disk_holds_root: &mut bool) {
    match job {
        Job::ConfigurePackages => system.half_configured = 0,
        Job::DistUpgrade => {
            if system.upgradable > 0 {
                // New kernels come with a dist-upgrade; a hand-kept machine has its own already.
                system.reboot_required = true;
                system.upgradable = 0;
            }
        }
        Job::Autoremove => system.removable = 0,
        Job::InstallPackages { names } => system.packages.extend(names.iter().cloned()),
        Job::InstallGpuDriver => {
            if system.gpu_driver.is_none() {
                system.gpu_driver = Some("570.133.20".to_owned());
                system.reboot_required = true;
            }
        }
        Job::MoveRoot { .. } => {
            if kind == Kind::Rk1 && !system.root.starts_with("/dev/nvme") {
                *disk_holds_root = true;
                system.root_moved = true;
            }
        }
    }
}
