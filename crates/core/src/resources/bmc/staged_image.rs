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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{SdCardState, bmc};
    use crate::resources::bmc::samples::{STAGED, answers, board, image, slot_of_node, staged, world};
    use crate::resources::scripted::check;

    #[test]
    fn an_image_is_put_on_the_card_where_a_slot_needs_it() {
        let resource = |slots: Vec<SlotOfNode>| StagedImage {
            board: board(),
            kind: "rk1",
            image: image(),
            cached: "/cache/rk1.img.xz".to_owned(),
            staged: STAGED.to_owned(),
            slots,
        };
        let card = |free: Option<u64>| says!(board(), SdCard {} => free.map(|free| SdCardState { free }));
        let unpacks = |unpacks| says!(board(), UnpacksXz {} => unpacks);
        let script = |there: Option<&str>| world().with([card(Some(1 << 34)), staged(there), unpacks(Some(true))]);
        let same = &["in sync"][..];
        let put = &[
            "take board1/uplink",
            "board1: put the image at /mnt/sdcard/rk1.img.xz",
            "release board1/uplink",
            "changed",
        ][..];
        let sum = image().sha256;
        let add = format!("rk1.img.xz: + sha256 {sum}");
        let other = format!("rk1.img.xz: sha256 {} → sha256 {sum}", Sha256::of("other"));
        let no_card = "blocked: no SD card is mounted on board1";
        let packed = "blocked: the firmware of board1 does not unpack xz: it would write the compressed bytes";
        let one = || vec![slot_of_node(false)];
        for (what, slots, script, plan, run) in [
            ("absent", one(), script(None), &[add.as_str()][..], put),
            ("another", one(), script(Some("other")), &[&other], put),
            ("there", one(), script(Some("image")), same, same),
            ("no slot", vec![], script(None), same, same),
            ("a slot that lives", one(), script(None).with([answers(true)]), same, same),
            ("a slot that lives, forced", vec![slot_of_node(true)], script(None).with([answers(true)]), &[&add], put),
            ("no card", one(), script(None).with([card(None)]), &[no_card], &[no_card]),
            ("no card, and no slot", vec![], script(None).with([card(None)]), same, same),
            // It would be written as it is, also where it is there already.
            ("an old firmware", one(), script(Some("image")).with([unpacks(Some(false))]), &[packed], &[packed]),
            ("an old firmware, and no slot", vec![], script(None).with([unpacks(Some(false))]), same, same),
            ("a firmware that does not tell", one(), script(None).with([unpacks(None)]), &[&add], put),
        ] {
            let script = script.once("put the image at /mnt/sdcard/rk1.img.xz", [staged(Some("image"))]);
            let told = check(what, resource(slots), script, plan, run);
            for action in told.done::<BoardName>() {
                let bmc::Action::StageImage(stage) = action else { panic!("{what}: {action}") };
                assert_eq!((&stage.url, stage.sha256), (&image().url, sum), "{what}");
            }
        }
    }
}
