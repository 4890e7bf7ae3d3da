//! What `plan` and `apply` have in common on the real world.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bringup_core::engine::{Expected, Lanes, Run, Stop, Walked, walk};
use bringup_core::run::event::{Event, Pass};
use bringup_core::run::hazard::Hazard;
use bringup_core::sabotage::Guards;
use bringup_core::site::{Loaded, Scope, Source};
use bringup_core::stages::lanes;
use bringup_world::ssh::{ClientConfig, Logins};
use bringup_world::{Directories, Journal, KnownNodes, LocalSource, RealWorld, RunLock, run_name};

use crate::args::{LoginArguments, RunArguments};
use crate::commands::site::{self, UserDirectories};
use crate::consent::{Ask, Decision, decide};
use crate::exit_status::ExitStatus;
use crate::problems;
use crate::process_limits;
use crate::terminal::{self, Lines};
use crate::ui::{PlanText, screen, written};

/// How often the time that goes by is drawn.
const TICK: Duration = Duration::from_millis(250);
/// How long a run that has ended may take to let go of what it held.
const CLOSING_BOUND: Duration = Duration::from_secs(3);

/// What is wanted of the real world.
#[derive(Clone, Copy, Debug)]
pub enum Wanted {
    /// To be looked at.
    Plan {
        /// Status 3 if there are changes.
        exit_code: bool,
        /// Whole values.
        diff: bool,
    },
    /// To be as it should be.
    Apply {
        /// The one question is answered.
        yes: bool,
        /// Whole values.
        diff: bool,
    },
}

/// Plans, and applies if that is wanted.
pub fn run(arguments: &RunArguments, login: &LoginArguments, wanted: &Wanted) -> Result<ExitStatus, ExitStatus> {
    let (loaded, cfg) = site::from_disk(&arguments.site).map_err(|problems| site::refuse(&problems))?;
    let scope = site::scope(&loaded, arguments).map_err(|problems| site::refuse(&problems))?;
    if !loaded.warnings.0.is_empty() {
        terminal::errors(&problems::report(&loaded.warnings));
    }
    let command = match wanted {
        Wanted::Plan { .. } => "plan",
        Wanted::Apply { .. } => "apply",
    };
    let directory = Path::new(&loaded.directory);
    let _lock = RunLock::take(directory, command).map_err(|error| {
        terminal::error(format_args!("error: {error}"));
        ExitStatus::Failed
    })?;
    if scope.stages.is_empty() {
        return Ok(ExitStatus::Done);
    }
    let logins = logins(login)?;
    let failed = |what: &str, error: io::Error| {
        terminal::error(format_args!("error: {what}: {error}"));
        ExitStatus::Failed
    };
    let name = run_name(command);
    let journal = Journal::begin(directory, &name).map_err(|error| failed("the journal cannot be written", error))?;
    let known =
        KnownNodes::open(directory).map_err(|error| failed("what earlier runs learned cannot be read", error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed("the operating system gives no event loop", error))?;
    let forks = forks(arguments.forks.or(cfg.forks));
    let user = UserDirectories::of_user();
    let config = ClientConfig::read(Path::new(&user.home));
    let directories = Directories { site: directory.to_path_buf(), cache: user.cache.into() };
    let world = RealWorld::new(Arc::new(loaded.site.clone()), config, logins, directories);
    let real = Real {
        loaded: &loaded,
        world: &world,
        scope: &scope,
        forks,
        arguments,
        written_down: Mutex::new(WrittenDown { run: name.clone(), journal, known, warned: false }),
        name,
        stop: Stop::default(),
    };
    let status = runtime.block_on(async {
        let status = tokio::select! {
            biased;
            () = leave_on_second_interrupt(&real.stop) => ExitStatus::Interrupted,
            status = real.run(wanted) => status,
        };
        // What is not let go in time ends by itself.
        let _ = tokio::time::timeout(CLOSING_BOUND, world.close()).await;
        status
    });
    // Whoever reads a question that nobody will answer is not waited for.
    runtime.shutdown_background();
    if arguments.verbose > 0 && world.api_requests() > 0 {
        terminal::error(format_args!("{} requests to the cluster's API", world.api_requests()));
    }
    Ok(status)
}

/// How many nodes are spoken to at the same moment. That they are fewer than wanted is said.
fn forks(wanted: Option<usize>) -> usize {
    let wanted = wanted.unwrap_or(crate::FORKS);
    let forks = process_limits::forks(wanted);
    if forks < wanted {
        terminal::error(format_args!(
            "warning: {forks} nodes at a time instead of {wanted}: the limit of open files is too low; raise it with \
             `ulimit -n`"
        ));
    }
    forks
}

/// What hosts are logged in to with. Passwords are asked for now, passphrases when a key that has one is needed.
pub(super) fn logins(login: &LoginArguments) -> Result<Logins, ExitStatus> {
    let ask = |asked: bool, question: &str| match asked {
        true => site::password(question).map(Some).map_err(|problems| site::refuse(&problems)),
        false => Ok(None),
    };
    let passphrase = |key: &Path| site::password(&format!("Passphrase of {}: ", key.display())).ok();
    let agent = LocalSource.env("SSH_AUTH_SOCK");
    let mut logins = Logins::of_user(&LocalSource.home(), agent, Box::new(passphrase));
    logins.password = ask(login.ask_pass, "SSH password: ")?;
    logins.become_password = ask(login.ask_become_pass, "sudo password: ")?;
    Ok(logins)
}

/// Asks to stop at the first interrupt, and comes back at the second: whoever waits for this leaves at once.
async fn leave_on_second_interrupt(stop: &Stop) {
    for _ in 0..2 {
        if tokio::signal::ctrl_c().await.is_err() {
            // Nobody can interrupt here; the run goes to its end.
            std::future::pending::<()>().await;
        }
        stop.ask();
    }
}

struct Real<'a> {
    loaded: &'a Loaded,
    world: &'a RealWorld,
    scope: &'a Scope,
    forks: usize,
    arguments: &'a RunArguments,
    name: String,
    written_down: Mutex<WrittenDown>,
    stop: Stop,
}

/// What of a run stays on disk. That it cannot be written is said once, not for each event.
struct WrittenDown {
    run: String,
    journal: Journal,
    known: KnownNodes,
    warned: bool,
}

impl WrittenDown {
    fn event(&mut self, event: &Event) {
        let written = self.journal.event(event).and(self.known.learn(&self.run, event));
        if let Err(error) = written
            && !std::mem::replace(&mut self.warned, true)
        {
            let path = self.journal.path().display();
            terminal::error(format_args!(
                "warning: cannot write the journal {path} or known.json: {error}; parts of them will be missing"
            ));
        }
    }
}

impl Real<'_> {
    async fn run(&self, wanted: &Wanted) -> ExitStatus {
        let options = site::run_options(self.arguments, UserDirectories::of_user());
        let lanes = lanes(&self.loaded.site, self.scope, &options);
        let plan = Mutex::new(PlanText::default());
        let screen = Mutex::new(screen(self.arguments.json, self.arguments.verbose));
        let show = |event: &Event| screen.lock().unwrap_or_else(PoisonError::into_inner).event(event);
        let shown = Mutex::new(Ok(()));
        let planned = self
            .pass(&lanes, Pass::Plan, Vec::new(), Expected::default(), &|event| {
                plan.lock().unwrap_or_else(PoisonError::into_inner).event(event);
                let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                if self.arguments.json && shown.is_ok() {
                    *shown = show(event);
                }
            })
            .await;
        let (Wanted::Plan { diff, .. } | Wanted::Apply { diff, .. }) = *wanted;
        let world_notices = self.world.notices().await;
        let mut shown = shown.into_inner().unwrap_or_else(PoisonError::into_inner);
        if !self.arguments.json {
            let plan = plan.lock().unwrap_or_else(PoisonError::into_inner);
            let notices = [self.loaded.site.notices.clone(), world_notices].concat();
            shown = terminal::print(&plan.text(&notices, self.arguments.verbose, diff));
        }
        let yes = match *wanted {
            Wanted::Plan { exit_code, .. } => {
                let status = ExitStatus::of_plan(planned.tally, planned.interrupted, exit_code);
                return written(shown).err().unwrap_or(status);
            }
            Wanted::Apply { yes, .. } => yes,
        };
        if planned.interrupted {
            return ExitStatus::Interrupted;
        }
        if planned.in_sync() {
            return written(shown).err().unwrap_or(ExitStatus::Done);
        }
        // Approved is what was shown: neither a yes nor -y is for what nobody could read.
        if let Err(error) = shown {
            terminal::error(format_args!("error: cannot write the plan to standard output: {error}"));
            terminal::error("Apply cancelled. Nothing was changed.");
            return ExitStatus::Failed;
        }
        let decision = match self.decide(&planned.hazards, yes).await {
            Some(Ok(decision)) => decision,
            Some(Err(error)) => {
                terminal::error(format_args!("error: the terminal cannot be read: {error}"));
                return ExitStatus::Failed;
            }
            None => {
                terminal::error("");
                return ExitStatus::Interrupted;
            }
        };
        if decision.declined {
            terminal::error(format_args!(
                "Nothing was approved, so nothing is done. -y approves exactly what is listed above."
            ));
            return ExitStatus::Failed;
        }
        for node in &decision.unnamed {
            terminal::error(format_args!("{node} is left alone: it was not named."));
        }
        let began = Instant::now();
        // A reader who goes away now does not stop the run; the journal has it all.
        let show = |event: &Event| drop(show(event));
        let mut applying =
            std::pin::pin!(self.pass(&lanes, Pass::Apply, decision.approved, planned.expected.clone(), &show));
        let applied = loop {
            tokio::select! {
                biased;
                applied = &mut applying => break applied,
                () = tokio::time::sleep(TICK) => {
                    let at = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                    let _ = screen.lock().unwrap_or_else(PoisonError::into_inner).tick(at);
                }
            }
        };
        let _ = screen.lock().unwrap_or_else(PoisonError::into_inner).finish();
        ExitStatus::of_apply(applied.tally, applied.interrupted)
    }

    /// Asks for approval where the run goes on meanwhile: an interrupt is heard. `None`: it was.
    async fn decide(&self, hazards: &[Hazard], yes: bool) -> Option<io::Result<Decision>> {
        let (hazards, named, mask) = (hazards.to_vec(), self.scope.named.clone(), self.world.mask());
        let asking = tokio::task::spawn_blocking(move || decide(&hazards, yes, &named, &mask, &mut Terminal));
        tokio::select! {
            biased;
            () = self.stop.wait() => None,
            decision = asking => Some(decision.unwrap_or_else(|error| Err(io::Error::other(error)))),
        }
    }

    async fn pass(
        &self,
        lanes: &Lanes,
        pass: Pass,
        approved: Vec<Hazard>,
        expected: Expected,
        show: &(dyn Fn(&Event) + Send + Sync),
    ) -> Walked {
        let events = |event: Event| {
            // Whatever is shown or written down comes by here, and holds no secret from here on.
            let event = event.masked(&self.world.mask());
            self.written_down.lock().unwrap_or_else(PoisonError::into_inner).event(&event);
            show(&event);
        };
        let run = Run {
            world: self.world,
            name: self.name.clone(),
            site: self.loaded.site.name.clone(),
            pass,
            approved,
            expected,
            stop: self.stop.clone(),
            forks: self.forks,
            events: &events,
            guards: Guards::default(),
        };
        walk(lanes, &run).await
    }
}

/// Asks on the terminal; where there is none, nobody can be asked.
pub(super) struct Terminal;

impl Ask for Terminal {
    fn ask(&mut self, about: &Lines, question: &str) -> io::Result<Option<String>> {
        terminal::ask(about, question)
    }
}
