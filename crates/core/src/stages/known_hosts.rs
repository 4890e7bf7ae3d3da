//! Stage `known_hosts`: the SSH identities of boards and nodes.

use super::Wanted;
use super::lanes::Lanes;
use crate::ids::{Label, StageName};
use crate::resources::{Host, KnownHost};
use crate::site::Board;

pub(super) fn place(wanted: &Wanted<'_>, lanes: &mut Lanes) {
    for board in wanted.boards() {
        place_board(wanted, lanes, board, StageName::KnownHosts);
    }
    for node in wanted.nodes().filter(|node| !node.connection.local) {
        let Some(lane) = lanes.node(&node.name) else { continue };
        let owner = Host::Node(node.name.clone());
        let entry = wanted.known_host(owner, &node.connection, &node.fingerprints);
        let made_at = node.flashable().map(|place| (place.board.clone(), place.slot));
        lane.push(StageName::KnownHosts, KnownHost { made_at, ..entry });
    }
}

/// A board's own identity: the flash needs it too, and first.
pub(super) fn place_board(wanted: &Wanted<'_>, lanes: &mut Lanes, board: &Board, stage: StageName) {
    if !lanes.first(Label::of(&board.name, "known_host")) {
        return;
    }
    let owner = Host::Bmc(board.name.clone());
    let entry = wanted.known_host(owner, &board.connection, &board.fingerprints);
    if let Some(lane) = lanes.board(&board.name) {
        lane.push(stage, entry);
    }
}
