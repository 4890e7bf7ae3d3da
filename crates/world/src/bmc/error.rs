//! What keeps a BMC from doing as asked.

use std::sync::Arc;

use bringup_core::ids::{Slot, Target};
use bringup_core::run::fault::{Cause, Fault};

use crate::image::NoImage;
use crate::ssh::{self, Failure};
use crate::web::{self, Broken};

/// What to do about a daemon that is dead or hangs. It is not done unasked: it may cost nodes their power.
pub(super) const RESTART_IT: &str = "log in to the BMC and run /etc/init.d/S94bmcd restart, which may cut the power of the board's nodes \
                          for some seconds; then run again";

/// Why a BMC did not do as asked, and what it said.
#[derive(Clone, Debug)]
pub(crate) enum BmcError {
    /// It cannot be reached over SSH.
    Host(Failure),
    /// Its daemon takes no connections: it does not run.
    Gone(String),
    /// Its daemon does not answer.
    Silent(String),
    /// Its daemon answered, and said no.
    Said(u16, String),
    /// The module did not show up on USB.
    NoModule(String),
    /// Its answer is not understood.
    Odd(String),
    /// Someone else has it.
    Held(String),
    /// A transfer runs that ours would cancel.
    Transferring(Option<Slot>),
    /// A script ended badly.
    Script(String),
    /// The image is none, or not for this.
    Image(String),
    /// The module does not hold what was written to it.
    Other(String),
    /// Bytes are not those that were asked for.
    Mismatch(String),
    /// The image does not come to the controller.
    Fetch(Arc<web::WebError>),
    /// The image was replaced at its address while it came.
    Replaced,
    /// A file of the controller.
    Local(String),
    /// No room, or no card.
    NoRoom(String),
    /// What this BMC, or this way to it, cannot do.
    Unable(String, &'static str),
}

impl From<Failure> for BmcError {
    fn from(failure: Failure) -> Self {
        Self::Host(failure)
    }
}

impl From<NoImage> for BmcError {
    fn from(NoImage(why): NoImage) -> Self {
        Self::Image(why)
    }
}

impl From<Broken> for BmcError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Fetch(trouble) => Self::Fetch(trouble),
            Broken::Anew => Self::Replaced,
            Broken::Local(said) => Self::Local(said),
            Broken::Gone => Self::Local("it is not read to its end".to_owned()),
        }
    }
}

impl From<ssh::SshError> for BmcError {
    fn from(trouble: ssh::SshError) -> Self {
        match trouble {
            ssh::SshError::Host(failure) => Self::Host(failure),
            ssh::SshError::Local(error) => Self::Local(error.to_string()),
            ssh::SshError::There(said) => Self::Script(said),
        }
    }
}

impl BmcError {
    /// As a fault of whoever was `doing` something.
    pub fn fault(&self, target: &Target, doing: &str) -> Fault {
        let fault = |cause| Fault::new(cause, target.clone(), doing);
        match self {
            Self::Host(failure) => failure.fault(target, doing),
            Self::Gone(said) => fault(Cause::Unreachable)
                .said(said)
                .likely("bmcd does not run: nothing restarts it when it dies")
                .next(RESTART_IT),
            Self::Silent(said) => fault(Cause::Unreachable).said(said).likely("bmcd hangs").next(RESTART_IT),
            Self::Said(status, said) => fault(Cause::Failed)
                .said(said)
                .said(format!("bmcd answered with status {status}"))
                .next("fix what it says, then run again"),
            Self::NoModule(said) => fault(Cause::Passing)
                .said(said)
                .likely("the slot is empty, or the module did not show up on USB in time")
                .next(
                    "see whether a module sits in the slot; if it stays so, cut the whole board's power for a minute: \
                     that takes its other slots down too",
                ),
            Self::Odd(said) => fault(Cause::Failed)
                .said(said)
                .likely("this firmware's bmcd speaks another dialect than those that are known")
                .next("update the BMC's firmware, or set bmc_interface: tpi"),
            Self::Held(who) => fault(Cause::Busy)
                .said(format!("the board is held by {who}"))
                .next("wait until that run ends; a run that died lets go within two minutes"),
            Self::Transferring(slot) => fault(Cause::Busy)
                .said(match slot {
                    Some(slot) => format!("slot {slot} is being flashed, and another flash would cancel that"),
                    None => "a flash is under way, and another one would cancel that".to_owned(),
                })
                .next(
                    "wait until it ends; one that hangs ends with the BMC's daemon: /etc/init.d/S94bmcd restart, which may cut \
                     the power of the board's nodes for some seconds",
                ),
            Self::Script(said) => fault(Cause::Failed).said(said).next("fix what the last lines say, then run again"),
            Self::Image(said) => fault(Cause::Failed)
                .said(said)
                .likely("the address in the site is not that of an image for this module")
                .next("see what that file is; nothing was written to the module"),
            Self::Other(said) => fault(Cause::Mismatch)
                .said(said)
                .likely("it was not written, or not to the end; the slot is off")
                .next("flash it again; if it stays so, its storage is broken"),
            Self::Mismatch(said) => fault(Cause::Mismatch).said(said).next("run again: it is sent anew"),
            Self::Fetch(trouble) => trouble.fault(doing),
            Self::Replaced => fault(Cause::Stale)
                .said("the image at its address is another one than that whose beginning came before")
                .next("run again: it is sent from its beginning"),
            Self::Local(said) => {
                fault(Cause::Failed).said(said).next("see whether the file is there and can be read; then run again")
            }
            Self::NoRoom(said) => fault(Cause::Failed)
                .said(said)
                .next("put a larger card in, or take away what is not needed; or set flash_transport: stream"),
            Self::Unable(said, next) => fault(Cause::Failed).said(said).next(*next),
        }
    }
}
