//! What keeps a file from being fetched, as the operator needs it.

use std::io;

use bringup_core::ids::{Sha256, Target};
use bringup_core::run::fault::{Cause, Fault};

/// Why something could not be fetched.
#[derive(Debug)]
pub(crate) enum WebError {
    /// It is no address that we follow.
    Address(String),
    /// The name does not resolve.
    Unresolved(String),
    /// Nothing answers.
    Unreachable(String),
    /// TLS came to no agreement.
    Tls(String),
    /// It answered, and not with the file.
    Status(u16, String),
    /// It has more bytes than anything of its kind.
    TooLong {
        /// How many it may have.
        longest: u64,
    },
    /// No byte for so many seconds.
    Stalled(u64),
    /// It broke off.
    Lost(String),
    /// Our own disk.
    Local(String, io::Error),
    /// These are other bytes than were asked for.
    Mismatch {
        /// The sum that was asked for.
        wanted: Sha256,
        /// The sum of what came.
        got: Sha256,
    },
    /// The archive does not hold what was asked for, or is none.
    Archive(String),
    /// Another process fetches the same.
    Busy(String),
}

impl WebError {
    /// As a fault of whoever was `doing` something.
    pub fn fault(&self, doing: &str) -> Fault {
        let fault = |cause| Fault::new(cause, Target::Controller, doing);
        match self {
            Self::Address(said) => fault(Cause::Failed)
                .said(said)
                .next("give it an address that begins with https://, http:// or file://, or an absolute path"),
            Self::Unresolved(said) => fault(Cause::Unresolved)
                .said(said)
                .likely("there is no way to the internet from here, or the name is misspelt")
                .next("see whether the name resolves here; a mirror or a local path can be set in the site"),
            Self::Unreachable(said) => fault(Cause::Unreachable)
                .said(said)
                .next("see whether it can be reached from here; a mirror or a local path can be set in the site"),
            Self::Tls(said) => fault(Cause::Refused)
                .said(said)
                .likely("its certificate is not one that this system trusts, or this system's clock is wrong")
                .next("install the certificate authority of the mirror (on Debian: ca-certificates), or set the clock"),
            Self::Status(status, said) => {
                let passing = matches!(status, 408 | 425 | 429 | 500..=599);
                let fault = fault(if passing { Cause::Passing } else { Cause::Failed })
                    .said(format!("it answered with status {status} {said}").trim_end());
                if passing { fault } else { fault.next("see whether the address in the site is still right") }
            }
            Self::TooLong { longest } => fault(Cause::Mismatch)
                .said(format!("it is longer than {} GiB, the most that is fetched of its kind", longest >> 30))
                .likely("something else answers at that address")
                .next("see what is there; nothing was put in place"),
            Self::Stalled(seconds) => fault(Cause::Silent)
                .said(format!("no byte came for {seconds} s"))
                .next("run again: it goes on where it stopped"),
            Self::Lost(said) => fault(Cause::Lost).said(said).next("run again: it goes on where it stopped"),
            Self::Local(what, error) => fault(Cause::Failed)
                .said(format!("{what}: {error}"))
                .next("see whether the path is right and yours, and whether the disk has room"),
            Self::Mismatch { wanted, got } => fault(Cause::Mismatch)
                .said(format!("its sha256 is {got}"))
                .said(format!("it should be {wanted}"))
                .likely("the file at that address was replaced, or the sum in the site is that of another file")
                .next("compare both with what its publisher says; nothing was put in place"),
            Self::Archive(said) => fault(Cause::Failed)
                .said(said)
                .next("see what the archive at that address holds; nothing was put in place"),
            Self::Busy(said) => fault(Cause::Busy).said(said).next("wait until the other run has it"),
        }
    }
}
