//! The slot of the tables: slot 1 of board1, with node01 in it.

use crate::contract::bmc::{FlashJob, FlashMark, ImageFile, ImageIsFit, ImageSource, SlotPower, WaitingModules};
use crate::contract::cluster::KubeNode;
use crate::contract::controller::Remembered;
use crate::contract::node::{Addresses, SshBanner};
use crate::contract::{
    Cluster, Controller, FlashJobState, FlashMarkState, FlashPhase, JobPhase, KubeNodeState, RememberedState,
};
use crate::ids::{BoardName, Sha256, Slot};
use crate::resources::bmc::flash_condition::SlotOfNode;
use crate::resources::scripted::{Fact, Script, file, node01};
use crate::run::hazard::Liveness;
use crate::site::Image;
use crate::text::known_hosts::HostKey;

pub(super) const STAGED: &str = "/mnt/sdcard/rk1.img.xz";

pub(super) fn board() -> BoardName {
    BoardName::new("board1")
}

pub(super) fn slot() -> Slot {
    Slot::new(1).unwrap()
}

pub(super) fn slot_of_node(force: bool) -> SlotOfNode {
    SlotOfNode { node: node01(), board: board(), slot: slot(), known_as: Some("node01".to_owned()), force }
}

pub(super) fn image() -> Image {
    Image { url: "https://a.example/rk1.img.xz".to_owned(), sha256: Sha256::of("image") }
}

/// The key that is made for the node.
pub(super) fn made_key() -> HostKey {
    HostKey::ed25519(&[1; 32])
}

/// The mark of a flash that this run began, or an earlier one.
pub(super) fn mark(phase: FlashPhase, run: &str) -> FlashMarkState {
    FlashMarkState {
        node: node01(),
        phase,
        was: Liveness::Idle,
        image_sha256: image().sha256,
        instance_id: format!("node01-{run}"),
        host_key: (phase >= FlashPhase::Seeded).then(made_key),
        run: run.to_owned(),
    }
}

pub(super) fn marked(mark: Option<FlashMarkState>) -> Fact {
    says!(board(), FlashMark { slot: slot() } => mark)
}

/// The transfer that was begun for a run's mark.
pub(super) fn transfer(phase: JobPhase, run: &str) -> FlashJobState {
    let order = Some(format!("node01-{run}"));
    let said = vec!["its last line".to_owned()];
    FlashJobState { slot: slot(), order, phase, done: Some(1), total: 2, said, failure: None }
}

pub(super) fn powered(on: bool) -> Fact {
    says!(board(), SlotPower { slot: slot() } => on)
}

pub(super) fn answers(ssh: bool) -> Fact {
    says!(node01(), SshBanner {} => ssh)
}

pub(super) fn kube(state: Option<KubeNodeState>) -> Fact {
    says!(Cluster, KubeNode { name: node01() } => state.clone())
}

pub(super) fn staged(text: Option<&str>) -> Fact {
    says!(board(), ImageFile { path: STAGED.to_owned() } => text.map(|text| file(text, 0o644)))
}

/// A slot that is off, in a site that knows nothing of its node, with the image on the card.
pub(super) fn world() -> Script {
    let names = vec!["node01".to_owned()];
    let fit = ImageIsFit { source: ImageSource::Staged(STAGED.to_owned()), sha256: image().sha256 };
    Script::new([
        marked(None),
        says!(board(), FlashJob {} => None),
        powered(false),
        answers(false),
        kube(None),
        staged(Some("image")),
        says!(board(), WaitingModules {} => Vec::new()),
        says!(board(), fit => ()),
        says!(node01(), Addresses {} => vec!["10.0.0.1".to_owned()]),
        says!(Controller, Remembered { node: node01(), names: names.clone() } => RememberedState::default()),
    ])
}
