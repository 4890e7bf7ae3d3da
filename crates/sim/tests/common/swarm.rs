//! One seed of the swarm: a site, a story, faults, deaths, an operator who approves this and that; then calm.

use std::sync::{Arc, OnceLock};

use bringup_core::run::hazard::Hazard;
use bringup_core::sabotage::Guards;
use bringup_core::site::Site;
use bringup_sim::{Condition, Faults, SECRET_MARK, SimWorld, Snapshot, Story, in_virtual_time};

use super::{Done, Runner, approve_all, no_board, one_board, two_boards};

/// How many runs in calm a site may take to converge: one to find what was left, one to do it again if the first met
/// something that only time heals, one more for good measure.
const CALM_RUNS: usize = 3;
/// How many runs in trouble come before.
const TROUBLED_RUNS: u32 = 2;

/// Runs a seed; what was wrong, if anything was.
pub fn run(seed: u64, guards: Guards) -> Result<(), String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let (site, snapshot) = beginning(&mut random);
    in_virtual_time(async {
        let world = SimWorld::resume(&snapshot);
        for round in 0..TROUBLED_RUNS {
            world.set_faults(Faults::seeded(random.u64(..)));
            let choice = random.u64(..);
            let approve = |hazard: &Hazard| approves(hazard, choice);
            let runner = Runner {
                guards,
                approve: &approve,
                dies_after: random.bool().then(|| random.usize(1..700)),
                ..Runner::new(&site, &format!("troubled-{round}"))
            };
            let done = runner.run(&world).await;
            sound(&world, done.as_ref())?;
        }
        world.set_faults(Faults::none());
        let mut last: Option<Done> = None;
        for round in 0..CALM_RUNS {
            // Who belongs to a cluster that is no more stays there until told otherwise: nothing is uninstalled unforced.
            let orphans = last.as_ref().is_some_and(only_orphans);
            let site = if orphans { with_k3s_force(&site) } else { Arc::clone(&site) };
            let runner = Runner { guards, approve: &approve_all, ..Runner::new(&site, &format!("calm-{round}")) };
            let done = runner.run(&world).await;
            sound(&world, done.as_ref())?;
            if done.as_ref().is_some_and(Done::converged) {
                last = None;
                break;
            }
            last = done;
        }
        if let Some(done) = last {
            return Err(format!("did not converge: {:?} {:#?}", done.applied.tally, done.troubles()));
        }
        let site = unforced(&site);
        let again = Runner { guards, ..Runner::new(&site, "again") }.run(&world).await;
        sound(&world, again.as_ref())?;
        match again {
            Some(again) if again.in_sync() && !again.planned.changes() => Ok(()),
            Some(again) => Err(format!(
                "the run after the last changes something: {:?} {:?} {:#?}",
                again.planned.tally,
                again.applied.tally,
                changed(&again)
            )),
            None => Err("a run in calm died".to_owned()),
        }
    })
    .map_err(|error| error.to_string())?
}

/// Nothing is wrong but workers that do not come to the cluster.
fn only_orphans(done: &Done) -> bool {
    let troubles = done.troubles();
    let mut real = troubles.iter().filter(|trouble| !trouble.contains("Skipped"));
    real.all(|trouble| trouble.contains("/k3s_agent: Failed") || trouble.starts_with("cluster/ready_nodes: Failed"))
}

fn with_k3s_force(site: &Arc<Site>) -> Arc<Site> {
    let mut site = Site::clone(site);
    site.settings.k3s_force = true;
    Arc::new(site)
}

/// The steps of a run that changed something.
pub fn changed(done: &Done) -> Vec<String> {
    use bringup_core::run::change::Outcome;
    use bringup_core::run::event::What;
    let steps = done.events.iter().filter_map(|event| match &event.what {
        What::StepEnded { step, outcome, .. } if *outcome != Outcome::InSync => Some(format!("{step}: {outcome:?}")),
        _ => None,
    });
    steps.collect()
}

/// What must hold after every run, however it went.
fn sound(world: &SimWorld, done: Option<&Done>) -> Result<(), String> {
    if let Some(violation) = world.violations().first() {
        return Err(violation.clone());
    }
    for event in done.iter().flat_map(|done| &done.events) {
        let text = serde_json::to_string(event).map_err(|error| error.to_string())?;
        if text.contains(SECRET_MARK) {
            return Err(format!("a secret got out: {text}"));
        }
    }
    Ok(())
}

/// A forced run is forced once: what comes after is the same site without force.
fn unforced(site: &Arc<Site>) -> Arc<Site> {
    let mut site = Site::clone(site);
    let settings = &mut site.settings;
    (settings.flash_force, settings.k3s_force, settings.cluster_force) = (false, false, false);
    Arc::new(site)
}

/// Some operators approve all that needs no name, some leave things out, some name what lives.
fn approves(hazard: &Hazard, choice: u64) -> bool {
    let name = hazard.to_string().bytes().fold(choice, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    match choice % 3 {
        0 => hazard.needs_name().is_none(),
        1 => hazard.needs_name().is_none() && name % 4 != 0,
        _ => name % 8 != 0,
    }
}

fn beginning(random: &mut fastrand::Rng) -> (Arc<Site>, Snapshot) {
    let mut site = match random.u32(0..4) {
        0 | 1 => one_board(),
        2 => two_boards(),
        _ => no_board(),
    };
    if random.u32(0..8) == 0 {
        site.settings.flash_force = true;
    }
    if random.u32(0..8) == 0 {
        site.settings.k3s_force = true;
    }
    if random.u32(0..8) == 0 {
        site.settings.cluster_force = true;
    }
    let site = Arc::new(site);
    if random.u32(0..3) == 0 {
        return (Arc::clone(&site), aged(&site));
    }
    let mut story = Story::fresh();
    if random.bool() {
        story = story.trusted();
    }
    for node in site.nodes.iter().filter(|node| node.place.is_some()) {
        let condition = match random.u32(0..8) {
            0 => Condition::Installed,
            1 => Condition::Silent,
            2 => Condition::SwitchedOff,
            3 => Condition::Flashed,
            _ => Condition::Blank,
        };
        story = story.with(node.name.as_str(), condition);
    }
    let snapshot = story.begin(&site);
    (site, snapshot)
}

/// A site that was brought up some time ago and has upgrades to install. Made once for each site.
fn aged(site: &Arc<Site>) -> Snapshot {
    static AGED: [OnceLock<Snapshot>; 3] = [const { OnceLock::new() }; 3];
    let which = match site.name.as_str() {
        "turing-pi" => 0,
        "two-boards" => 1,
        _ => 2,
    };
    let snapshot = AGED[which].get_or_init(|| {
        let site = unforced(site);
        in_virtual_time(async {
            let world = SimWorld::resume(&Story::fresh().trusted().begin(&site));
            let done = Runner { approve: &approve_all, ..Runner::new(&site, "long-ago") }.run(&world).await;
            assert!(done.is_some_and(|done| done.converged()));
            world.age();
            world.stop()
        })
        .unwrap()
    });
    snapshot.clone().of(site)
}
