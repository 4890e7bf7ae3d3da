//! On boards: images, slots and their USB modes.

pub(super) mod flash_condition;
pub(super) mod flash_failure;
pub(super) mod provisioned_slot;
pub(super) mod staged_image;
mod transfer;
pub(super) mod usb_mode;

#[cfg(test)]
mod samples;
