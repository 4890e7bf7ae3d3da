//! The BMC by `tpi`, which runs there.

use std::sync::Arc;
use std::time::Duration;

use bringup_core::contract::world::BoxFuture;
use bringup_core::ids::Slot;

use super::api_reply::{Transfer, UsbRoute};
use super::controls::Controls;
use super::error::BmcError;
use super::tpi_reply::{self, Printed};
use crate::shell::bmc;
use crate::ssh::Session;

/// How long it may take. It has no bound of its own, and waits for a daemon that hangs without end. What takes it longest
/// is to find a module on USB: some 7 s.
const BOUND: Duration = Duration::from_secs(30);

/// `tpi` at the other end of a session.
#[derive(Clone, Debug)]
pub(crate) struct Tpi {
    pub session: Arc<Session>,
}

impl Tpi {
    async fn run(&self, arguments: &[&str]) -> Result<Printed, BmcError> {
        self.piece(&bmc::tpi(arguments)).await
    }

    async fn piece(&self, piece: &str) -> Result<Printed, BmcError> {
        let said = tokio::time::timeout(BOUND, self.session.piece(piece)).await;
        let silent = |_| BmcError::Silent(format!("tpi has not ended after {} s", BOUND.as_secs()));
        let section = said.map_err(silent)??;
        Ok(Printed { out: section.out, err: section.err, status: section.status })
    }
}

impl Controls for Tpi {
    fn power(&self) -> BoxFuture<'_, Result<[bool; 4], BmcError>> {
        Box::pin(async { tpi_reply::power(&self.run(&["power", "status"]).await?) })
    }

    fn set_power(&self, slot: Slot, on: bool) -> BoxFuture<'_, Result<(), BmcError>> {
        Box::pin(async move {
            let number = slot.to_string();
            tpi_reply::ok(&self.run(&["power", if on { "on" } else { "off" }, "-n", &number]).await?)
        })
    }

    fn storage_mode(&self, slot: Slot) -> BoxFuture<'_, Result<(), BmcError>> {
        Box::pin(async move { tpi_reply::ok(&self.run(&["advanced", "msd", "-n", &slot.to_string()]).await?) })
    }

    fn normal_mode(&self, slot: Slot) -> BoxFuture<'_, Result<(), BmcError>> {
        Box::pin(async move { tpi_reply::ok(&self.run(&["advanced", "normal", "-n", &slot.to_string()]).await?) })
    }

    /// `tpi advanced normal` pulses the module's reset line, which gives it power.
    fn normal_mode_boots(&self) -> bool {
        true
    }

    /// It prints the two ends of the bus, not the mode.
    fn stored_usb_boot(&self) -> BoxFuture<'_, Result<Option<Slot>, BmcError>> {
        Box::pin(async { Ok(None) })
    }

    fn store_usb_device(&self, slot: Slot) -> BoxFuture<'_, Result<(), BmcError>> {
        Box::pin(async move { tpi_reply::ok(&self.run(&["usb", "device", "-n", &slot.to_string()]).await?) })
    }

    /// It prints the two ends of the bus in other words with each release.
    fn usb_route(&self) -> BoxFuture<'_, Result<Option<UsbRoute>, BmcError>> {
        Box::pin(async { Ok(None) })
    }

    fn set_usb_route(&self, _: UsbRoute) -> BoxFuture<'_, Result<(), BmcError>> {
        Box::pin(async { Ok(()) })
    }

    fn console(&self, slot: Slot) -> BoxFuture<'_, Result<String, BmcError>> {
        Box::pin(async move { tpi_reply::console(&self.run(&["uart", "get", "-n", &slot.to_string()]).await?) })
    }

    /// It waits for the end of a flash itself, so it is left running by itself.
    fn flash<'a>(&'a self, slot: Slot, path: &'a str) -> BoxFuture<'a, Result<Option<u64>, BmcError>> {
        Box::pin(async move {
            let printed = self.piece(&bmc::start_tpi_flash(slot.number(), path)).await?;
            if printed.status == 0 { Ok(None) } else { Err(BmcError::Script(printed.err)) }
        })
    }

    fn transfer(&self) -> BoxFuture<'_, Result<Transfer, BmcError>> {
        Box::pin(async {
            let printed = self.piece(&bmc::tpi_flash_state()).await?;
            if printed.status == bmc::NONE {
                return Ok(Transfer::Ready);
            }
            let mut lines = printed.out.splitn(3, '\n');
            let moved = lines.next().unwrap_or_default().trim().parse().ok();
            let state = lines.next().unwrap_or_default().trim().to_owned();
            let out = lines.next().unwrap_or_default().to_owned();
            Ok(match (state.as_str(), state.parse()) {
                ("running", _) => Transfer::Running { handle: None, slot: None, size: 0, written: moved },
                (_, Ok(status)) => tpi_reply::flashed(&Printed { out, err: printed.err, status }),
                _ => Transfer::Failed("tpi was ended before the flash was".to_owned()),
            })
        })
    }
}
