//! The same site in the simulated world.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bringup_core::engine::{Expected, Run, Stop, walk};
use bringup_core::run::event::{Event, Pass, What};
use bringup_core::sabotage::Guards;
use bringup_core::site::{LoadOptions, Loaded, Scope, load};
use bringup_core::stages::{Options, lanes};
use bringup_sim::{Approval, SimWorld, Snapshot, Story, in_virtual_time};
use bringup_world::LocalSource;

use crate::controller::{Controller, word};

pub struct Simulation {
    loaded: Loaded,
    site: Arc<bringup_core::site::Site>,
    snapshot: Snapshot,
}

impl Simulation {
    /// The controller's site, at the beginning of a story.
    pub fn of(controller: &Controller, story: &Story) -> Self {
        let inventory = controller.site().to_string_lossy().into_owned();
        let loaded = load(&LocalSource, &LoadOptions { inventory: vec![inventory], ..LoadOptions::default() }).unwrap();
        let site = Arc::new(loaded.site.clone());
        Self { snapshot: story.begin(&site), site, loaded }
    }

    /// Lets something happen to the world.
    pub fn happen(&mut self, what: impl Fn(&SimWorld)) {
        let before = self.snapshot.clone();
        self.snapshot = in_virtual_time(async {
            let world = SimWorld::resume(&before);
            what(&world);
            world.stop()
        })
        .unwrap();
    }

    /// How each step of a run with these stages ends.
    pub fn apply(&mut self, tags: &str) -> BTreeMap<String, String> {
        let scope = Scope::select(&self.loaded.inventory, &self.site, &[tags.to_owned()], &[], &[]).unwrap();
        let options = Options {
            accept_changed_host_keys: false,
            force_conflicts: false,
            cache: "/cache".to_owned(),
            data: "/cache".to_owned(),
            home: "/home".to_owned(),
            architecture: "amd64",
            system: "linux",
        };
        let lanes = lanes(&self.site, &scope, &options);
        let events = Mutex::new(Vec::new());
        let collect = |event: Event| events.lock().unwrap().push(event);
        let before = self.snapshot.clone();
        self.snapshot = in_virtual_time(async {
            let world = SimWorld::resume(&before);
            let run = |pass, approved, expected| Run {
                world: &world,
                name: "story".to_owned(),
                site: self.site.name.clone(),
                pass,
                approved,
                expected,
                stop: Stop::default(),
                forks: 16,
                events: &collect,
                guards: Guards::default(),
            };
            let planned = walk(&lanes, &run(Pass::Plan, Vec::new(), Expected::default())).await;
            let approved = planned.hazards.clone();
            world.set_approval(Approval { approved: approved.clone(), ..Approval::default() });
            walk(&lanes, &run(Pass::Apply, approved, planned.expected)).await;
            assert_eq!(world.violations(), [""; 0]);
            world.stop()
        })
        .unwrap();
        let events = events.into_inner().unwrap();
        let ended = events.into_iter().filter_map(|event| match event.what {
            What::StepEnded { step, outcome, .. } => {
                Some((step.to_string(), word(&serde_json::to_value(outcome).unwrap())))
            }
            _ => None,
        });
        ended.collect()
    }
}
