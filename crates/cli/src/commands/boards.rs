//! What the commands for single slots have in common: a site, its boards, and the nodes in them.

use std::path::Path;
use std::sync::Arc;

use bringup_core::ids::NodeName;
use bringup_core::run::fault::Fault;
use bringup_core::site::{Node, Place, Site};
use bringup_world::ssh::ClientConfig;
use bringup_world::{Directories, RealWorld};

use crate::args::{LoginArguments, SiteArguments};
use crate::commands::site::UserDirectories;
use crate::commands::{real, site};
use crate::exit_status::ExitStatus;
use crate::problems;
use crate::terminal;
use crate::ui::fault_lines;

/// A site whose boards can be spoken to.
pub struct Boards {
    /// What should be.
    pub site: Arc<Site>,
    /// The site's directory.
    pub directory: String,
    /// Its boards, and the rest of the world.
    pub world: RealWorld,
}

impl Boards {
    /// Reads a site; nobody is contacted yet.
    pub fn open(arguments: &SiteArguments, login: &LoginArguments) -> Result<Self, ExitStatus> {
        let (loaded, _) = site::from_disk(arguments).map_err(|problems| site::refuse(&problems))?;
        if !loaded.warnings.0.is_empty() {
            terminal::errors(&problems::report(&loaded.warnings));
        }
        let (site, user) = (Arc::new(loaded.site), UserDirectories::of_user());
        let directories = Directories { site: (&loaded.directory).into(), cache: user.cache.into() };
        let config = ClientConfig::read(Path::new(&user.home));
        let world = RealWorld::new(Arc::clone(&site), config, real::logins(login)?, directories);
        Ok(Self { site, directory: loaded.directory, world })
    }

    /// A node by its name, and its place on a board.
    pub fn node(&self, name: &str) -> Result<(&Node, &Place), ExitStatus> {
        let node = self.site.node(&NodeName::new(name)).ok_or_else(|| {
            site::refuse(&site::problem(
                format!("there is no node `{name}`"),
                Some("see `bringup inventory --graph`".to_owned()),
            ))
        })?;
        let place = node.place.as_ref().ok_or_else(|| {
            let help = "its power and its console are its own".to_owned();
            site::refuse(&site::problem(format!("`{name}` sits on no board"), Some(help)))
        })?;
        Ok((node, place))
    }
}

/// Runs to its end, or to an interrupt.
pub fn block_on(going: impl Future<Output = ExitStatus>) -> ExitStatus {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal::error(format_args!("error: the operating system gives no event loop: {error}"));
            return ExitStatus::Failed;
        }
    };
    runtime.block_on(async {
        tokio::select! {
            biased;
            Ok(()) = tokio::signal::ctrl_c() => ExitStatus::Interrupted,
            status = going => status,
        }
    })
}

/// Says what went wrong.
pub fn failed(fault: &Fault) -> ExitStatus {
    terminal::errors(&fault_lines(fault).into_iter().collect());
    ExitStatus::Failed
}
