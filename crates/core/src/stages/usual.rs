//! How long things usually take on each kind of machine. Decides order only: who has the longest way still to go.

use std::time::Duration;

use crate::resources::Upkeep;
use crate::site::Kind;

/// Writing the image and, after it, the way to the first login. A CM4 writes about 5 MB a second, an RK1 8 with its
/// read-back.
pub(super) fn flash(kind: Kind) -> (Duration, Duration) {
    match kind {
        Kind::Cm4 => (Duration::from_secs(765), Duration::from_secs(75)),
        Kind::Rk1 | Kind::Other => (Duration::from_secs(590), Duration::from_secs(65)),
    }
}

/// What looking after packages takes: a CM4's storage is the slowest, a PC's the fastest.
pub(super) fn upkeep(upkeep: Upkeep, kind: Kind) -> Duration {
    let percent = match kind {
        Kind::Cm4 => 160,
        Kind::Rk1 => 100,
        Kind::Other => 60,
    };
    let seconds = match upkeep {
        Upkeep::Configured => 1,
        Upkeep::Upgraded => 240,
        Upkeep::Autoremoved => 13,
    };
    Duration::from_secs(seconds * percent / 100)
}

/// From the order to reboot to the next login.
pub(super) fn reboot(kind: Kind) -> Duration {
    Duration::from_secs(match kind {
        Kind::Cm4 => 48,
        Kind::Rk1 => 40,
        Kind::Other => 70,
    })
}
