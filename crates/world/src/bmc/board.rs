//! A board as this run knows it: which way it is spoken to, that we hold it, what we are sending to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bringup_core::ids::{Sha256, Slot, Target};
use bringup_core::site::{BmcInterface, Connection};
use tokio::time::{Instant, sleep};

use super::api::Api;
use super::api_reply::{self, Versions};
use super::controls::Controls;
use super::error::{BmcError, RESTART_IT};
use super::line::Port;
use super::lock::{self, Holder};
use super::query;
use super::tpi::Tpi;
use super::upload::Upload;
use crate::shell::{Section, bmc};
use crate::ssh::{Failure, Hold, Hosts, Session};
use crate::web::Arrivals;

/// How long a slot without power is left so, for its module to lose what it holds.
const SETTLE: Duration = Duration::from_secs(2);
/// One that dies again this soon is left to its operator.
const REVIVED_PAUSE: Duration = Duration::from_secs(300);
/// After how long bmcd has stored which slots have power, and has set them so after its start (bmcd issue 90: 3 s).
const STORED_AFTER: Duration = Duration::from_secs(4);
/// How long a daemon may take to come back.
const RESTART_BOUND: Duration = Duration::from_secs(45);

/// The boards of a site.
#[derive(Debug)]
pub(crate) struct Boards {
    interface: BmcInterface,
    /// Directory on the BMCs for images.
    pub(super) images: String,
    /// Images on their way to the controller.
    pub(super) arrivals: Arrivals,
    holder: Holder,
    boards: Mutex<BTreeMap<Target, Arc<Board>>>,
}

/// The way to a BMC.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Way {
    pub by: By,
    pub versions: Versions,
}

/// By what a BMC is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum By {
    Api(Port),
    Tpi,
}

#[derive(Debug, Default)]
pub(super) struct Board {
    way: tokio::sync::Mutex<Option<Way>>,
    hold: tokio::sync::Mutex<Option<Hold>>,
    pub upload: Mutex<Option<Upload>>,
    /// A transfer that was seen to run, by its order and handle: an earlier run died before it could note the handle.
    pub seen: Mutex<Option<(String, u64)>>,
    /// What images on its card were like when they were read, and their sums.
    pub sums: Mutex<BTreeMap<String, (String, Sha256)>>,
    power: Mutex<Power>,
    /// When its daemon was found dead and started again.
    revived: tokio::sync::Mutex<Option<Instant>>,
    /// A flash found other bytes than it should have: what is kept of sums is not believed.
    pub doubted: AtomicBool,
}

impl Boards {
    /// Boards that nobody has spoken to yet. `interface` is what the site says, `images` their directory for images,
    /// `cache` the controller's.
    pub fn new(interface: BmcInterface, images: String, cache: PathBuf) -> Self {
        Self { interface, images, arrivals: Arrivals::new(cache), holder: Holder::this(), boards: Mutex::default() }
    }

    /// How the boards that were spoken to are spoken to.
    pub async fn notices(&self) -> Vec<String> {
        let boards: Vec<_> = self.lock().iter().map(|(target, board)| (target.clone(), Arc::clone(board))).collect();
        let mut notices = Vec::new();
        for (target, board) in boards {
            if let Some(way) = board.way.lock().await.as_ref() {
                notices.push(format!("{target}: {}", way.words()));
            }
        }
        notices
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Target, Arc<Board>>> {
        self.boards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Way {
    /// Whether the daemon unpacks xz. `None`: `tpi` alone does not tell, and no API told it either.
    pub fn unpacks(&self) -> Option<bool> {
        let untold = self.by == By::Tpi && self.versions == Versions::default();
        (!untold).then(|| self.versions.unpacks())
    }

    fn words(&self) -> String {
        let by = match self.by {
            By::Api(Port::Secure) => "its own API, through SSH",
            By::Api(Port::Plain) => "its own API without TLS, through SSH",
            By::Tpi => "tpi, over SSH",
        };
        let unpacks = if self.versions.unpacks() { "" } else { "; the controller unpacks and checks images for it" };
        format!("{} by {by}{unpacks}", self.versions)
    }
}

/// A BMC that is being asked or told something.
pub(crate) struct Bmc<'a> {
    pub(super) hosts: &'a Hosts,
    pub(super) boards: &'a Boards,
    pub(super) target: &'a Target,
    pub(super) connection: &'a Connection,
    pub(super) board: Arc<Board>,
}

impl<'a> Bmc<'a> {
    /// `None`: the site has no such board.
    pub fn of(hosts: &'a Hosts, boards: &'a Boards, target: &'a Target) -> Option<Self> {
        let connection = hosts.connection(target)?;
        let board = Arc::clone(boards.lock().entry(target.clone()).or_default());
        Some(Self { hosts, boards, target, connection, board })
    }

    pub(super) async fn session(&self) -> Result<Arc<Session>, BmcError> {
        Ok(self.hosts.session(self.target, self.connection).await?)
    }

    /// Runs a piece of script as root.
    pub(super) async fn piece(&self, piece: &str) -> Result<Section, BmcError> {
        let session = self.session().await?;
        let result = session.piece(piece).await;
        if matches!(result, Err(Failure::Lost(_))) {
            self.hosts.forget(self.target).await;
        }
        Ok(result?)
    }

    /// What a piece of script prints, if it ends well; `None` if it says that there is nothing.
    pub(super) async fn read(&self, piece: &str) -> Result<Option<String>, BmcError> {
        let section = self.piece(piece).await?;
        match section.status {
            0 => Ok(Some(section.out)),
            bmc::NONE => Ok(None),
            status => {
                let said = if section.err.is_empty() { section.out } else { section.err };
                Err(BmcError::Script(format!("{}\nexit status {status}", said.trim()).trim_start().to_owned()))
            }
        }
    }

    /// Keeps a text on the BMC under a name.
    pub(super) async fn keep(&self, name: &str, text: &str) -> Result<(), BmcError> {
        self.read(&bmc::write_state(name, text)).await.map(|_| ())
    }

    /// Makes us the board's one writer, if we are not already.
    pub(super) async fn hold(&self) -> Result<(), BmcError> {
        // Whoever else wants it for this run waits for the one attempt.
        let mut hold = self.board.hold.lock().await;
        if hold.as_ref().is_some_and(Hold::lasts) {
            return Ok(());
        }
        *hold = None;
        let session = self.session().await?;
        // How root is come by has to be known before a command is started.
        self.piece(bmc::BOOT_ID).await?;
        *hold = Some(lock::take(&session, &self.boards.holder).await?);
        Ok(())
    }

    /// The way to this BMC: found out when it is first needed.
    pub(super) async fn way(&self) -> Result<Way, BmcError> {
        let mut way = self.board.way.lock().await;
        if let Some(way) = way.as_ref() {
            return Ok(way.clone());
        }
        let found = self.find_way().await?;
        *way = Some(found.clone());
        Ok(found)
    }

    async fn find_way(&self) -> Result<Way, BmcError> {
        let api = match self.versions(Port::Secure).await {
            Ok(versions) => Ok(Way { by: By::Api(Port::Secure), versions }),
            Err(BmcError::Host(failure)) => return Err(BmcError::Host(failure)),
            Err(trouble) => match self.versions(Port::Plain).await {
                Ok(versions) => Ok(Way { by: By::Api(Port::Plain), versions }),
                Err(_) => Err(trouble),
            },
        };
        let versions = api.as_ref().map(|way| way.versions.clone()).unwrap_or_default();
        match (self.boards.interface, api) {
            (BmcInterface::Api, api) => api,
            (BmcInterface::Auto, Ok(way)) => Ok(way),
            (BmcInterface::Tpi, _) => match self.read(bmc::TPI_VERSION).await? {
                Some(_) => Ok(Way { by: By::Tpi, versions }),
                None => Err(BmcError::Unable(
                    "the site says bmc_interface: tpi, and there is no tpi on this BMC".to_owned(),
                    "set bmc_interface: auto, or install tpi there",
                )),
            },
            (BmcInterface::Auto, Err(trouble)) => {
                // It speaks to the same daemon: where that is dead, it has nothing to say either.
                let tpi = Tpi { session: self.session().await? };
                match tpi.power().await {
                    Ok(_) => Ok(Way { by: By::Tpi, versions }),
                    Err(_) => Err(trouble),
                }
            }
        }
    }

    async fn versions(&self, port: Port) -> Result<Versions, BmcError> {
        let api = Api { session: self.session().await?, port };
        let value = match api.ask(&query::get("about")).await {
            Ok(value) => value,
            // Older ones do not know that word.
            Err(BmcError::Said(..)) => api.ask(&query::get("other")).await?,
            Err(trouble) => return Err(trouble),
        };
        Ok(api_reply::versions(&value))
    }

    /// The BMC's API; `None` where it is told by `tpi`.
    pub(super) async fn api(&self) -> Result<Option<Api>, BmcError> {
        Ok(match self.way().await?.by {
            By::Api(port) => Some(Api { session: self.session().await?, port }),
            By::Tpi => None,
        })
    }

    /// What tells this BMC what to do.
    pub(super) async fn controls(&self) -> Result<Box<dyn Controls>, BmcError> {
        Ok(match self.api().await? {
            Some(api) => Box::new(api),
            None => Box::new(self.tpi().await?),
        })
    }

    pub(super) async fn tpi(&self) -> Result<Tpi, BmcError> {
        Ok(Tpi { session: self.session().await? })
    }

    /// Which slots have power.
    pub(super) async fn power(&self) -> Result<[bool; 4], BmcError> {
        let powered = self.controls().await?.power().await?;
        self.known_power().seen = Some(powered);
        Ok(powered)
    }

    fn known_power(&self) -> MutexGuard<'_, Power> {
        self.board.power.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This run works on a slot's module: nobody else has a use for it.
    pub(super) fn works_on(&self, slot: Slot) {
        self.known_power().ours.insert(slot);
    }

    pub(super) async fn power_off(&self, slot: Slot) -> Result<(), BmcError> {
        self.controls().await?.set_power(slot, false).await?;
        self.known_power().set(slot, false);
        sleep(SETTLE).await;
        Ok(())
    }

    /// A module that was a disk would be one again.
    pub(super) async fn power_on(&self, slot: Slot) -> Result<(), BmcError> {
        let controls = self.controls().await?;
        controls.normal_mode(slot).await?;
        self.read(bmc::NO_DISK_NOTED).await?;
        controls.set_power(slot, true).await?;
        self.known_power().set(slot, true);
        self.works_on(slot);
        Ok(())
    }

    /// Starts a daemon that died while this run is at work on the board: two flashes in a row have run it out of memory.
    /// What it was writing died with it. Whether it answers again; a run that only looks starts nothing.
    pub(super) async fn revive(&self) -> bool {
        if !self.board.hold.lock().await.as_ref().is_some_and(Hold::lasts) {
            return false;
        }
        let mut revived = self.board.revived.lock().await;
        if revived.is_some_and(|then| then.elapsed() < REVIVED_PAUSE) {
            // Whoever waited for it finds it alive again.
            return self.power().await.is_ok();
        }
        *revived = Some(Instant::now());
        self.start_anew(None).await.is_ok()
    }

    /// Restarts a daemon whose flash of this slot stalls.
    pub(super) async fn restart_daemon(&self, flashed: Slot) -> Result<(), BmcError> {
        self.works_on(flashed);
        let mut revived = self.board.revived.lock().await;
        *revived = Some(Instant::now());
        self.start_anew(Some(flashed)).await
    }

    /// The daemon takes its lines anew when it starts, without a value, and then sets what it stored: slots that have power may
    /// lose it (bmcd issue 90). So it is not started while others have power than those that this run works on. Theirs is set
    /// once more before, until that is stored, and given again after; that of a slot whose flash ends with the daemon is not.
    async fn start_anew(&self, flashed: Option<Slot>) -> Result<(), BmcError> {
        // One that is dead or hangs does not tell: what it was told last is what it will set.
        let answers = self.power().await.is_ok();
        let power = self.known_power().clone();
        let others = power.of_others();
        if !others.is_empty() {
            let slots = others.iter().map(Slot::to_string).collect::<Vec<_>>().join(", ");
            return Err(BmcError::Unable(
                format!("its restart may cut the power of other slots ({slots})"),
                RESTART_IT,
            ));
        }
        let before: BTreeSet<Slot> = power.on().filter(|slot| Some(*slot) != flashed).collect();
        if answers {
            let controls = self.controls().await?;
            // One that hangs at this, too, has to be restarted all the same.
            if let Some(slot) = flashed {
                let _ = controls.set_power(slot, false).await;
            }
            let _ = give_power(controls.as_ref(), &before).await;
            sleep(STORED_AFTER).await;
        }
        self.read(bmc::RESTART_DAEMON).await?;
        let began = Instant::now();
        loop {
            sleep(Duration::from_secs(1)).await;
            let given = async { give_power(self.controls().await?.as_ref(), &before).await };
            match given.await {
                Ok(()) if began.elapsed() > STORED_AFTER => break,
                Err(trouble) if began.elapsed() > RESTART_BOUND => return Err(trouble),
                _ => {}
            }
        }
        self.power().await.map(drop)
    }
}

/// Gives power to those of these slots that have none.
async fn give_power(controls: &dyn Controls, slots: &BTreeSet<Slot>) -> Result<(), BmcError> {
    let powered = controls.power().await?;
    for slot in slots.iter().filter(|slot| !powered[usize::from(slot.number() - 1)]) {
        controls.set_power(*slot, true).await?;
    }
    Ok(())
}

/// What this run knows of the power of a board's slots.
#[derive(Clone, Debug, Default)]
struct Power {
    /// Which have it, as it was seen or set last.
    seen: Option<[bool; 4]>,
    /// Those that this run flashes or gave power to.
    ours: BTreeSet<Slot>,
}

impl Power {
    fn set(&mut self, slot: Slot, on: bool) {
        if let Some(place) = self.seen.as_mut().and_then(|seen| seen.get_mut(usize::from(slot.number() - 1))) {
            *place = on;
        }
    }

    /// Those that have power, or may have it.
    fn on(&self) -> impl Iterator<Item = Slot> {
        Slot::ALL.into_iter().zip(self.seen.unwrap_or([true; 4])).filter(|(_, on)| *on).map(|(slot, _)| slot)
    }

    /// Those of them that this run has no part in.
    fn of_others(&self) -> Vec<Slot> {
        self.on().filter(|slot| !self.ours.contains(slot)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_that_is_not_ours_keeps_a_daemon_from_being_restarted() {
        let slot = |number| Slot::new(number).unwrap();
        let mut power = Power::default();
        assert_eq!(power.of_others().len(), 4, "nobody has looked");
        power.seen = Some([true, true, false, false]);
        power.ours.insert(slot(2));
        assert_eq!(power.of_others(), [slot(1)]);
        power.ours.insert(slot(1));
        assert!(power.of_others().is_empty());
        power.set(slot(4), true);
        assert_eq!(power.of_others(), [slot(4)]);
        power.set(slot(4), false);
        assert_eq!(power.on().collect::<Vec<_>>(), [slot(1), slot(2)]);
    }
}
