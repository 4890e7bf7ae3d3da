//! What a BMC does with its slots, whichever way it is told.

use bringup_core::contract::world::BoxFuture;
use bringup_core::ids::Slot;

use super::api_reply::{Transfer, UsbRoute};
use super::error::BmcError;

/// A way to tell a BMC what to do.
pub(crate) trait Controls: Send + Sync {
    /// Which slots have power: what was last set, not what is.
    fn power(&self) -> BoxFuture<'_, Result<[bool; 4], BmcError>>;

    /// Gives a slot power, or takes it.
    fn set_power(&self, slot: Slot, on: bool) -> BoxFuture<'_, Result<(), BmcError>>;

    /// Makes a module a disk of the BMC. It has power then.
    fn storage_mode(&self, slot: Slot) -> BoxFuture<'_, Result<(), BmcError>>;

    /// Lets modules boot by themselves again.
    fn normal_mode(&self, slot: Slot) -> BoxFuture<'_, Result<(), BmcError>>;

    /// Whether that boots the slot's module there and then, though it has no power.
    fn normal_mode_boots(&self) -> bool;

    /// The slot whose USB mode is stored as `flash`; `None` also where nothing tells.
    fn stored_usb_boot(&self) -> BoxFuture<'_, Result<Option<Slot>, BmcError>>;

    /// Stores `device` as the USB mode of a slot.
    fn store_usb_device(&self, slot: Slot) -> BoxFuture<'_, Result<(), BmcError>>;

    /// Where the USB bus goes; `None` where nothing tells.
    fn usb_route(&self) -> BoxFuture<'_, Result<Option<UsbRoute>, BmcError>>;

    /// Sets where the USB bus goes.
    fn set_usb_route(&self, route: UsbRoute) -> BoxFuture<'_, Result<(), BmcError>>;

    /// The last that a slot's serial console said.
    fn console(&self, slot: Slot) -> BoxFuture<'_, Result<String, BmcError>>;

    /// Starts to flash from a file of the BMC's own; what names the transfer, where something does. One that runs is
    /// cancelled by it.
    fn flash<'a>(&'a self, slot: Slot, path: &'a str) -> BoxFuture<'a, Result<Option<u64>, BmcError>>;

    /// How the one transfer stands.
    fn transfer(&self) -> BoxFuture<'_, Result<Transfer, BmcError>>;
}
