//! Boards: their BMC's daemon through SSH, or `tpi` there; images, flashes, and the identity of what was flashed.

mod api;
mod api_reply;
mod board;
mod cloud;
mod controls;
mod error;
mod flash;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod line;
mod lock;
mod look;
mod query;
mod record;
mod seed;
mod stage;
mod tpi;
mod tpi_reply;
mod tunnel;
mod upload;

use bringup_core::contract::Contract;
use bringup_core::contract::bmc::{
    Action, Answer, ClearStoredUsbBoot, PowerOff, PowerOn, Question, RestartBmcDaemon, SeedCloudInit, StageImage,
    StartFlash, WriteFlashMark,
};
use bringup_core::contract::world::Progress;
use bringup_core::ids::{BoardName, Slot, Target};
use bringup_core::run::fault::Fault;
use bringup_core::site::Site;

use self::board::Bmc;
pub(crate) use self::board::Boards;
use self::error::BmcError;
use self::stage::Staging;
use crate::host;
use crate::ssh::Hosts;

/// Asks a BMC some questions.
pub(crate) async fn ask(
    hosts: &Hosts,
    boards: &Boards,
    board: &BoardName,
    questions: &[Question],
) -> Vec<Result<Answer, Fault>> {
    let target = board.target();
    let Some(bmc) = Bmc::of(hosts, boards, &target) else {
        return questions.iter().map(|question| Err(host::unknown(&target, question.to_string()))).collect();
    };
    let mut answers = Vec::with_capacity(questions.len());
    for question in questions {
        answers.push(match bmc.answer_or_revive(question).await {
            Ok(answer) => answer,
            Err(trouble) => Err(trouble.fault(&target, &question.to_string())),
        });
    }
    answers
}

/// Has a BMC act.
pub(crate) async fn act(
    hosts: &Hosts,
    boards: &Boards,
    site: &Site,
    board: &BoardName,
    action: &Action,
    progress: Progress<'_>,
) -> Result<(), Fault> {
    let target = board.target();
    let Some(bmc) = Bmc::of(hosts, boards, &target) else { return Err(host::unknown(&target, action.to_string())) };
    let mut done = bmc.act(site, action, progress).await;
    // It took no connection, so nothing of the action that it had to do was done.
    if matches!(done, Err(BmcError::Gone(_))) && bmc.revive().await {
        done = bmc.act(site, action, progress).await;
    }
    done.map_err(|trouble| trouble.fault(&target, &action.to_string()))
}

/// What a slot's serial console said last, at most 16 KiB, without what would move a terminal's cursor.
pub(crate) async fn console(hosts: &Hosts, boards: &Boards, target: &Target, slot: Slot) -> Result<String, Fault> {
    let doing = format!("read the console of slot {slot}");
    let Some(bmc) = Bmc::of(hosts, boards, target) else { return Err(host::unknown(target, doing)) };
    let said = async { bmc.controls().await?.console(slot).await }.await;
    said.map(|text| look::printable(&text)).map_err(|trouble| trouble.fault(target, &doing))
}

impl Bmc<'_> {
    /// The outer error is the board's trouble; what was seen from outside has a fault of its own.
    async fn answer_or_revive(&self, question: &Question) -> Result<Result<Answer, Fault>, BmcError> {
        match self.answer(question).await {
            Err(BmcError::Gone(_)) if self.revive().await => self.answer(question).await,
            answer => answer,
        }
    }

    async fn act(&self, site: &Site, action: &Action, progress: Progress<'_>) -> Result<(), BmcError> {
        // One writer a board, for as long as this run has anything to do with it.
        self.hold().await?;
        match action {
            Action::StageImage(StageImage { url, sha256, cached, to }) => {
                self.stage(Staging { url, sha256: *sha256, cached, to }, progress).await
            }
            Action::WriteFlashMark(WriteFlashMark { slot, mark, .. }) => {
                self.keep(&record::mark_name(*slot), &record::write_mark(mark)).await
            }
            Action::PowerOff(PowerOff { slot }) => self.power_off(*slot).await,
            Action::PowerOn(PowerOn { slot }) => self.power_on(*slot).await,
            Action::StartFlash(StartFlash { slot, order, source, sha256, .. }) => {
                self.works_on(*slot);
                self.start_flash(*slot, order, source, *sha256).await
            }
            Action::ClearStoredUsbBoot(ClearStoredUsbBoot { slot }) => {
                let controls = self.controls().await?;
                controls.store_usb_device(*slot).await?;
                controls.normal_mode(*slot).await
            }
            Action::RestartBmcDaemon(RestartBmcDaemon { slot }) => self.restart_daemon(*slot).await,
            Action::SeedCloudInit(SeedCloudInit { slot, seed, .. }) => {
                self.works_on(*slot);
                self.seed(site, *slot, seed).await
            }
        }
    }
}
