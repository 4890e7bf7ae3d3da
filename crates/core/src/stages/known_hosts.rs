//! Stage `known_hosts`: the SSH identities of boards and nodes.

use super::Wanted;
use super::lanes::SiteLanes;
use crate::ids::StageName;
use crate::resources::{Host, KnownHost};
use crate::site::Board;

pub(super) fn place(wanted: &Wanted<'_>, lanes: &mut SiteLanes) {
    for board in wanted.boards() {
        place_board(wanted, lanes, board, StageName::KnownHosts);
    }
    for node in wanted.nodes().filter(|node| !node.connection.local) {
        let Some(lane) = lanes.node(&node.name) else { continue };
        let owner = Host::Node(node.name.clone());
        let entry = wanted.known_host(owner, &node.connection, &node.fingerprints);
        let made_at = node.flashable().map(|place| (place.board.clone(), place.slot));
        lanes.push(lane, StageName::KnownHosts, KnownHost { made_at, ..entry });
    }
}

/// A board's own identity: the flash needs it too, and first.
pub(super) fn place_board(wanted: &Wanted<'_>, lanes: &mut SiteLanes, board: &Board, stage: StageName) {
    let Some(lane) = lanes.board(&board.name).filter(|_| !lanes.board_keys.contains_key(&board.name)) else { return };
    let owner = Host::Bmc(board.name.clone());
    let entry = wanted.known_host(owner, &board.connection, &board.fingerprints);
    let recorded = lanes.push(lane, stage, entry).id();
    lanes.board_keys.insert(board.name.clone(), recorded);
}
