//! Boards: their BMC's daemon through SSH, or `tpi` there; images, flashes, and the identity of what was flashed.

mod api;
mod api_reply;
mod board;
mod cloud;
mod controls;
mod flash;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod keys;
mod line;
mod lock;
mod look;
mod query;
mod record;
mod seed;
mod stage;
mod tpi;
mod tpi_reply;
mod trouble;
mod tunnel;
mod upload;

use bringup_core::deed::{Deed, Reply};
use bringup_core::fault::Fault;
use bringup_core::ids::{Slot, Target};
use bringup_core::probe::{Answer, Probe};
use bringup_core::site::Site;
use bringup_core::world::Progress;

use self::board::Bmc;
pub(crate) use self::board::Boards;
use self::stage::Staging;
use self::trouble::Trouble;
use crate::host;
use crate::not_built;
use crate::ssh::Hosts;

/// Asks a BMC some questions.
pub(crate) async fn ask(
    hosts: &Hosts,
    boards: &Boards,
    target: &Target,
    probes: &[Probe],
) -> Vec<Result<Answer, Fault>> {
    let mut answers = Vec::with_capacity(probes.len());
    for probe in probes {
        let doing = || format!("ask for {}", probe.word());
        let Some(bmc) = Bmc::of(hosts, boards, target) else {
            answers.push(Err(not_built::fault(target, doing())));
            continue;
        };
        answers.push(match host::outside(hosts, target, bmc.connection, probe).await {
            Some(answer) => answer,
            None => match bmc.answer_or_revive(probe).await {
                Ok(Some(answer)) => Ok(answer),
                Ok(None) => Err(not_built::fault(target, doing())),
                Err(trouble) => Err(trouble.fault(target, &doing())),
            },
        });
    }
    answers
}

/// Brings a deed about on a board.
pub(crate) async fn act(
    hosts: &Hosts,
    boards: &Boards,
    site: &Site,
    target: &Target,
    deed: &Deed,
    progress: Progress<'_>,
) -> Result<Reply, Fault> {
    let Some(bmc) = Bmc::of(hosts, boards, target) else {
        return Err(not_built::fault(target, deed.to_string()));
    };
    let mut done = bmc.act(site, deed, progress).await;
    // It took no connection, so nothing of the deed that it had to do was done.
    if matches!(done, Err(Trouble::Gone(_))) && bmc.revive().await {
        done = bmc.act(site, deed, progress).await;
    }
    match done {
        Ok(Some(reply)) => Ok(reply),
        Ok(None) => Err(not_built::fault(target, deed.to_string())),
        Err(trouble) => Err(trouble.fault(target, &deed.to_string())),
    }
}

/// What a slot's serial console said last, at most 16 KiB, without what would move a terminal's cursor.
pub(crate) async fn console(hosts: &Hosts, boards: &Boards, target: &Target, slot: Slot) -> Result<String, Fault> {
    let doing = format!("read the console of slot {slot}");
    let Some(bmc) = Bmc::of(hosts, boards, target) else { return Err(not_built::fault(target, doing)) };
    let said = async { bmc.controls().await?.console(slot).await }.await;
    said.map(|text| look::printable(&text)).map_err(|trouble| trouble.fault(target, &doing))
}

impl Bmc<'_> {
    async fn answer_or_revive(&self, probe: &Probe) -> Result<Option<Answer>, Trouble> {
        match self.answer(probe).await {
            Err(Trouble::Gone(_)) if self.revive().await => self.answer(probe).await,
            answer => answer,
        }
    }

    /// `None`: this is no deed for a BMC.
    async fn act(&self, site: &Site, deed: &Deed, progress: Progress<'_>) -> Result<Option<Reply>, Trouble> {
        // One writer a board, for as long as this run has anything to do with it.
        self.hold().await?;
        if let Deed::StartFlash { slot, .. } | Deed::SeedCloudInit { slot, .. } = deed {
            self.works_on(*slot);
        }
        match deed {
            Deed::StageImage { url, sha256, cached, to } => {
                self.stage(Staging { url, sha256: *sha256, cached, to }, progress).await?;
            }
            Deed::WriteFlashMark { slot, mark } => {
                self.keep(&record::mark_name(*slot), &record::write_mark(mark)).await?;
            }
            Deed::PowerOff { slot } => self.power_off(*slot).await?,
            Deed::PowerOn { slot } => self.power_on(*slot).await?,
            Deed::StartFlash { slot, order, source, sha256, .. } => {
                self.start_flash(*slot, order, source, *sha256).await?;
            }
            Deed::ClearStoredUsbBoot { slot } => {
                let controls = self.controls().await?;
                controls.store_usb_device(*slot).await?;
                controls.normal_mode(*slot).await?;
            }
            Deed::RestartBmcDaemon { slot } => self.restart_daemon(*slot).await?,
            Deed::SeedCloudInit { slot, seed } => {
                return self.seed(site, *slot, seed).await.map(|key| Some(Reply::HostKey(key)));
            }
            _ => return Ok(None),
        }
        Ok(Some(Reply::Done))
    }
}
