//! Stage `move_fs`: the root file system's move to the disk that the site names.

use super::Wanted;
use super::lanes::Lanes;
use crate::contract::Job;
use crate::ids::StageName;
use crate::resources::{CloudInitEnded, EarlierWorkEnded, RootDevice};

pub(super) fn place(wanted: &Wanted<'_>, lanes: &mut Lanes) {
    for node in wanted.nodes() {
        let Some(root_dev) = &node.root_dev else { continue };
        if let Some(lane) = lanes.node(&node.name) {
            let copy = Job::MoveRoot { disk: root_dev.clone() }.name();
            lane.push(StageName::MoveFs, EarlierWorkEnded { node: node.name.clone(), but: Some(copy) });
            lane.push(StageName::MoveFs, CloudInitEnded { node: node.name.clone() });
            let resource = RootDevice {
                node: node.name.clone(),
                kind: node.kind,
                root_dev: root_dev.clone(),
                workstation: node.workstation || node.connection.local,
                reboot_within: wanted.site.settings.reboot_timeout,
            };
            let placed = lane.push(StageName::MoveFs, resource);
            if wanted.control_plane().is_some_and(|control_plane| control_plane.name == node.name) {
                // The control plane last: the others' maintenance needs its API.
                let others = wanted.nodes().filter(|other| other.name != node.name && other.root_dev.is_some());
                placed.yielding_to(others.map(|other| RootDevice::label_of(&other.name)));
            }
        }
    }
}
