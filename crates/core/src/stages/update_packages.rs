//! Stage `update_packages`: packages, drivers and reboots.

use super::Wanted;
use super::lanes::Lanes;
use super::usual;
use crate::engine::Lane;
use crate::ids::{Label, StageName, Target};
use crate::probe::K3sRole;
use crate::resources::{
    AptRepository, CloudInitEnded, EarlierWorkEnded, GpuDriverInstalled, InstalledPackages, ManagedFile, PackageUpkeep,
    Rebooted, UnitNewerThanFile, Upkeep,
};
use crate::site::{Node, Settings};
use crate::version::Version;

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
    let (path, text) = containerd_template(&settings.k3s_version.value);
    let target = Target::Node(node.name.clone());
    let file = path.clone();
    lane.push(STAGE, ManagedFile { target, purpose: "containerd_template", path, text, mode: 0o644 });
    let unit = if control_plane { K3sRole::Server } else { K3sRole::Agent }.unit();
    lane.push(STAGE, UnitNewerThanFile { node: node.name.clone(), unit, file });
}

/// The template that makes the NVIDIA runtime the default. From 1.32 on k3s ships containerd 2, which reads another
/// file and another schema.
fn containerd_template(k3s_version: &Version) -> (String, String) {
    let (file, plugin) = if k3s_version.minor() >= (1, 32) {
        ("config-v3.toml.tmpl", "io.containerd.cri.v1.runtime")
    } else {
        ("config.toml.tmpl", "io.containerd.grpc.v1.cri")
    };
    let runtime = format!("[plugins.'{plugin}'.containerd.runtimes.'nvidia'");
    let text = format!(
        "{{{{ template \"base\" . }}}}\n\n\
         [plugins.'{plugin}'.containerd]\n  default_runtime_name = \"nvidia\"\n\n\
         {runtime}]\n  runtime_type = \"io.containerd.runc.v2\"\n\n\
         {runtime}.options]\n  BinaryName = \"/usr/bin/nvidia-container-runtime\"\n  SystemdCgroup = true\n"
    );
    (format!("/var/lib/rancher/k3s/agent/etc/containerd/{file}"), text)
}

#[cfg(test)]
mod tests {
    use super::containerd_template;
    use crate::version::Version;

    #[test]
    fn the_template_follows_the_version() {
        for (version, file) in [
            ("v1.31.9+k3s1", "config.toml.tmpl"),
            ("v1.32.0+k3s1", "config-v3.toml.tmpl"),
            ("v1.33.6+k3s1", "config-v3.toml.tmpl"),
        ] {
            assert!(
                containerd_template(&Version::parse(version).unwrap()).0.ends_with(&format!("/{file}")),
                "{version}"
            );
        }
    }
}
