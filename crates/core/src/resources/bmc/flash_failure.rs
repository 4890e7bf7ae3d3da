//! What it means that a transfer to a module failed, and what to do about it.

use crate::contract::FlashFailure;
use crate::run::fault::Cause;

/// Whether it may pass, the likely cause, and the next step. `None`: nobody knows which failure it was.
pub(in crate::resources) fn explained(failure: Option<FlashFailure>) -> (Cause, &'static str, &'static str) {
    match failure {
        Some(FlashFailure::NoModule) => (
            Cause::Passing,
            "the slot is empty, or its module did not show up on USB in time",
            "see whether a module sits in the slot; if one does and it stays so, cut the whole board's power for a \
             minute: that takes its other slots down too",
        ),
        Some(FlashFailure::WrongBytes) => (
            Cause::Passing,
            "bytes were changed on their way, or the module's storage is broken",
            "run again: the image is sent and written anew; if it stays so, change the module",
        ),
        Some(FlashFailure::TooLarge) => (
            Cause::Failed,
            "the image is larger than the module's storage, which is written in part",
            "name an image in the site that fits this module, then run again",
        ),
        Some(FlashFailure::NotUnpacked) => (
            Cause::Failed,
            "the image is not a whole xz file, or it takes more memory to unpack than the BMC has",
            "check the image at its address with `xz -t`; with flash_transport: stream the controller unpacks it where \
             the BMC has not the memory",
        ),
        Some(FlashFailure::Cancelled) => (
            Cause::Passing,
            "another client of the BMC cancelled it: its web page, tpi, or another flash",
            "make sure that nobody else uses this board, then run again",
        ),
        Some(FlashFailure::Other) | None => (
            Cause::Passing,
            "the module went from USB, or the BMC's daemon is in trouble",
            "run again; if it stays so, cut the whole board's power for a minute: that takes its other slots down too",
        ),
    }
}
