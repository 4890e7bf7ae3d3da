//! Stage `move_fs`: the root file system's move to the disk that the site names.

use super::Wanted;
use super::lanes::SiteLanes;
use crate::contract::Job;
use crate::ids::StageName;
use crate::resources::{CloudInitEnded, EarlierWorkEnded, RootDevice};

pub(super) fn place(wanted: &Wanted<'_>, lanes: &mut SiteLanes) {
    let (mut control_plane, mut others) = (None, Vec::new());
    for node in wanted.nodes() {
        let Some(root_dev) = &node.root_dev else { continue };
        if let Some(lane) = lanes.node(&node.name) {
            let copy = Job::MoveRoot { disk: root_dev.clone() }.name();
            lanes.push(lane, StageName::MoveFs, EarlierWorkEnded { node: node.name.clone(), but: Some(copy) });
            lanes.push(lane, StageName::MoveFs, CloudInitEnded { node: node.name.clone() });
            let resource = RootDevice {
                node: node.name.clone(),
                kind: node.kind,
                root_dev: root_dev.clone(),
                workstation: node.workstation || node.connection.local,
                reboot_within: wanted.site.settings.reboot_timeout,
            };
            let moved = lanes.push(lane, StageName::MoveFs, resource).id();
            if wanted.control_plane().is_some_and(|control_plane| control_plane.name == node.name) {
                control_plane = Some(moved);
            } else {
                others.push(moved);
            }
        }
    }
    // The control plane last: the others' maintenance needs its API.
    if let Some(control_plane) = control_plane {
        lanes.placed(control_plane).after(others);
    }
}
