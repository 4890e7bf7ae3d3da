//! Stage `update_packages`: packages, drivers and reboots.

use super::Wanted;
use super::lanes::SiteLanes;
use super::usual;
use crate::contract::K3sRole;
use crate::engine::{LaneId, StepId};
use crate::ids::StageName;
use crate::resources::{
    AptRepository, CloudInitEnded, EarlierWorkEnded, GpuDriverInstalled, InstalledPackages, NvidiaRuntime,
    PackageUpkeep, Rebooted, UnitNewerThanFile, Upkeep,
};
use crate::site::{Node, Settings};

const STAGE: StageName = StageName::UpdatePackages;

/// What every node has: `open-iscsi` for Longhorn's volumes, `original-awk` for scripts around k3s.
const PACKAGES: [&str; 3] = ["unattended-upgrades", "open-iscsi", "original-awk"];

pub(super) fn place(wanted: &Wanted<'_>, lanes: &mut SiteLanes) {
    let settings = &wanted.site.settings;
    let (mut control_plane_reboot, mut other_reboots) = (None, Vec::new());
    for node in wanted.nodes() {
        let control_plane = settings.control_plane.as_ref() == Some(&node.name);
        let Some(lane) = lanes.node(&node.name) else { continue };
        let name = || node.name.clone();
        let upkeep = |upkeep| PackageUpkeep { node: name(), upkeep, usual: usual::upkeep(upkeep, node.kind) };
        // With `move_fs` before it, that has been seen to.
        if !(node.root_dev.is_some() && wanted.scope.stages.contains(&StageName::MoveFs)) {
            lanes.push(lane, STAGE, EarlierWorkEnded { node: name(), but: None });
            lanes.push(lane, STAGE, CloudInitEnded { node: name() });
        }
        let configured = lanes.push(lane, STAGE, upkeep(Upkeep::Configured)).id();
        let upgraded = lanes.push(lane, STAGE, upkeep(Upkeep::Upgraded)).known_after([configured]).id();
        let driver = node.nvidia_gpu_node.then(|| place_driver(node, lane, lanes));
        let usual = usual::reboot(node.kind);
        let within = settings.reboot_timeout;
        let workstation = node.workstation || node.connection.local;
        let reboot = lanes.push(lane, STAGE, Rebooted { node: name(), workstation, usual, within });
        let reboot = reboot.known_after([upgraded]).known_after(driver).id();
        if control_plane {
            control_plane_reboot = Some(reboot);
        } else {
            other_reboots.push(reboot);
        }
        lanes.push(lane, STAGE, upkeep(Upkeep::Autoremoved)).known_after([upgraded]);
        let names = PACKAGES.map(str::to_owned).into();
        lanes.push(lane, STAGE, InstalledPackages { node: name(), purpose: "packages", names });
        if node.nvidia_gpu_node {
            place_container_toolkit(node, control_plane, settings, lane, lanes);
        }
    }
    // The control plane last: the others' maintenance needs its API.
    if let Some(reboot) = control_plane_reboot {
        lanes.placed(reboot).after(other_reboots);
    }
}

/// The step that installs the driver.
fn place_driver(node: &Node, lane: LaneId, lanes: &mut SiteLanes) -> StepId {
    let names = [String::from("ubuntu-drivers-common")].into();
    lanes.push(lane, STAGE, InstalledPackages { node: node.name.clone(), purpose: "gpu_packages", names });
    lanes.push(lane, STAGE, GpuDriverInstalled { node: node.name.clone() }).id()
}

fn place_container_toolkit(node: &Node, control_plane: bool, settings: &Settings, lane: LaneId, lanes: &mut SiteLanes) {
    let base = &settings.nvidia_toolkit_url;
    let keyring = "/usr/share/keyrings/nvidia-container-toolkit-keyring.gpg";
    lanes.push(
        lane,
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
    lanes.push(lane, STAGE, InstalledPackages { node: node.name.clone(), purpose: "gpu_toolkit", names });
    // k3s does not start with a default runtime whose program is not there, so that comes first.
    lanes.push(lane, STAGE, NvidiaRuntime { node: node.name.clone() });
    let role = if control_plane { K3sRole::Server } else { K3sRole::Agent };
    lanes.push(lane, STAGE, UnitNewerThanFile { node: node.name.clone(), role, files: NvidiaRuntime::files() });
}
