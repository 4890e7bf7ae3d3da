//! The commands on one host.

use std::os::unix::process::CommandExt;

use super::at_host;
use crate::breakage;
use crate::failure::Failure;
use crate::host::{guest, power};
use crate::testbed::{Host, Place, Testbed};
use crate::{board, tools};

/// Something that is done to a host.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// Power on.
    Start,
    /// A clean power-off.
    Stop,
    /// Power off at once.
    Cut,
    /// New from the base system.
    Reset,
}

/// Does it.
pub fn run(testbed: &Testbed, name: &str, action: Action) -> Result<(), Failure> {
    tools::root()?;
    let host = testbed.host(name)?;
    let _locks = at_host(testbed, host)?;
    if let Place::Slot { board, .. } = &host.place {
        return Err(Failure::new(format!("change the power of {name}"), format!("it is in a slot of {board}"))
            .help(format!("its BMC does that: testbed exec --name {} {board} -- tpi power --help", testbed.name)));
    }
    match action {
        Action::Start => {
            if guest::leader(testbed, host)?.is_none() {
                breakage::after_boot(testbed, host)?;
            }
            power::start(testbed, host)
        }
        Action::Stop => power::stop(testbed, host),
        Action::Cut if host.place == Place::Bmc => {
            power::cut(testbed, host)?;
            board::bmc::modules_off(&board::seat(testbed, host))
        }
        Action::Cut => power::cut(testbed, host),
        Action::Reset => power::reset(testbed, host),
    }
}

/// Becomes a command inside a host; comes back only if that fails.
pub fn exec(testbed: &Testbed, host: &Host, command: &[String]) -> Result<(), Failure> {
    tools::root()?;
    let error = guest::command(testbed, host, command)?.exec();
    Err(Failure::new("run nsenter", error))
}
