//! The parsers of what a BMC says; see [`crate::fuzzing`].

use serde_json::Value;

use super::api_reply;
use super::error::BmcError;
use super::record::{Record, read_mark};
use super::tpi_reply::{self, Printed};
use crate::fuzzing::head_and_rest;

/// Below a line with the status and the path that was asked, the body.
pub(crate) fn bmcd_reply(bytes: &[u8]) -> bool {
    let (head, body) = head_and_rest(bytes);
    let (status, path) = head.split_once(' ').unwrap_or(("200", &head));
    let value = api_reply::result(status.parse().unwrap_or(200), &body);
    value.and_then(|value| understood(path, &value)).is_ok()
}

/// Reads an answer as the sender of its request does.
pub(super) fn understood(path: &str, value: &Value) -> Result<String, BmcError> {
    let kind = path.split("type=").nth(1).map(|rest| rest.split('&').next().unwrap_or_default());
    Ok(match (path.contains("opt=get"), kind) {
        (true, Some("power")) => format!("{:?}", api_reply::power(value)?),
        (true, Some("usb")) => format!("{:?}", api_reply::stored_usb_boot(value)?),
        (true, Some("flash")) => format!("{:?}", api_reply::transfer(value)?),
        (true, Some("about" | "other")) => api_reply::versions(value).to_string(),
        (false, Some("flash")) => api_reply::handle(value)?.to_string(),
        (false, Some(_)) => api_reply::ok(value).map(|()| "ok".to_owned())?,
        _ => value.to_string(),
    })
}

/// Below a line with the exit status, what `tpi` printed.
pub(crate) fn tpi_reply(bytes: &[u8]) -> bool {
    let (status, out) = head_and_rest(bytes);
    let printed = Printed { out, err: String::new(), status: status.parse().unwrap_or(0) };
    let _ = (tpi_reply::flashed(&printed), tpi_reply::console(&printed));
    tpi_reply::power(&printed).is_ok() || tpi_reply::ok(&printed).is_ok()
}

/// The record of a flash, or the mark of one that ended.
pub(crate) fn record(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    Record::read(&text, "boot").is_some() || read_mark(&text).is_some()
}
