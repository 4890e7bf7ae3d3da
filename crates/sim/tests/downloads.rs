//! What the controller fetches for nodes without internet: it is proved once, and then nobody is asked for it again.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::mem;
use std::sync::{Arc, Mutex};

use bringup_core::contract::world::{BoxFuture, Progress, Speaks};
use bringup_core::contract::{ActionOutline, Cluster, Contract, Controller, controller, node};
use bringup_core::ids::{BoardName, NodeName, Sha256, Target};
use bringup_core::run::event::{Event, What};
use bringup_core::run::fault::{Cause, Fault};
use bringup_core::site::Settings;
use bringup_sim::{SimWorld, Story, in_virtual_time};
use common::{Done, Runner, approve_all};

/// The simulated world, and which lists of sums were read there.
struct Web {
    sim: SimWorld,
    lists: Mutex<Vec<String>>,
    /// What is in the addresses of files that cannot be fetched.
    missing: Option<&'static str>,
}

impl Speaks<Controller> for Web {
    fn ask<'a>(
        &'a self,
        of: &'a Controller,
        questions: &'a [controller::Question],
    ) -> BoxFuture<'a, Vec<Result<controller::Answer, Fault>>> {
        for question in questions {
            if let controller::Question::WebText(text) = question
                && text.url.contains("/sha256sum-")
            {
                self.lists.lock().unwrap().push(text.url.clone());
            }
        }
        self.sim.ask(of, questions)
    }

    fn act<'a>(
        &'a self,
        on: &'a Controller,
        action: &'a controller::Action,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<(), Fault>> {
        match action {
            controller::Action::Fetch(fetch) if self.missing.is_some_and(|missing| fetch.url.contains(missing)) => {
                let fault = Fault::new(Cause::Failed, Target::Controller, action.to_string());
                Box::pin(async { Err(fault.said("404 Not Found")) })
            }
            _ => self.sim.act(on, action, progress),
        }
    }
}

macro_rules! as_simulated {
    ($($of:ty),+) => {
        $(
            impl Speaks<$of> for Web {
                fn ask<'a>(
                    &'a self,
                    of: &'a $of,
                    questions: &'a [<$of as Contract>::Question],
                ) -> BoxFuture<'a, Vec<Result<<$of as Contract>::Answer, Fault>>> {
                    self.sim.ask(of, questions)
                }

                fn act<'a>(
                    &'a self,
                    on: &'a $of,
                    action: &'a <$of as Contract>::Action,
                    progress: Progress<'a>,
                ) -> BoxFuture<'a, Result<(), Fault>> {
                    self.sim.act(on, action, progress)
                }
            }
        )+
    };
}

as_simulated!(BoardName, NodeName, Cluster);

impl Web {
    fn fresh() -> Self {
        let sim = SimWorld::resume(&Story::fresh().begin(&Arc::new(common::no_board())));
        Self { sim, lists: Mutex::default(), missing: None }
    }

    /// A run over machines that k3s is handed to: how it ended, and the lists of sums that it read.
    async fn run(&self, name: &str, change: impl FnOnce(&mut Settings)) -> (Done, Vec<String>) {
        let mut site = common::no_board();
        site.settings.k3s_airgap = true;
        change(&mut site.settings);
        let site = Arc::new(site);
        let runner = Runner { approve: &approve_all, ..Runner::new(&site, name) };
        let done = runner.run_through(&self.sim, self).await.unwrap();
        (done, mem::take(&mut self.lists.lock().unwrap()))
    }
}

/// Files of a release that were fetched.
fn fetched(done: &Done) -> usize {
    let fetched = done.events.iter().filter(|event| match &event.what {
        What::ActionStarted { action: ActionOutline::Controller(controller::Outline::Fetch { url, .. }), .. } => {
            url.contains("/download/")
        }
        _ => false,
    });
    fetched.count()
}

#[test]
fn the_release_of_nodes_without_internet_is_proved_once() {
    in_virtual_time(async {
        let web = Web::fresh();
        let (first, lists) = web.run("first", |_| ()).await;
        assert!(first.converged(), "{:#?}", first.troubles());
        assert!(!lists.is_empty() && fetched(&first) == 2, "{lists:?}");
        let (again, lists) = web.run("again", |settings| settings.k3s_force = true).await;
        assert!(again.converged(), "{:#?}", again.troubles());
        let installs = |event: &Event| {
            matches!(
                &event.what,
                What::ActionStarted { action: ActionOutline::Node(node::Outline::InstallK3s { .. }), .. }
            )
        };
        assert!(again.events.iter().any(installs));
        assert!(lists.is_empty() && fetched(&again) == 0, "{lists:?}");
        let (elsewhere, lists) = web
            .run("elsewhere", |settings| {
                settings.k3s_force = true;
                settings.k3s_artifact_url = Some("https://mirror.example/k3s".to_owned());
            })
            .await;
        assert!(elsewhere.converged(), "{:#?}", elsewhere.troubles());
        assert!(!lists.is_empty(), "what another address has is not what was proved");
    })
    .unwrap();
}

#[test]
fn a_release_whose_list_of_sums_is_not_pinned_is_not_fetched() {
    // The list that the simulated web has.
    let pinned = Sha256::of(Sha256::of("published").to_string());
    for (sums, good) in [(vec![Sha256::of("other"), pinned], true), (vec![Sha256::of("other")], false)] {
        in_virtual_time(async {
            let (done, lists) = Web::fresh().run("first", |settings| settings.k3s_artifact_sha256 = sums).await;
            assert_eq!(done.converged(), good, "{:#?}", done.troubles());
            assert_eq!(fetched(&done), if good { 2 } else { 0 });
            assert!(!lists.is_empty());
            let troubles = done.troubles().join("\n");
            assert_eq!(troubles.contains("which is not in k3s_artifact_sha256"), !good, "{troubles}");
        })
        .unwrap();
    }
}

/// Each tool has a lane of its own: what cannot be fetched holds up only what needs it.
#[test]
fn a_tool_that_cannot_be_fetched_leaves_nobody_else_without_anything() {
    for (missing, lacking) in [
        (
            "/helm-v",
            vec![
                "controller/helm",
                "controller/helm-completion-bash",
                "controller/helm-completion-zsh",
                "controller/helm-diff",
            ],
        ),
        ("/kubeseal-", vec!["controller/kubeseal"]),
        (
            "/bin/linux/amd64/kubectl",
            vec!["controller/kubectl", "controller/kubectl-completion-bash", "controller/kubectl-completion-zsh"],
        ),
    ] {
        in_virtual_time(async {
            let web = Web { missing: Some(missing), ..Web::fresh() };
            let (done, _) = web.run("first", |_| ()).await;
            let mut troubles: Vec<String> = done.troubles();
            // Argo CD is what helm installs.
            troubles.retain(|trouble| !trouble.starts_with("cluster/"));
            let mut steps: Vec<&str> = troubles.iter().filter_map(|trouble| trouble.split(": ").next()).collect();
            steps.sort_unstable();
            assert_eq!(steps, lacking, "{missing}: {troubles:#?}");
            let argo = done.troubles().len() > troubles.len();
            assert_eq!(argo, missing == "/helm-v", "{missing}: {:#?}", done.troubles());
        })
        .unwrap();
    }
}
