//! A board's SD card holds the image that its modules will be flashed with.

use std::time::Duration;

use crate::contract::bmc::{ImageFile, SdCard, StageImage, UnpacksXz};
use crate::contract::controller::{Fetch, File};
use crate::contract::{Asked, Contract, Controller};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{BoardName, Label, Sha256, Span, Target};
use crate::resources::bmc::flash_condition::{Begin, SlotOfNode};
use crate::run::change::{Change, Diff, Reason};
use crate::run::fault::Fault;
use crate::site::Image;

/// The image for one kind of module on one board, if any of these slots needs it.
#[derive(Debug)]
pub struct StagedImage {
    /// The board.
    pub board: BoardName,
    /// `rk1` or `cm4`.
    pub kind: &'static str,
    /// The image.
    pub image: Image,
    /// Where the controller keeps what it fetched.
    pub cached: String,
    /// Where the BMC shall have it.
    pub staged: String,
    /// The slots that would be flashed with it.
    pub slots: Vec<SlotOfNode>,
}

/// What a look finds.
#[derive(Debug)]
pub struct Seen {
    needed: bool,
    /// `None`: no SD card is mounted.
    free: Option<u64>,
    /// The sum of what lies there.
    staged: Option<Sha256>,
    /// It is needed, and the BMC would write its compressed bytes to the module.
    stays_packed: bool,
}

impl Resource for StagedImage {
    type State = Seen;

    fn label(&self) -> Label {
        Label::of(&self.board, format_args!("{}_image", self.kind))
    }

    fn target(&self) -> Target {
        Target::Bmc(self.board.clone())
    }

    fn questions(&self) -> Vec<Asked> {
        vec![self.board.asks(SdCard {}), self.board.asks(ImageFile { path: self.staged.clone() })]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        let free = look.ask(&self.board, SdCard {}).await?.map(|card| card.free);
        let staged = look.ask(&self.board, ImageFile { path: self.staged.clone() }).await?.map(|file| file.sha256);
        let mut needed = false;
        for slot in &self.slots {
            let condition = slot.look(look).await?;
            needed |= matches!(slot.begin(&condition, self.image.sha256), Some(Begin::Erase));
        }
        let packed = needed && self.image.file_name().ends_with(".xz");
        let stays_packed = packed && look.ask(&self.board, UnpacksXz {}).await? == Some(false);
        Ok(Seen { needed, free, staged, stays_packed })
    }

    fn diff(&self, seen: &Seen) -> Diff {
        if seen.stays_packed {
            return Diff::Blocked(Reason::new(
                format!("the firmware of {} does not unpack xz: it would write the compressed bytes", self.board),
                "set flash_transport: stream, which unpacks on the controller, or update the firmware to 2.1.0 or later",
            ));
        }
        if !seen.needed || seen.staged == Some(self.image.sha256) {
            return Diff::InSync;
        }
        if seen.free.is_none() {
            return Diff::Blocked(Reason::new(
                format!("no SD card is mounted on {}", self.board),
                "put a card in and restart the BMC, or set flash_transport: stream",
            ));
        }
        let from = seen.staged.as_ref().map(|sha256| format!("sha256 {sha256}"));
        let to = format!("sha256 {}", self.image.sha256);
        Diff::Change(vec![Change { field: self.image.file_name().to_owned(), from, to }])
    }

    fn span(&self, _: &Seen) -> Option<Span> {
        Some(Span::Uplink(self.board.clone()))
    }

    async fn apply(&self, _: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        let (url, sha256) = (self.image.url.clone(), self.image.sha256);
        let (cached, to) = (self.cached.clone(), self.staged.clone());
        act.act(&self.board, StageImage { url, sha256, cached, to }).await?;
        Ok(Applied::Changed)
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(150)
    }

    fn estimate_in_span(&self) -> Duration {
        self.estimate()
    }
}

/// Brings an image to the controller, once, whoever needs it first.
pub(in crate::resources) async fn fetch(act: &Act<'_>, image: &Image, cached: &str) -> Result<(), Fault> {
    act.holding(Span::Image(image.sha256), async {
        let present = act.look().ask(&Controller, File { path: cached.to_owned() }).await?;
        if present.is_some_and(|file| file.sha256 == image.sha256) {
            return Ok(());
        }
        let (url, sha256, path) = (image.url.clone(), Some(image.sha256), cached.to_owned());
        act.act(&Controller, Fetch { url, sha256, member: None, path, mode: 0o644 }).await
    })
    .await
}
