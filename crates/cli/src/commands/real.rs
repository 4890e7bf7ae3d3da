//! What `plan` and `apply` have in common on the real world.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bringup_core::engine::{Expected, Lane, Run, Stop, Walked, walk};
use bringup_core::event::{Event, Pass};
use bringup_core::hazard::Hazard;
use bringup_core::sabotage::Guards;
use bringup_core::site::{AnsibleCfg, Loaded, Scope, Source};
use bringup_core::stages::lanes;
use bringup_world::ssh::{ClientConfig, Logins};
use bringup_world::{Directories, Journal, LocalSource, RealWorld, RunLock, run_name};

use crate::args::{LoginArguments, RunArguments};
use crate::commands::site;
use crate::consent::{Ask, Decision, decide};
use crate::exit_status::ExitStatus;
use crate::problems;
use crate::ui::{PlanText, say, screen};

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
        eprint!("{}", problems::report(&loaded.warnings));
    }
    let command = match wanted {
        Wanted::Plan { .. } => "plan",
        Wanted::Apply { .. } => "apply",
    };
    let directory = Path::new(&loaded.directory);
    let _lock = RunLock::take(directory, command).map_err(|error| {
        eprintln!("error: {error}");
        ExitStatus::Failed
    })?;
    if scope.stages.is_empty() {
        return Ok(ExitStatus::Done);
    }
    let logins = logins(login)?;
    let failed = |what: &str, error: io::Error| {
        eprintln!("error: {what}: {error}");
        ExitStatus::Failed
    };
    let name = run_name(command);
    let journal = Journal::begin(directory, &name).map_err(|error| failed("the journal cannot be written", error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed("the operating system gives no event loop", error))?;
    let config = ClientConfig::read(Path::new(&LocalSource.home()));
    let directories = Directories { site: directory.to_path_buf(), cache: site::cache(&LocalSource.home()).into() };
    let world = RealWorld::new(Arc::new(loaded.site.clone()), config, logins, directories);
    let real = Real {
        loaded: &loaded,
        world: &world,
        scope: &scope,
        cfg: &cfg,
        arguments,
        name,
        journal: Mutex::new(journal),
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
        eprintln!("{} requests to the cluster's API", world.api_requests());
    }
    Ok(status)
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
    cfg: &'a AnsibleCfg,
    arguments: &'a RunArguments,
    name: String,
    journal: Mutex<Journal>,
    stop: Stop,
}

impl Real<'_> {
    async fn run(&self, wanted: &Wanted) -> ExitStatus {
        let options = site::run_options(self.arguments, &LocalSource.home());
        let lanes = lanes(&self.loaded.site, self.scope, &options);
        let plan = Mutex::new(PlanText::default());
        let screen = Mutex::new(screen(self.arguments.json, self.arguments.verbose));
        let show = |event: &Event| {
            // A reader who went away does not stop the run; the journal has it all.
            let _ = screen.lock().unwrap_or_else(PoisonError::into_inner).event(event);
        };
        let planned = self
            .pass(&lanes, Pass::Plan, Vec::new(), Expected::default(), &|event| {
                plan.lock().unwrap_or_else(PoisonError::into_inner).event(event);
                if self.arguments.json {
                    show(event);
                }
            })
            .await;
        let (Wanted::Plan { diff, .. } | Wanted::Apply { diff, .. }) = *wanted;
        let world_notices = self.world.notices().await;
        if !self.arguments.json {
            let plan = plan.lock().unwrap_or_else(PoisonError::into_inner);
            let notices = [self.loaded.site.notices.clone(), world_notices].concat();
            say(&plan.text(&notices, self.arguments.verbose, diff));
        }
        let yes = match *wanted {
            Wanted::Plan { exit_code, .. } => {
                return ExitStatus::of_plan(planned.tally, planned.interrupted, exit_code);
            }
            Wanted::Apply { yes, .. } => yes,
        };
        if planned.interrupted {
            return ExitStatus::Interrupted;
        }
        if planned.in_sync() {
            return ExitStatus::Done;
        }
        let decision = match self.decide(&planned.hazards, yes).await {
            Some(Ok(decision)) => decision,
            Some(Err(error)) => {
                eprintln!("error: the terminal cannot be read: {error}");
                return ExitStatus::Failed;
            }
            None => {
                eprintln!();
                return ExitStatus::Interrupted;
            }
        };
        if decision.declined {
            eprintln!("Nothing was approved, so nothing is done. -y approves exactly what is listed above.");
            return ExitStatus::Failed;
        }
        for node in &decision.unnamed {
            eprintln!("{node} is left alone: it was not named.");
        }
        let began = Instant::now();
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

    /// Asks for leave where the run goes on meanwhile: an interrupt is heard. `None`: it was.
    async fn decide(&self, hazards: &[Hazard], yes: bool) -> Option<io::Result<Decision>> {
        let (hazards, named) = (hazards.to_vec(), self.scope.named.clone());
        let asking = tokio::task::spawn_blocking(move || decide(&hazards, yes, &named, &mut Terminal));
        tokio::select! {
            biased;
            () = self.stop.wait() => None,
            decision = asking => Some(decision.unwrap_or_else(|error| Err(io::Error::other(error)))),
        }
    }

    async fn pass(
        &self,
        lanes: &[Lane],
        pass: Pass,
        approved: Vec<Hazard>,
        expected: Expected,
        show: &(dyn Fn(&Event) + Send + Sync),
    ) -> Walked {
        let events = |event: Event| {
            if let Err(error) = self.journal.lock().unwrap_or_else(PoisonError::into_inner).event(&event) {
                eprintln!("warning: the journal cannot be written: {error}");
            }
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
            forks: self.arguments.forks.or(self.cfg.forks).unwrap_or(crate::FORKS),
            events: &events,
            guards: Guards::default(),
        };
        walk(lanes, &run).await
    }
}

/// Asks on the terminal; where there is none, nobody can be asked.
pub(super) struct Terminal;

impl Ask for Terminal {
    fn ask(&mut self, question: &str) -> io::Result<Option<String>> {
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        let mut out = io::stderr();
        out.write_all(question.as_bytes())?;
        out.flush()?;
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line)?;
        Ok((read > 0).then_some(line))
    }
}
