//! What this build cannot do yet.

use bringup_core::fault::{Cause, Fault};
use bringup_core::ids::Target;

/// The fault of whoever tries it.
pub(crate) fn fault(target: &Target, doing: String) -> Fault {
    Fault::new(Cause::NotBuilt, target.clone(), doing)
        .next("this build cannot do that yet; `bringup rehearse -i SITE` plays it without any machine")
}
