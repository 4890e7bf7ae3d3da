//! Stage `flash`: operating systems on the boards' modules.

use std::collections::BTreeMap;

use super::Wanted;
use super::known_hosts::place_board;
use super::lanes::SiteLanes;
use super::usual;
use crate::engine::Need;
use crate::ids::{BoardName, StageName};
use crate::resources::{ProvisionedSlot, SlotOfNode, StagedImage, UsbMode};
use crate::site::{FlashTransport, Kind};

pub(super) fn place(wanted: &Wanted<'_>, lanes: &mut SiteLanes) {
    if !wanted.flashes() {
        return;
    }
    for board in wanted.boards() {
        place_board(wanted, lanes, board, StageName::Flash);
        if let Some(lane) = lanes.board(&board.name) {
            let cleared = lanes.push(lane, StageName::Flash, UsbMode { board: board.name.clone() }).id();
            lanes.usb_modes.insert(board.name.clone(), cleared);
        }
    }
    place_images(wanted, lanes);
    let settings = &wanted.site.settings;
    for (node, place) in wanted.modules() {
        let Some(image) = settings.image(node.kind) else { continue };
        let (usual_flash, usual_boot) = usual::flash(node.kind);
        let resource = ProvisionedSlot {
            slot: wanted.slot(node, place),
            image: image.clone(),
            cached: format!("{}/{}", wanted.options.cache, image.file_name()),
            staged: format!("{}/{}", settings.tpi_images_path, image.file_name()),
            transport: settings.flash_transport,
            account: settings.ansible_account.clone(),
            public_keys: settings.ssh_public_keys.clone(),
            known_hosts: settings.known_hosts.clone(),
            dialled: (node.connection.host.clone(), node.connection.port.value),
            control_plane: settings.control_plane.as_ref() == Some(&node.name),
            boot_within: settings.reboot_timeout,
            usual_flash,
            usual_boot,
        };
        let needs = [
            lanes.board_keys.get(&place.board),
            lanes.usb_modes.get(&place.board),
            lanes.images.get(&(place.board.clone(), node.kind)),
        ];
        let needs: Vec<Need> = needs.into_iter().flatten().copied().map(Need::Held).collect();
        if let Some(lane) = lanes.node(&node.name) {
            lanes.push(lane, StageName::Flash, resource).needing(needs);
        }
    }
}

/// One lane an image and board: both images come over the same uplink, and the one that more depends on goes first.
fn place_images(wanted: &Wanted<'_>, lanes: &mut SiteLanes) {
    let settings = &wanted.site.settings;
    if settings.flash_transport == FlashTransport::Stream {
        return;
    }
    let mut slots: BTreeMap<(BoardName, Kind), Vec<SlotOfNode>> = BTreeMap::new();
    for (node, place) in wanted.modules() {
        slots.entry((place.board.clone(), node.kind)).or_default().push(wanted.slot(node, place));
    }
    for ((board, kind), slots) in slots {
        let Some(image) = settings.image(kind) else { continue };
        let resource = StagedImage {
            kind: kind.word(),
            image: image.clone(),
            cached: format!("{}/{}", wanted.options.cache, image.file_name()),
            staged: format!("{}/{}", settings.tpi_images_path, image.file_name()),
            slots,
            board: board.clone(),
        };
        let board_key = lanes.board_keys.get(&board).copied();
        let lane = lanes.add_images_lane(&board, kind);
        let staged = lanes.push(lane, StageName::Flash, resource).needing(board_key.map(Need::Held)).id();
        lanes.images.insert((board, kind), staged);
    }
}
