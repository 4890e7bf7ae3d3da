//! What bmcd answers, understood. The shapes are those of `bmcd-http.jsonl` and `bmcd-progress.jsonl` in the tests.

use bringup_core::ids::Slot;
use serde_json::Value;

use super::error::BmcError;

/// The one transfer of a BMC.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Transfer {
    /// None since the daemon started.
    Ready,
    /// Under way, or for ever if its worker died.
    Running {
        /// Names it; `None` where nothing does.
        handle: Option<u64>,
        /// To which slot.
        slot: Option<Slot>,
        /// Bytes of the file as it was sent.
        size: u64,
        /// Bytes written, from 0 again for the reading back. `None`: nobody knows.
        written: Option<u64>,
    },
    /// The last one ended well.
    Done {
        /// Bytes of the file as it was sent.
        size: Option<u64>,
    },
    /// The last one ended badly.
    Failed(String),
}

/// Takes the result out of an answer: what stands in `response`, or the whole where there is no such frame.
pub(crate) fn result(status: u16, body: &str) -> Result<Value, BmcError> {
    let value: Option<Value> = serde_json::from_str(body).ok();
    let framed = value.as_ref().and_then(|value| value.get("response")?.get(0)).cloned();
    if (200..300).contains(&status) {
        if body.trim().is_empty() {
            return Ok(Value::Null);
        }
        return match (framed, value) {
            (Some(framed), _) => Ok(framed.get("result").cloned().unwrap_or(framed)),
            (None, Some(value)) => Ok(value),
            (None, None) => Err(BmcError::Odd(format!("status {status} with {}", shortened(body)))),
        };
    }
    // Errors of flash and upload are plain text; all others are framed.
    let said = framed.as_ref().and_then(|framed| framed.get("result")?.as_str()).unwrap_or(body).trim();
    // Two words for one thing, from two parts of the firmware.
    if said.contains("USB interface not found") || said.contains("No supported USB devices found") {
        return Err(BmcError::NoModule(shortened(said)));
    }
    Err(BmcError::Said(status, shortened(said)))
}

fn shortened(text: &str) -> String {
    const MOST: usize = 400;
    text.trim().chars().take(MOST).collect()
}

fn odd(value: &Value) -> BmcError {
    BmcError::Odd(shortened(&value.to_string()))
}

/// Which slots have power.
pub(crate) fn power(value: &Value) -> Result<[bool; 4], BmcError> {
    let mut powered = [false; 4];
    for (number, powered) in (1..).zip(&mut powered) {
        let said = value.get(0).and_then(|slots| slots.get(format!("node{number}")));
        *powered = match said {
            Some(Value::String(text)) if text == "1" => true,
            Some(Value::String(text)) if text == "0" => false,
            Some(Value::Number(number)) if number.as_u64() == Some(1) => true,
            Some(Value::Number(number)) if number.as_u64() == Some(0) => false,
            _ => return Err(odd(value)),
        };
    }
    Ok(powered)
}

/// The slot whose stored USB mode is `flash`. Older firmware answers in other shapes, which tell nothing.
pub(crate) fn stored_usb_boot(value: &Value) -> Result<Option<Slot>, BmcError> {
    let text = |name: &str| value.get(0).and_then(|usb| usb.get(name)).and_then(Value::as_str);
    match text("mode").unwrap_or_default() {
        "Flash" => text("node").and_then(slot_of_process).map(Some).ok_or_else(|| odd(value)),
        _ => Ok(None),
    }
}

/// Where the USB bus goes by what is stored; `None` where an older firmware says it in other words.
pub(crate) fn usb_route(value: &Value) -> Option<UsbRoute> {
    let text = |name: &str| value.get(0)?.get(name)?.as_str();
    let mode = match text("mode")? {
        "Host" => 0,
        "Device" => 1,
        "Flash" => 2,
        _ => return None,
    };
    let to_bmc = match text("route")? {
        "Bmc" => 4,
        "AlternativePort" => 0,
        _ => return None,
    };
    Some(UsbRoute { slot: slot_of_process(text("node")?)?, mode: mode | to_bmc })
}

/// Where the USB bus goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct UsbRoute {
    /// The slot at one end.
    pub slot: Slot,
    /// What the API calls its mode, with the other end in it.
    pub mode: u8,
}

impl UsbRoute {
    /// To set it again would take the slot's module from its own boot.
    pub fn boots_over_usb(self) -> bool {
        self.mode & 3 == 2
    }
}

/// That it was done.
pub(crate) fn ok(value: &Value) -> Result<(), BmcError> {
    match value.as_str() {
        Some("ok") => Ok(()),
        _ => Err(odd(value)),
    }
}

/// The handle of a transfer that was announced.
pub(crate) fn handle(value: &Value) -> Result<u64, BmcError> {
    value.get("handle").and_then(Value::as_u64).ok_or_else(|| odd(value))
}

/// How the transfer stands.
pub(crate) fn transfer(value: &Value) -> Result<Transfer, BmcError> {
    if value.as_str() == Some("Ready") {
        return Ok(Transfer::Ready);
    }
    if let Some(said) = value.get("Error") {
        return Ok(Transfer::Failed(said.as_str().map_or_else(|| said.to_string(), str::to_owned)));
    }
    if let Some(done) = value.get("Done") {
        return Ok(Transfer::Done { size: done.get(1).and_then(Value::as_u64) });
    }
    let running = value.get("Transferring").ok_or_else(|| odd(value))?;
    let number = |name: &str| running.get(name).and_then(Value::as_u64);
    Ok(Transfer::Running {
        handle: number("id"),
        slot: running.get("process_name").and_then(Value::as_str).and_then(slot_of_process),
        size: number("size").ok_or_else(|| odd(value))?,
        written: Some(number("bytes_written").ok_or_else(|| odd(value))?),
    })
}

/// The slot in `Node 2` and `Node 2 os install service`.
fn slot_of_process(name: &str) -> Option<Slot> {
    name.strip_prefix("Node ")?.split(' ').next()?.parse().ok().and_then(Slot::new)
}

/// What a serial console said, of its last 16 KiB.
pub(crate) fn console(value: &Value) -> Result<String, BmcError> {
    let text = value.get("uart").or(Some(value)).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| odd(value))
}

/// Versions of the daemon and of the firmware, as far as they are told, from `about` or the older `other`. Up to 2.3.4,
/// `version` is the daemon's, and `build_version` the firmware's.
pub(crate) fn versions(value: &Value) -> Versions {
    let value = value.get(0).unwrap_or(value);
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(|text| text.trim_matches('"').to_owned());
    match text("build_version") {
        Some(firmware) => Versions { daemon: text("bmcd_version").or(text("version")), firmware: Some(firmware) },
        None => Versions { daemon: text("bmcd_version"), firmware: text("version") },
    }
}

/// Which software a BMC has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Versions {
    /// Of bmcd, which the older ones do not tell.
    pub daemon: Option<String>,
    /// Of the firmware.
    pub firmware: Option<String>,
}

impl Versions {
    /// Whether it unpacks xz and takes a sum: bmcd from 2.3.0 on, which the firmware 2.1.0 is the first to have (bmcd 2.1.0
    /// and 2.2.0 are older than 2.0.5). One that is not told does not: then the controller does both.
    pub fn unpacks(&self) -> bool {
        let numbers = |text: &String| -> Option<(u32, u32)> {
            let mut parts = text.trim_start_matches('v').split('.');
            Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
        };
        match self.daemon.as_ref().and_then(numbers) {
            Some(daemon) => daemon >= (2, 3),
            None => self.firmware.as_ref().and_then(numbers).is_some_and(|firmware| firmware >= (2, 1)),
        }
    }
}

impl std::fmt::Display for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.daemon, &self.firmware) {
            (Some(daemon), Some(firmware)) => write!(f, "bmcd {daemon} (firmware {firmware})"),
            (Some(daemon), None) => write!(f, "bmcd {daemon}"),
            (None, Some(firmware)) => write!(f, "firmware {firmware}"),
            (None, None) => f.write_str("a firmware that does not tell its version"),
        }
    }
}

#[cfg(test)]
mod tests;
