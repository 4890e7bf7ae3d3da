//! The lanes of a site while the stages fill them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Options;
use crate::engine::resource::Resource;
use crate::engine::{LaneId, Lanes, Placed, StepId};
use crate::ids::{BoardName, Label, NodeName, StageName};
use crate::resources::{Host, KnownHost, SlotOfNode};
use crate::site::{Board, Connection, Kind, Node, Place, Scope, Site};
use crate::text::known_hosts::host_pattern;

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

    /// The machines in scope, nodes of the cluster or not, in the site's order.
    fn machines(&self) -> impl Iterator<Item = &'a Node> + use<'a> {
        let scope = self.scope;
        self.site.nodes.iter().filter(|node| scope.nodes.contains(&node.name))
    }

    /// The nodes of the cluster that are in scope, in the site's order.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &'a Node> + use<'a> {
        self.machines().filter(|node| node.is_member)
    }

    /// The boards in scope, in the site's order.
    pub(super) fn boards(&self) -> impl Iterator<Item = &'a Board> + use<'a> {
        let scope = self.scope;
        self.site.boards.iter().filter(|board| scope.boards.contains(&board.name))
    }

    /// The modules in scope of a kind that can be flashed. One that becomes no node is flashed all the same.
    pub(super) fn modules(&self) -> impl Iterator<Item = (&'a Node, &'a Place)> + use<'a> {
        self.machines().filter_map(|node| node.flashable().map(|place| (node, place)))
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
                .then(|| host_pattern(&node.connection.host, node.connection.port.value)),
            force: self.site.settings.flash_force,
        }
    }

    /// The known_hosts entry of a host.
    pub(super) fn known_host(&self, owner: Host, connection: &Connection, pinned: &[String]) -> KnownHost {
        KnownHost {
            leads_to_cluster: self.control_plane().is_some_and(|node| owner == Host::Node(node.name.clone())),
            owner,
            host: connection.host.clone(),
            port: connection.port.value,
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

/// The lanes of a site while the stages fill them, and what stages need of each other's steps. What is out of scope is not
/// there, and nobody waits for it: the look itself then tells.
pub struct SiteLanes {
    lanes: Lanes,
    ranks: BTreeMap<LaneId, Rank>,
    boards: BTreeMap<BoardName, LaneId>,
    nodes: BTreeMap<NodeName, LaneId>,
    cluster: LaneId,
    /// Each board's recorded host key. Two stages want it; it is placed once.
    pub board_keys: BTreeMap<BoardName, StepId>,
    /// Each board's stored USB mode.
    pub usb_modes: BTreeMap<BoardName, StepId>,
    /// Each board's staged images.
    pub images: BTreeMap<(BoardName, Kind), StepId>,
    /// The tool.
    pub helm: Option<StepId>,
    /// k3s on the control plane.
    pub server: Option<StepId>,
    /// The copy of sealed-secrets' keys that is made before k3s is installed again.
    pub sealed_keys: Option<StepId>,
}

/// The groups in which lanes are shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Controller,
    Board,
    Image,
    Node,
    Cluster,
}

impl SiteLanes {
    /// The empty lanes of what is in scope.
    pub fn of(wanted: &Wanted<'_>) -> Self {
        let mut lanes = Lanes::default();
        let boards = wanted.boards().map(|board| (board.name.clone(), lanes.add(Label::new(board.name.as_str()))));
        let boards: BTreeMap<_, _> = boards.collect();
        let nodes = wanted.machines().map(|node| (node.name.clone(), lanes.add(Label::new(node.name.as_str()))));
        let nodes: BTreeMap<_, _> = nodes.collect();
        let cluster = lanes.add(Label::new("cluster"));
        let mut ranks: BTreeMap<LaneId, Rank> = boards.values().map(|lane| (*lane, Rank::Board)).collect();
        ranks.extend(nodes.values().map(|lane| (*lane, Rank::Node)));
        ranks.insert(cluster, Rank::Cluster);
        Self {
            lanes,
            ranks,
            boards,
            nodes,
            cluster,
            board_keys: BTreeMap::new(),
            usb_modes: BTreeMap::new(),
            images: BTreeMap::new(),
            helm: None,
            server: None,
            sealed_keys: None,
        }
    }

    fn add(&mut self, name: Label, rank: Rank) -> LaneId {
        let lane = self.lanes.add(name);
        self.ranks.insert(lane, rank);
        lane
    }

    /// Adds a lane of the controller, for one thing that needs nothing of its others: what cannot be fetched holds up
    /// nobody who does not need it.
    pub fn add_controller_lane(&mut self, what: &str) -> LaneId {
        self.add(Label::of("tools", what), Rank::Controller)
    }

    /// Adds a lane for the images of one kind on one board.
    pub fn add_images_lane(&mut self, board: &BoardName, kind: Kind) -> LaneId {
        self.add(Label::of(board, format_args!("{}_images", kind.word())), Rank::Image)
    }

    /// The cluster's lane.
    pub fn cluster(&self) -> LaneId {
        self.cluster
    }

    /// A board's lane; `None` if the board is out of scope.
    pub fn board(&self, board: &BoardName) -> Option<LaneId> {
        self.boards.get(board).copied()
    }

    /// A node's lane; `None` if the node is out of scope.
    pub fn node(&self, node: &NodeName) -> Option<LaneId> {
        self.nodes.get(node).copied()
    }

    /// Puts a step at the end of a lane.
    pub fn push(&mut self, lane: LaneId, stage: StageName, resource: impl Resource + 'static) -> &mut Placed {
        self.lanes.push(lane, stage, resource)
    }

    /// A step that was placed before.
    pub fn placed(&mut self, step: StepId) -> &mut Placed {
        self.lanes.placed(step)
    }

    /// All of them: those of the controller first, then boards, images, nodes, and the cluster's last.
    pub fn finish(mut self) -> Lanes {
        self.lanes.sort_by_rank(|lane| self.ranks.get(&lane).copied());
        self.lanes
    }
}
