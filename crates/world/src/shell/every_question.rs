//! Every question that is asked of a node's shell, for the tests that ask or answer all of them.

use bringup_core::contract::node::{
    AgentToken, BootId, CloudInit, Directory, Disk, File, GpuDriver, JobState, JoinToken, K3s, K3sBefore, K3sConfig,
    K3sTrouble, MissingKernelFeatures, Packages, PackagesBusy, Question, Reaches, RebootRequired, RootPartition,
    RunningJobs, System, Unit, Upgrades,
};
use bringup_core::ids::DiskPath;

/// Those about the machine.
pub(super) fn questions() -> Vec<Question> {
    let names = ["open-iscsi", "openssh-server", "no-such-package"].map(str::to_owned);
    let disks = ["/dev/loop0", "/dev/loop1", "/dev/nvme9n1"].into_iter().filter_map(DiskPath::parse);
    let mut all: Vec<Question> = vec![
        BootId {}.into(),
        File { path: "/etc/hostname".to_owned() }.into(),
        File { path: "/nonexistent/it's".to_owned() }.into(),
        Directory { path: "/etc/apt".to_owned() }.into(),
        Directory { path: "/etc/hostname".to_owned() }.into(),
        System {}.into(),
        RootPartition {}.into(),
    ];
    all.extend(disks.map(|path| Disk { path }.into()));
    all.extend([
        CloudInit {}.into(),
        Packages { names: names.into() }.into(),
        Upgrades {}.into(),
        RebootRequired {}.into(),
        Unit { name: "ssh.service".to_owned() }.into(),
        Unit { name: "no-such-unit.service".to_owned() }.into(),
        JobState { name: "dist-upgrade" }.into(),
        RunningJobs {}.into(),
        PackagesBusy {}.into(),
        GpuDriver {}.into(),
    ]);
    all
}

/// Those about k3s.
pub(super) fn k3s_questions() -> Vec<Question> {
    vec![
        K3s {}.into(),
        K3sConfig {}.into(),
        K3sTrouble {}.into(),
        K3sBefore {}.into(),
        MissingKernelFeatures {}.into(),
        JoinToken {}.into(),
        AgentToken {}.into(),
        Reaches { host: "127.0.0.1".to_owned(), port: 22 }.into(),
        Reaches { host: "127.0.0.1".to_owned(), port: 1 }.into(),
    ]
}
