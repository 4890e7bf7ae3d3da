//! The real world: where a question or a deed goes.

use std::path::PathBuf;
use std::sync::Arc;

use bringup_core::deed::{Deed, Reply};
use bringup_core::fault::{Cause, Fault};
use bringup_core::names::{NodeName, Target};
use bringup_core::probe::{Answer, K3s, KubeNode, Probe, Question};
use bringup_core::site::Site;
use bringup_core::world::{Going, Progress, World};

use crate::controller::Controller;
use crate::ssh::{ClientConfig, Hosts, Logins};
use crate::{host, not_built};

/// Real machines.
#[derive(Debug)]
pub struct RealWorld {
    hosts: Hosts,
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
        Self { controller: Controller { site: directory, cache, known_hosts }, hosts: Hosts::new(site, config, logins) }
    }

    /// What of the SSH configuration is not done as it says.
    pub fn notices(&self) -> Vec<String> {
        self.hosts.not_followed().into_iter().collect()
    }

    async fn ask_all(&self, target: &Target, probes: &[Probe]) -> Vec<Result<Answer, Fault>> {
        match target {
            Target::Node(_) | Target::Bmc(_) => host::ask(&self.hosts, target, probes).await,
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
                Target::Node(_) => host::act(&self.hosts, target, deed).await,
                Target::Controller => self.controller.act(deed, progress).await,
                Target::Bmc(_) | Target::Cluster => Err(not_built::fault(target, deed.to_string())),
            }
        })
    }
}
