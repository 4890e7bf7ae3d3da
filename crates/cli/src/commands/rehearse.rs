//! `bringup rehearse`: all stages in a simulated world.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bringup_core::engine::{Expected, Lanes, Run, Stop, Walked, walk};
use bringup_core::run::event::{Event, Pass};
use bringup_core::run::hazard::Hazard;
use bringup_core::run::report::Report;
use bringup_core::sabotage::Guards;
use bringup_core::site::{Loaded, Problems, Scope, Site, Source};
use bringup_core::stages::lanes;
use bringup_sim::{Approval, Condition, Faults, SimWorld, Story, in_virtual_time};

use crate::args::{From, Rehearse};
use crate::commands::site::{self, UserDirectories};
use crate::example::{self, Example};
use crate::exit_status::ExitStatus;
use crate::problems;
use crate::terminal::{self, Lines};
use crate::ui::{PlanText, Screen, on_terminal, report_text, say, say_exactly, screen, written};

/// How fast virtual time is shown on a terminal when nobody says.
const SPEED: f64 = 200.0;
/// How often a paced screen is drawn.
const FRAME: Duration = Duration::from_millis(80);
/// How many runs with faults are followed by how many without, until nothing is left to do.
const CALM_RUNS: usize = 3;

/// Runs it.
pub fn run(arguments: &Rehearse) -> ExitStatus {
    let (loaded, user) = match load(arguments) {
        Ok(loaded) => loaded,
        Err(problems) => return site::refuse(&problems),
    };
    let scope = match site::scope(&loaded, &arguments.run) {
        Ok(scope) => scope,
        Err(problems) => return site::refuse(&problems),
    };
    if !loaded.warnings.0.is_empty() {
        terminal::errors(&problems::report(&loaded.warnings));
    }
    let first = loaded.site;
    let flashes = first.settings.do_flash || first.settings.flash_force;
    let from = arguments.from.unwrap_or(if flashes { From::Fresh } else { From::Installed });
    let options = site::run_options(&arguments.run, user);
    let again = unforced(&first);
    // What was built before is the whole site, whatever this run is about.
    let all = match (from, Scope::select(&loaded.inventory, &first, &[], &[], &[])) {
        (From::Built, Ok(all)) => Some(lanes(&again, &all, &options)),
        (From::Built, Err(problems)) => return site::refuse(&problems),
        _ => None,
    };
    let rehearsal = Rehearsal {
        lanes: lanes(&first, &scope, &options),
        again: lanes(&again, &scope, &options),
        all,
        site: Arc::new(first),
        from,
        arguments,
        speed: arguments.speed.unwrap_or(if on_terminal() && !arguments.run.json { SPEED } else { 0.0 }),
    };
    match in_virtual_time(rehearsal.play()) {
        Ok(Ok(status) | Err(status)) => status,
        Err(error) => {
            terminal::error(format_args!("error: the operating system gives no event loop: {error}"));
            ExitStatus::Failed
        }
    }
}

/// The site, and whose home its paths are in.
fn load(arguments: &Rehearse) -> Result<(Loaded, UserDirectories), Problems> {
    if site::is_here(&arguments.run.site)? {
        return Ok((site::from_disk(&arguments.run.site)?.0, UserDirectories::of_user()));
    }
    let mut loaded = site::from_source(&Example, example::DIRECTORY, &arguments.run.site)?;
    // The example is there to show all of it, and begins with new boards.
    loaded.site.settings.do_flash = true;
    Ok((loaded, UserDirectories::of(Example.home(), |name| Example.env(name))))
}

/// What is forced is forced once: what comes after is the same site without force.
fn unforced(site: &Site) -> Site {
    let mut site = site.clone();
    let settings = &mut site.settings;
    (settings.flash_force, settings.k3s_force, settings.cluster_force) = (false, false, false);
    site
}

struct Rehearsal<'a> {
    site: Arc<Site>,
    from: From,
    lanes: Lanes,
    again: Lanes,
    /// All of the site, where the rehearsal begins with what that builds.
    all: Option<Lanes>,
    arguments: &'a Rehearse,
    speed: f64,
}

impl Rehearsal<'_> {
    async fn play(&self) -> Result<ExitStatus, ExitStatus> {
        let world = self.begin().await?;
        let json = self.arguments.run.json;
        if !json {
            let (name, from, settings) = (&self.site.name, self.from, &self.site.settings);
            let title = format!("Rehearsing {name} in a simulated world: no real machine is touched.");
            let assumed = format!(
                "It begins {from} (--from), do_flash is {}, flash_force is {}.",
                settings.do_flash, settings.flash_force
            );
            say(&lines([title.as_str(), assumed.as_str(), ""]))?;
        }
        let (planned, events) =
            self.pass(&world, &self.lanes, "rehearsal", Pass::Plan, Vec::new(), Expected::default()).await;
        self.show_plan(&events)?;
        if self.arguments.plan_only {
            return Ok(ExitStatus::of_plan(planned.tally, false, false));
        }
        if self.arguments.faults {
            world.set_faults(Faults::seeded(self.arguments.seed));
        }
        let expected = planned.expected.clone();
        let (mut walked, mut events) =
            self.pass(&world, &self.lanes, "rehearsal", Pass::Apply, planned.hazards, expected).await;
        self.show(&events)?;
        world.set_faults(Faults::none());
        for round in 1..=CALM_RUNS {
            if ExitStatus::of_apply(walked.tally, false) == ExitStatus::Done {
                break;
            }
            if !json {
                let why = match self.arguments.faults {
                    true => "The faults have stopped; what they left is gone on with.",
                    false => "Some steps are left; the next run goes on with them.",
                };
                say(&lines(["", why, ""]))?;
            }
            // Whoever runs it again takes a moment to read what happened.
            tokio::time::sleep(Duration::from_secs(120)).await;
            let name = format!("rehearsal-{round}");
            let (planned, _) = self.pass(&world, &self.lanes, &name, Pass::Plan, Vec::new(), Expected::default()).await;
            let expected = planned.expected.clone();
            (walked, events) = self.pass(&world, &self.lanes, &name, Pass::Apply, planned.hazards, expected).await;
            self.show(&events)?;
        }
        let status = ExitStatus::of_apply(walked.tally, false);
        if let Some(report) = Report::of(&events) {
            self.show_report(&report)?;
        }
        if status != ExitStatus::Done {
            return Ok(status);
        }
        self.second_pass(&world).await
    }

    /// The world at the beginning.
    async fn begin(&self) -> Result<SimWorld, ExitStatus> {
        let fresh = Story::fresh();
        if self.from == From::Fresh {
            return Ok(SimWorld::resume(&fresh.begin(&self.site)));
        }
        let installed = self
            .site
            .nodes
            .iter()
            .fold(fresh.trusted(), |story, node| story.with(node.name.as_str(), Condition::Installed));
        let world = SimWorld::resume(&installed.begin(&self.site));
        if let Some(all) = &self.all {
            let (planned, _) = self.pass(&world, all, "built", Pass::Plan, Vec::new(), Expected::default()).await;
            let expected = planned.expected.clone();
            let (walked, _) = self.pass(&world, all, "built", Pass::Apply, planned.hazards, expected).await;
            let status = ExitStatus::of_apply(walked.tally, false);
            if status != ExitStatus::Done {
                terminal::error(format_args!("error: the simulated site cannot be built, so nothing begins with it"));
                return Err(status);
            }
        }
        Ok(world)
    }

    /// What is done is done: another run has nothing to do.
    async fn second_pass(&self, world: &SimWorld) -> Result<ExitStatus, ExitStatus> {
        let (planned, _) = self.pass(world, &self.again, "second", Pass::Plan, Vec::new(), Expected::default()).await;
        let expected = planned.expected.clone();
        let (walked, _) = self.pass(world, &self.again, "second", Pass::Apply, planned.hazards, expected).await;
        let changed = walked.tally.changed + walked.tally.failed + walked.tally.blocked + walked.tally.not_converged;
        if !self.arguments.run.json {
            let found = match changed {
                0 => format!("A second pass changes nothing: all {} steps are in sync.", walked.tally.in_sync),
                _ => format!("A second pass was to change nothing, and {changed} steps did not hold."),
            };
            say(&lines(["", found.as_str()]))?;
        }
        Ok(match world.violations().as_slice() {
            [] if changed == 0 => ExitStatus::Done,
            [] => ExitStatus::NotConverged,
            violations => {
                let found = violations.join("; ");
                terminal::error(format_args!("error: this is a defect of bringup, please report it: {found}"));
                ExitStatus::Failed
            }
        })
    }

    /// One pass over the lanes. A rehearsal approves what is asked: nothing real is hurt.
    async fn pass(
        &self,
        world: &SimWorld,
        lanes: &Lanes,
        name: &str,
        pass: Pass,
        approved: Vec<Hazard>,
        expected: Expected,
    ) -> (Walked, Vec<Event>) {
        let named = approved.iter().filter_map(Hazard::needs_name).cloned().collect();
        let forced = self.site.settings.flash_force;
        world.set_approval(Approval { approved: approved.clone(), forced, named });
        let events = Mutex::new(Vec::new());
        let run = Run {
            world,
            name: name.to_owned(),
            site: self.site.name.clone(),
            pass,
            approved,
            expected,
            stop: Stop::default(),
            forks: self.arguments.run.forks.unwrap_or(crate::FORKS),
            events: &|event| events.lock().unwrap_or_else(PoisonError::into_inner).push(event),
            guards: Guards::default(),
        };
        let walked = walk(lanes, &run).await;
        (walked, events.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn show_plan(&self, events: &[Event]) -> Result<(), ExitStatus> {
        if self.arguments.run.json {
            return self.show(events);
        }
        let mut plan = PlanText::default();
        events.iter().for_each(|event| plan.event(event));
        say(&plan.text(&self.site.notices, self.arguments.run.verbose, self.arguments.diff))
    }

    /// Shows events in the time that they took, as much faster as was asked.
    fn show(&self, events: &[Event]) -> Result<(), ExitStatus> {
        let mut screen = screen(self.arguments.run.json, self.arguments.run.verbose);
        written(if self.speed > 0.0 {
            paced(events, self.speed, screen.as_mut())
        } else {
            at_once(events, screen.as_mut())
        })
    }

    fn show_report(&self, report: &Report) -> Result<(), ExitStatus> {
        if !self.arguments.run.json {
            let mut text = lines([""]);
            text.append(report_text(report));
            text.push("");
            return say(&text);
        }
        match serde_json::to_value(report) {
            Ok(mut value) => {
                value["event"] = "report".into();
                say_exactly(&value.to_string())
            }
            Err(error) => {
                terminal::error(format_args!("error: the report cannot be written: {error}"));
                Err(ExitStatus::Failed)
            }
        }
    }
}

fn lines<'a>(texts: impl IntoIterator<Item = &'a str>) -> Lines {
    texts.into_iter().collect()
}

fn at_once(events: &[Event], screen: &mut dyn Screen) -> std::io::Result<()> {
    events.iter().try_for_each(|event| screen.event(event))?;
    screen.finish()
}

fn paced(events: &[Event], speed: f64, screen: &mut dyn Screen) -> std::io::Result<()> {
    let began = Instant::now();
    for event in events {
        let due = Duration::from_secs_f64(Duration::from_millis(event.at).as_secs_f64() / speed);
        while let Some(left) = due.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
            std::thread::sleep(left.min(FRAME));
            let at = Duration::from_secs_f64(began.elapsed().as_secs_f64() * speed);
            screen.tick(u64::try_from(at.as_millis()).unwrap_or(u64::MAX))?;
        }
        screen.event(event)?;
    }
    screen.finish()
}
