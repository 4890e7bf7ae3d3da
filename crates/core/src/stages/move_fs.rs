//! Stage `move_fs`: the root file system's move to the disk that the site names.

use super::Wanted;
use super::lanes::Lanes;
use crate::names::StageName;
use crate::resources::RootDevice;

pub(super) fn place(wanted: &Wanted<'_>, lanes: &mut Lanes) {
    for node in wanted.nodes() {
        if let (Some(root_dev), Some(lane)) = (&node.root_dev, lanes.node(&node.name)) {
            lane.push(
                StageName::MoveFs,
                RootDevice { node: node.name.clone(), kind: node.kind, root_dev: root_dev.clone() },
            );
        }
    }
}
