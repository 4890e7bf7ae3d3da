//! A small text on the web, or in a file.

use std::io::Read as _;
use std::time::Duration;

use reqwest::header::HeaderMap;

use super::address::Address;
use super::client;
use super::error::WebError;

/// Nothing that is asked for as a text is larger.
const MOST: usize = 1 << 20;
const STALL_BOUND: Duration = Duration::from_secs(20);

/// The text at an address, whole.
///
/// # Errors
/// When it cannot be had, is larger than 1 MiB or is no UTF-8.
pub(crate) async fn text(address: &str) -> Result<String, WebError> {
    let odd = |why: &str| WebError::Address(format!("{address}: {why}"));
    let bytes = match Address::parse(address)? {
        Address::File(path) => {
            let local = |error| WebError::Local(path.display().to_string(), error);
            let mut bytes = Vec::new();
            let file = crate::files::site_files::open(&path).map_err(local)?;
            file.take(MOST as u64 + 1).read_to_end(&mut bytes).map_err(local)?;
            bytes
        }
        Address::Web(url) => {
            let mut answer = client::get(&url, HeaderMap::new(), STALL_BOUND).await?;
            if !answer.status.is_success() {
                let reason = answer.status.canonical_reason().unwrap_or_default();
                return Err(WebError::Status(answer.status.as_u16(), reason.to_owned()));
            }
            let mut bytes = Vec::new();
            while let Some(piece) = answer.piece().await? {
                bytes.extend_from_slice(&piece);
                if bytes.len() > MOST {
                    break;
                }
            }
            bytes
        }
    };
    if bytes.len() > MOST {
        return Err(odd("more than a text of 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| odd("no text"))
}
