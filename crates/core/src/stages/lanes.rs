//! The lanes of a site while the stages fill them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::Options;
use crate::engine::Lane;
use crate::ids::{BoardName, Label, NodeName};
use crate::known_hosts::host_pattern;
use crate::resources::{Host, KnownHost, SlotOfNode};
use crate::site::{Board, Connection, Node, Place, Scope, Site};

/// What a stage is given.
pub struct Wanted<'a> {
    /// What should be.
    pub site: &'a Site,
    /// What of it this run is about.
    pub scope: &'a Scope,
    /// The rest.
    pub options: &'a Options,
}

impl<'a> Wanted<'a> {
    /// Where copies of sealed-secrets' keys are on the controller: not in the cache, which is emptied now and then.
    pub(super) fn sealed_keys(&self) -> String {
        format!("{}/{}", self.options.data, self.site.name)
    }

    /// The nodes in scope, in the site's order.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &'a Node> + use<'a> {
        let scope = self.scope;
        self.site.nodes.iter().filter(|node| scope.nodes.contains(&node.name))
    }

    /// The boards in scope, in the site's order.
    pub(super) fn boards(&self) -> impl Iterator<Item = &'a Board> + use<'a> {
        let scope = self.scope;
        self.site.boards.iter().filter(|board| scope.boards.contains(&board.name))
    }

    /// The nodes in scope that are modules of a kind that can be flashed.
    pub(super) fn modules(&self) -> impl Iterator<Item = (&'a Node, &'a Place)> + use<'a> {
        self.nodes().filter_map(|node| node.flashable().map(|place| (node, place)))
    }

    /// Whether the flash stage has anything to do at all.
    pub(super) fn flashes(&self) -> bool {
        let settings = &self.site.settings;
        settings.do_flash || settings.flash_force
    }

    /// A module's slot.
    pub(super) fn slot(&self, node: &Node, place: &Place) -> SlotOfNode {
        SlotOfNode {
            node: node.name.clone(),
            board: place.board.clone(),
            slot: place.slot,
            known_as: node
                .connection
                .host
                .parse::<IpAddr>()
                .is_err()
                .then(|| host_pattern(&node.connection.host, node.connection.port)),
            force: self.site.settings.flash_force,
        }
    }

    /// The known_hosts entry of a host.
    pub(super) fn known_host(&self, owner: Host, connection: &Connection, pinned: &[String]) -> KnownHost {
        KnownHost {
            leads_to_cluster: self.control_plane().is_some_and(|node| owner == Host::Node(node.name.clone())),
            owner,
            host: connection.host.clone(),
            port: connection.port,
            file: self.site.settings.known_hosts.clone(),
            pinned: pinned.to_vec(),
            made_at: None,
            accept_changed: self.options.accept_changed_host_keys,
        }
    }

    /// The control plane's name, if the site has one.
    pub(super) fn control_plane(&self) -> Option<&'a Node> {
        self.site.control_plane()
    }
}

/// The lanes of a site: those of the controller first, then boards, images, nodes, and the cluster's last.
pub struct Lanes {
    controller: Vec<Lane>,
    boards: Vec<Lane>,
    images: Vec<Lane>,
    nodes: Vec<Lane>,
    cluster: Lane,
    board_index: BTreeMap<BoardName, usize>,
    node_index: BTreeMap<NodeName, usize>,
    placed: BTreeSet<Label>,
}

impl Lanes {
    /// The empty lanes of what is in scope.
    pub fn of(wanted: &Wanted<'_>) -> Self {
        let boards: Vec<Lane> = wanted.boards().map(|board| Lane::new(Label::new(board.name.as_str()))).collect();
        let nodes: Vec<Lane> = wanted.nodes().map(|node| Lane::new(Label::new(node.name.as_str()))).collect();
        Self {
            controller: Vec::new(),
            boards,
            images: Vec::new(),
            nodes,
            cluster: Lane::new(Label::new("cluster")),
            board_index: wanted.boards().enumerate().map(|(index, board)| (board.name.clone(), index)).collect(),
            node_index: wanted.nodes().enumerate().map(|(index, node)| (node.name.clone(), index)).collect(),
            placed: BTreeSet::new(),
        }
    }

    /// Adds a lane of the controller, for one thing that needs nothing of its others: what cannot be fetched holds up
    /// nobody who does not need it.
    pub fn add_controller_lane(&mut self, what: &str) -> &mut Lane {
        let at = self.controller.len();
        self.controller.push(Lane::new(Label::of("tools", what)));
        &mut self.controller[at]
    }

    /// The cluster's lane.
    pub fn cluster(&mut self) -> &mut Lane {
        &mut self.cluster
    }

    /// A board's lane; `None` if the board is out of scope.
    pub fn board(&mut self, board: &BoardName) -> Option<&mut Lane> {
        self.board_index.get(board).map(|index| &mut self.boards[*index])
    }

    /// A node's lane; `None` if the node is out of scope.
    pub fn node(&mut self, node: &NodeName) -> Option<&mut Lane> {
        self.node_index.get(node).map(|index| &mut self.nodes[*index])
    }

    /// A lane for one image on one board.
    pub fn image(&mut self, label: Label) -> &mut Lane {
        let at = self.images.len();
        self.images.push(Lane::new(label));
        &mut self.images[at]
    }

    /// Whether something is placed for the first time: two stages may want the same.
    pub fn first(&mut self, label: Label) -> bool {
        self.placed.insert(label)
    }

    /// The nodes' lanes by name.
    pub fn node_labels(&self) -> Vec<Label> {
        self.nodes.iter().map(|lane| lane.label().clone()).collect()
    }

    /// All lanes that hold a step.
    pub fn into_vec(self) -> Vec<Lane> {
        let all = [self.controller, self.boards, self.images, self.nodes, vec![self.cluster]];
        all.into_iter().flatten().filter(|lane| !lane.is_empty()).collect()
    }
}
