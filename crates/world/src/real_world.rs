//! The real world: where a question or a deed goes.

use std::path::PathBuf;
use std::sync::Arc;

use bringup_core::deed::{Deed, Reply};
use bringup_core::fault::{Cause, Fault};
use bringup_core::names::{NodeName, Target};
use bringup_core::probe::{Answer, K3s, KubeNode, Probe, Question};
use bringup_core::site::{Place, Site};
use bringup_core::world::{Going, Progress, World};

use crate::bmc::{self, Boards};
use crate::controller::Controller;
use crate::ssh::{ClientConfig, Hosts, Logins};
use crate::{host, not_built};

/// Real machines.
#[derive(Debug)]
pub struct RealWorld {
    site: Arc<Site>,
    hosts: Hosts,
    boards: Boards,
    controller: Controller,
}

/// Where this run's own files are on the controller.
#[derive(Clone, Debug)]
pub struct Directories {
    /// The site's, with the journals of its runs.
    pub site: PathBuf,
    /// That of what is fetched once.
    pub cache: PathBuf,
}

impl RealWorld {
    /// The machines of a site, reached with these logins and as the user's SSH configuration says.
    pub fn new(site: Arc<Site>, config: ClientConfig, logins: Logins, directories: Directories) -> Self {
        let Directories { site: directory, cache } = directories;
        let known_hosts = site.settings.known_hosts.clone();
        let boards = Boards::new(site.settings.bmc_interface, site.settings.tpi_images_path.clone());
        let controller = Controller { site: directory, cache, known_hosts };
        Self { hosts: Hosts::new(Arc::clone(&site), config, logins), site, boards, controller }
    }

    /// What of the SSH configuration is not done as it says, and how the boards that were asked are spoken to.
    pub async fn notices(&self) -> Vec<String> {
        let mut notices: Vec<String> = self.hosts.not_followed().into_iter().collect();
        notices.extend(self.boards.notices().await);
        notices
    }

    /// What a slot's serial console said last, at most 16 KiB, as plain text.
    ///
    /// # Errors
    /// When the board cannot be asked, or has no such console.
    pub async fn console(&self, place: &Place) -> Result<String, Fault> {
        bmc::console(&self.hosts, &self.boards, &Target::Bmc(place.board.clone()), place.slot).await
    }

    async fn ask_all(&self, target: &Target, probes: &[Probe]) -> Vec<Result<Answer, Fault>> {
        match target {
            Target::Node(_) => host::ask(&self.hosts, target, probes).await,
            Target::Bmc(_) => bmc::ask(&self.hosts, &self.boards, target, probes).await,
            Target::Controller => {
                let mut answers = Vec::with_capacity(probes.len());
                for probe in probes {
                    answers.push(self.controller.answer(probe).await);
                }
                answers
            }
            Target::Cluster => {
                let mut answers = Vec::with_capacity(probes.len());
                for probe in probes {
                    answers.push(match probe {
                        Probe::KubeNode(KubeNode { name }) => Err(self.no_cluster(name).await),
                        _ => Err(not_built::fault(target, format!("ask for {}", probe.word()))),
                    });
                }
                answers
            }
        }
    }

    /// This build does not speak to a cluster. A node without k3s is in none; about any other it can say nothing, so
    /// nothing may be done that a cluster would have to be asked about.
    async fn no_cluster(&self, node: &NodeName) -> Fault {
        let doing = format!("ask for Node {node}");
        let target = Target::Node(node.clone());
        let answer = host::ask(&self.hosts, &target, &[K3s {}.into()]).await.pop();
        match answer.map(|answer| answer.map(K3s::read)) {
            Some(Ok(Some(None))) => {
                Fault::new(Cause::Unreachable, Target::Cluster, doing).said(format!("{node} has no k3s"))
            }
            Some(Err(fault)) => fault,
            _ => not_built::fault(&Target::Cluster, doing),
        }
    }
}

impl World for RealWorld {
    fn ask<'a>(&'a self, target: &'a Target, probes: &'a [Probe]) -> Going<'a, Vec<Result<Answer, Fault>>> {
        Box::pin(self.ask_all(target, probes))
    }

    fn act<'a>(
        &'a self,
        target: &'a Target,
        deed: &'a Deed,
        progress: Progress<'a>,
    ) -> Going<'a, Result<Reply, Fault>> {
        Box::pin(async move {
            match target {
                Target::Node(_) => host::act(&self.hosts, target, deed, &self.controller.site, progress).await,
                Target::Controller => self.controller.act(deed, progress).await,
                Target::Bmc(_) => bmc::act(&self.hosts, &self.boards, &self.site, target, deed, progress).await,
                Target::Cluster => Err(not_built::fault(target, deed.to_string())),
            }
        })
    }
}
