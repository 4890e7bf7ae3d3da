//! The BMC by its daemon's own API.

use std::sync::Arc;

use bringup_core::contract::world::BoxFuture;
use bringup_core::ids::Slot;
use serde_json::Value;

use super::api_reply::{self, Transfer, UsbRoute};
use super::controls::Controls;
use super::error::BmcError;
use super::line::{self, Port};
use super::query;
use crate::ssh::Session;

/// bmcd's API at the other end of a session.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub session: Arc<Session>,
    pub port: Port,
}

impl Api {
    /// What a request gives.
    pub async fn ask(&self, path: &str) -> Result<Value, BmcError> {
        let (status, body) = line::get(&self.session, self.port, path).await?;
        api_reply::result(status, &body)
    }
}

impl Controls for Api {
    fn power(&self) -> BoxFuture<'_, Result<[bool; 4], BmcError>> {
        Box::pin(async { api_reply::power(&self.ask(&query::get("power")).await?) })
    }

    fn set_power(&self, slot: Slot, on: bool) -> BoxFuture<'_, Result<(), BmcError>> {
        Box::pin(async move { api_reply::ok(&self.ask(&query::power(slot, on)).await?) })
    }

    fn storage_mode(&self, slot: Slot) -> BoxFuture<'_, Result<(), BmcError>> {
        Box::pin(async move { api_reply::ok(&self.ask(&query::storage_mode(slot)).await?) })
    }

    fn normal_mode(&self, _: Slot) -> BoxFuture<'_, Result<(), BmcError>> {
        Box::pin(async { api_reply::ok(&self.ask(&query::clear_usb_boot()).await?) })
    }

    fn normal_mode_boots(&self) -> bool {
        false
    }

    fn stored_usb_boot(&self) -> BoxFuture<'_, Result<Option<Slot>, BmcError>> {
        Box::pin(async { api_reply::stored_usb_boot(&self.ask(&query::get("usb")).await?) })
    }

    fn store_usb_device(&self, slot: Slot) -> BoxFuture<'_, Result<(), BmcError>> {
        Box::pin(async move { api_reply::ok(&self.ask(&query::usb_device(slot)).await?) })
    }

    fn usb_route(&self) -> BoxFuture<'_, Result<Option<UsbRoute>, BmcError>> {
        Box::pin(async { Ok(api_reply::usb_route(&self.ask(&query::get("usb")).await?)) })
    }

    fn set_usb_route(&self, route: UsbRoute) -> BoxFuture<'_, Result<(), BmcError>> {
        Box::pin(async move { api_reply::ok(&self.ask(&query::usb(route)).await?) })
    }

    fn console(&self, slot: Slot) -> BoxFuture<'_, Result<String, BmcError>> {
        Box::pin(async move { api_reply::console(&self.ask(&query::console(slot)).await?) })
    }

    fn flash<'a>(&'a self, slot: Slot, path: &'a str) -> BoxFuture<'a, Result<Option<u64>, BmcError>> {
        Box::pin(async move { api_reply::handle(&self.ask(&query::flash_local(slot, path)).await?).map(Some) })
    }

    fn transfer(&self) -> BoxFuture<'_, Result<Transfer, BmcError>> {
        Box::pin(async { api_reply::transfer(&self.ask(&query::get("flash")).await?) })
    }
}
