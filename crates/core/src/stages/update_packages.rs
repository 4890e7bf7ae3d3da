//! Stage `update_packages`: packages, drivers and reboots.

use super::Wanted;
use super::lanes::Lanes;
use super::usual;
use crate::contract::K3sRole;
use crate::engine::Lane;
use crate::ids::{Label, StageName};
use crate::resources::{
    AptRepository, CloudInitEnded, EarlierWorkEnded, GpuDriverInstalled, InstalledPackages, NvidiaRuntime,
    PackageUpkeep, Rebooted, UnitNewerThanFile, Upkeep,
};
use crate::site::{Node, Settings};

const STAGE: StageName = StageName::UpdatePackages;

/// What every node has: `open-iscsi` for Longhorn's volumes, `original-awk` for scripts around k3s.
const PACKAGES: [&str; 3] = ["unattended-upgrades", "open-iscsi", "original-awk"];

pub(super) fn place(wanted: &Wanted<'_>, lanes: &mut Lanes) {
    let settings = &wanted.site.settings;
    for node in wanted.nodes() {
        let control_plane = settings.control_plane.as_ref() == Some(&node.name);
        let Some(lane) = lanes.node(&node.name) else { continue };
        let name = || node.name.clone();
        let step = |what: &str| Label::of(&node.name, what);
        let upkeep = |upkeep| PackageUpkeep { node: name(), upkeep, usual: usual::upkeep(upkeep, node.kind) };
        // With `move_fs` before it, that has been seen to.
        if !(node.root_dev.is_some() && wanted.scope.stages.contains(&StageName::MoveFs)) {
            lane.push(STAGE, EarlierWorkEnded { node: name(), but: None });
            lane.push(STAGE, CloudInitEnded { node: name() });
        }
        lane.push(STAGE, upkeep(Upkeep::Configured));
        lane.push(STAGE, upkeep(Upkeep::Upgraded)).unsettled_by([step("configured")]);
        let mut reboot_after = vec![step("upgraded")];
        if node.nvidia_gpu_node {
            place_driver(node, lane);
            reboot_after.push(step("gpu_driver"));
        }
        let usual = usual::reboot(node.kind);
        let within = settings.reboot_timeout;
        let workstation = node.workstation || node.connection.local;
        let reboot = lane.push(STAGE, Rebooted { node: name(), workstation, usual, within });
        reboot.unsettled_by(reboot_after);
        if control_plane {
            // The control plane last: the others' maintenance needs its API.
            let others = wanted.nodes().filter(|other| other.name != node.name);
            reboot.yielding_to(others.map(|other| Label::of(&other.name, "reboot")));
        }
        lane.push(STAGE, upkeep(Upkeep::Autoremoved)).unsettled_by([step("upgraded")]);
        let names = PACKAGES.map(str::to_owned).into();
        lane.push(STAGE, InstalledPackages { node: name(), purpose: "packages", names });
        if node.nvidia_gpu_node {
            place_container_toolkit(node, control_plane, settings, lane);
        }
    }
}

fn place_driver(node: &Node, lane: &mut Lane) {
    let names = [String::from("ubuntu-drivers-common")].into();
    lane.push(STAGE, InstalledPackages { node: node.name.clone(), purpose: "gpu_packages", names });
    lane.push(STAGE, GpuDriverInstalled { node: node.name.clone() });
}

fn place_container_toolkit(node: &Node, control_plane: bool, settings: &Settings, lane: &mut Lane) {
    let base = &settings.nvidia_toolkit_url;
    let keyring = "/usr/share/keyrings/nvidia-container-toolkit-keyring.gpg";
    lane.push(
        STAGE,
        AptRepository {
            node: node.name.clone(),
            purpose: "gpu_repository",
            key_url: format!("{base}/gpgkey"),
            key_sha256: settings.nvidia_toolkit_key_sha256,
            keyring: keyring.to_owned(),
            list: "/etc/apt/sources.list.d/nvidia-container-toolkit.list".to_owned(),
            line: format!("deb [signed-by={keyring}] {base}/stable/deb/$(ARCH) /\n"),
        },
    );
    let names = [String::from("nvidia-container-toolkit")].into();
    lane.push(STAGE, InstalledPackages { node: node.name.clone(), purpose: "gpu_toolkit", names });
    // k3s does not start with a default runtime whose program is not there, so that comes first.
    lane.push(STAGE, NvidiaRuntime { node: node.name.clone() });
    let role = if control_plane { K3sRole::Server } else { K3sRole::Agent };
    lane.push(STAGE, UnitNewerThanFile { node: node.name.clone(), role, files: NvidiaRuntime::files() });
}
