//! Bytes on their way to a part, from the web or from the controller's own disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::BytesMut;
use reqwest::Url;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, IF_RANGE, RANGE};
use tokio::io::AsyncReadExt;

use super::client;
use super::error::WebError;
use super::sink::{Part, Sink, Whole};
use crate::files::site_files;

const PIECE: usize = 256 << 10;

/// What is told on the way: bytes done, bytes in all (0: not known).
pub(super) type Told<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// Copies a file of the controller's own.
pub(super) async fn from_file(path: &Path, mut part: Part, longest: u64, told: Told<'_>) -> Result<Whole, WebError> {
    let local = |error| WebError::Local(path.display().to_string(), error);
    // A FIFO would be waited for, and a device has no end.
    let mut file = tokio::fs::File::from_std(site_files::open(path).map_err(local)?);
    file.set_max_buf_size(PIECE);
    let total = file.metadata().await.map_err(local)?.len();
    if total > longest {
        return Err(WebError::TooLong { longest });
    }
    part.restart().map_err(local)?;
    let sink = part.fill();
    let mut done = 0;
    loop {
        let mut piece = BytesMut::with_capacity(PIECE);
        let read = file.read_buf(&mut piece).await.map_err(local)?;
        done += read as u64;
        if done > longest {
            return Err(WebError::TooLong { longest });
        }
        if read == 0 || !sink.take(piece.freeze()).await {
            break;
        }
        told(done, total);
    }
    end(sink).await
}

/// Fetches from the web, from where the part ends. Whether it could be gone on with is in the second place.
pub(super) async fn from_web(
    url: &Url,
    part: Part,
    etag_file: &PathBuf,
    stall: Duration,
    longest: u64,
    told: Told<'_>,
) -> Result<(Whole, bool), WebError> {
    let local = |error| WebError::Local(etag_file.display().to_string(), error);
    let (mut part, mut answer) = begin(url, part, etag_file, stall).await?;
    let resumed = answer.status.as_u16() == 206;
    if !resumed {
        part.restart().map_err(local)?;
        match answer.headers.get(ETAG).filter(|etag| !etag.as_bytes().starts_with(b"W/")) {
            Some(etag) => std::fs::write(etag_file, etag.as_bytes()).map_err(local)?,
            None => forget(etag_file),
        }
    }
    let mut done = part.length;
    let coming: Option<u64> = header(&answer.headers, &CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let total = coming.map_or(0, |coming| done.saturating_add(coming));
    if total > longest {
        return Err(WebError::TooLong { longest });
    }
    let sink = part.fill();
    // What came before it broke off is kept either way: the next try goes on from there.
    let broke_off = loop {
        match answer.piece().await {
            Ok(Some(piece)) => {
                done += piece.len() as u64;
                if done > longest {
                    break Some(WebError::TooLong { longest });
                }
                if !sink.take(piece).await {
                    break None;
                }
                told(done, total);
            }
            Ok(None) => break None,
            Err(trouble) => break Some(trouble),
        }
    };
    let whole = end(sink).await?;
    match broke_off {
        Some(trouble) => Err(trouble),
        None if total > 0 && whole.length < total => {
            Err(WebError::Lost(format!("{} of {total} bytes came", whole.length)))
        }
        None => Ok((whole, resumed)),
    }
}

/// The answer to a request for what is missing, or for all of it where that cannot be had alone.
async fn begin(
    url: &Url,
    mut part: Part,
    etag_file: &PathBuf,
    stall: Duration,
) -> Result<(Part, client::Answer), WebError> {
    if part.length > 0 {
        let mut headers = HeaderMap::new();
        if let Ok(range) = format!("bytes={}-", part.length).parse() {
            headers.insert(RANGE, range);
        }
        // Another file under the same address comes whole then, at once.
        if let Some(etag) = std::fs::read(etag_file).ok().and_then(|etag| etag.as_slice().try_into().ok()) {
            headers.insert(IF_RANGE, etag);
        }
        let answer = client::get(url, headers, stall).await?;
        match answer.status.as_u16() {
            200 => return Ok((part, answer)),
            206 if first_of_range(&answer.headers) == Some(part.length) => return Ok((part, answer)),
            // There is no more than we have, or less: what we have is not trusted to be all. Or it is another range.
            206 | 416 => part.restart().map_err(|error| WebError::Local(etag_file.display().to_string(), error))?,
            _ => return Err(status(&answer)),
        }
    }
    let answer = client::get(url, HeaderMap::new(), stall).await?;
    if answer.status.as_u16() != 200 {
        return Err(status(&answer));
    }
    Ok((part, answer))
}

fn status(answer: &client::Answer) -> WebError {
    WebError::Status(answer.status.as_u16(), answer.status.canonical_reason().unwrap_or_default().to_owned())
}

async fn end(sink: Sink) -> Result<Whole, WebError> {
    sink.end().await.map_err(|error| WebError::Local("write what is fetched".to_owned(), error))
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Where a part of a file begins, from `bytes FIRST-LAST/ALL`.
fn first_of_range(headers: &HeaderMap) -> Option<u64> {
    header(headers, &CONTENT_RANGE)?.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

/// What is not there any more cannot mislead.
pub(super) fn forget(path: &Path) {
    let _ = std::fs::remove_file(path);
}
