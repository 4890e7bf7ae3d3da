//! The real world: where a question or an action goes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bringup_core::contract::world::{BoxFuture, Progress, Speaks};
use bringup_core::contract::{self, Action, Contract, Controller, Question, controller, node};
use bringup_core::ids::{BoardName, NodeName, Target};
use bringup_core::run::fault::{Cause, Fault};
use bringup_core::site::{Place, Site};
use bringup_core::text::secret::{Mask, Secret};
use futures_util::future::join_all;

use crate::bmc::{self, Boards};
use crate::cluster::{Cluster, OverSsh};
use crate::controller::Controller as ThisMachine;
use crate::ssh::{ClientConfig, Hosts, Logins};

/// Real machines.
#[derive(Debug)]
pub struct RealWorld {
    site: Arc<Site>,
    hosts: Hosts,
    boards: Boards,
    controller: ThisMachine,
    cluster: Cluster,
    /// Hides what machines are sent and nobody may see: passwords, tokens, and the secrets in effects. A machine that sends one
    /// back does not get it shown.
    mask: Mutex<Mask>,
}

/// Where this run's own files are on the controller.
#[derive(Clone, Debug)]
pub struct Directories {
    /// The site's, with the journals of its runs.
    pub site: PathBuf,
    /// That of what is fetched once.
    pub cache: PathBuf,
}

/// How long a board may take to say what a console said last.
const CONSOLE_BOUND: Duration = Duration::from_secs(60);

impl RealWorld {
    /// The machines of a site, reached with these logins and as the user's SSH configuration says.
    pub fn new(site: Arc<Site>, config: ClientConfig, logins: Logins, directories: Directories) -> Self {
        let Directories { site: directory, cache } = directories;
        let known_hosts = site.settings.known_hosts.clone();
        let connections =
            site.nodes.iter().map(|node| &node.connection).chain(site.boards.iter().map(|board| &board.connection));
        let mask: Mask = connections
            .flat_map(|connection| [&connection.password, &connection.become_password])
            .chain([&logins.password, &logins.become_password])
            .flatten()
            .collect();
        let mask = Mutex::new(mask);
        let boards = Boards::new(site.settings.bmc_interface, site.settings.tpi_images_path.clone(), cache.clone());
        let controller = ThisMachine { site: directory, cache, known_hosts };
        let cluster = Cluster::new(PathBuf::from(&site.settings.bin_dir).join("helm"));
        Self { cluster, hosts: Hosts::new(Arc::clone(&site), config, logins), site, boards, controller, mask }
    }

    /// Hides what machines were sent so far.
    pub fn mask(&self) -> Mask {
        self.mask.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Before it is sent: whoever gets it may send it back at once.
    fn will_send<'a>(&self, secrets: impl IntoIterator<Item = &'a Secret>) {
        let mut mask = self.mask.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.into_iter().for_each(|secret| mask.add(secret));
    }

    /// What of the SSH configuration is not done as it says, and how the boards that were asked are spoken to.
    pub async fn notices(&self) -> Vec<String> {
        let mut notices: Vec<String> = self.hosts.not_followed().into_iter().collect();
        notices.extend(self.boards.notices().await);
        let mask = self.mask();
        notices.iter().map(|notice| mask.hide_in(notice)).collect()
    }

    /// What a slot's serial console said last, at most 16 KiB, as plain text.
    ///
    /// # Errors
    /// When the board cannot be asked, or has no such console.
    pub async fn console(&self, place: &Place) -> Result<String, Fault> {
        let target = Target::Bmc(place.board.clone());
        let doing = format!("read the console of slot {}", place.slot);
        let reading = bmc::console(&self.hosts, &self.boards, &target, place.slot);
        let said = within(CONSOLE_BOUND, &target, &doing, reading).await.and_then(|said| said);
        let mask = self.mask();
        said.map(|text| mask.hide_in(&text)).map_err(|fault| fault.masked(&mask))
    }

    fn access(&self) -> OverSsh<'_> {
        OverSsh { hosts: &self.hosts, site: &self.site, mask: &self.mask }
    }

    /// How many requests the cluster's API was sent so far.
    pub fn api_requests(&self) -> u64 {
        self.cluster.requests()
    }

    /// Ends the run: what others would have to wait for is let go.
    pub async fn close(&self) {
        self.cluster.close().await;
    }
}

/// Ends what hangs, whoever asked for it.
async fn within<T>(bound: Duration, target: &Target, doing: &str, going: impl Future<Output = T>) -> Result<T, Fault> {
    tokio::time::timeout(bound, going).await.map_err(|_| {
        Fault::new(Cause::Silent, target.clone(), doing).said(format!("no answer after {} s", bound.as_secs()))
    })
}

impl RealWorld {
    /// Within the questions' bound, and with what nobody may see hidden.
    async fn asked<T: Contract>(
        &self,
        of: &T,
        questions: &[T::Question],
        asking: impl Future<Output = Vec<Result<T::Answer, Fault>>>,
    ) -> Vec<Result<T::Answer, Fault>> {
        let bound = questions.iter().map(Question::bound).max().unwrap_or_default();
        let doing = questions.first().map_or_else(String::new, T::Question::to_string);
        let asked = within(bound, &of.target(), &doing, asking).await;
        let answers = asked.unwrap_or_else(|fault| questions.iter().map(|_| Err(fault.clone())).collect());
        let mask = self.mask();
        answers.into_iter().map(|answer| answer.map_err(|fault| fault.masked(&mask))).collect()
    }

    /// Within the action's bound, and with what nobody may see hidden.
    async fn acted<T: Contract>(
        &self,
        on: &T,
        action: &T::Action,
        acting: impl Future<Output = Result<(), Fault>>,
    ) -> Result<(), Fault> {
        self.will_send(&action.secrets());
        let done = within(action.bound(), &on.target(), &action.to_string(), acting).await;
        done.and_then(|done| done).map_err(|fault| fault.masked(&self.mask()))
    }
}

impl Speaks<Controller> for RealWorld {
    fn ask<'a>(
        &'a self,
        of: &'a Controller,
        questions: &'a [controller::Question],
    ) -> BoxFuture<'a, Vec<Result<controller::Answer, Fault>>> {
        let asking = join_all(questions.iter().map(|question| self.controller.answer(question)));
        Box::pin(self.asked(of, questions, asking))
    }

    fn act<'a>(
        &'a self,
        on: &'a Controller,
        action: &'a controller::Action,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.acted(on, action, self.controller.act(action, progress)))
    }
}

impl Speaks<BoardName> for RealWorld {
    fn ask<'a>(
        &'a self,
        of: &'a BoardName,
        questions: &'a [contract::bmc::Question],
    ) -> BoxFuture<'a, Vec<Result<contract::bmc::Answer, Fault>>> {
        Box::pin(self.asked(of, questions, bmc::ask(&self.hosts, &self.boards, of, questions)))
    }

    fn act<'a>(
        &'a self,
        on: &'a BoardName,
        action: &'a contract::bmc::Action,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.acted(on, action, bmc::act(&self.hosts, &self.boards, &self.site, on, action, progress)))
    }
}

impl Speaks<NodeName> for RealWorld {
    fn ask<'a>(
        &'a self,
        of: &'a NodeName,
        questions: &'a [node::Question],
    ) -> BoxFuture<'a, Vec<Result<node::Answer, Fault>>> {
        Box::pin(self.asked(of, questions, crate::node::ask(&self.hosts, of, questions)))
    }

    fn act<'a>(
        &'a self,
        on: &'a NodeName,
        action: &'a node::Action,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.acted(on, action, crate::node::act(&self.hosts, on, action, &self.controller.site, progress)))
    }
}

impl Speaks<contract::Cluster> for RealWorld {
    fn ask<'a>(
        &'a self,
        of: &'a contract::Cluster,
        questions: &'a [contract::cluster::Question],
    ) -> BoxFuture<'a, Vec<Result<contract::cluster::Answer, Fault>>> {
        let asking = async move { self.cluster.ask(&self.access(), questions).await };
        Box::pin(self.asked(of, questions, asking))
    }

    fn act<'a>(
        &'a self,
        on: &'a contract::Cluster,
        action: &'a contract::cluster::Action,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        let acting = async move { self.cluster.act(&self.access(), action, progress).await };
        Box::pin(self.acted(on, action, acting))
    }
}
