//! The upload of an image: one multipart form with one file.

use std::error::Error;

use bytes::Bytes;
use http_body_util::BodyDataStream;
use hyper::body::Body;
use multer::Multipart;

use super::answer::Answer;
use super::{Bmcd, lock};

/// Ends the transfer unless it is told that all is well: a client that goes away is not heard of in any other way.
struct Watched<'a> {
    bmcd: &'a Bmcd,
    id: u64,
    whole: bool,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if !self.whole {
            // Who ended it otherwise has said so already.
            let _ = lock(&self.bmcd.transfer).cancel(self.id);
        }
    }
}

/// Hands the bytes of a request on to the transfer of this handle.
pub async fn take<B>(bmcd: &Bmcd, id: &str, content_type: Option<&str>, body: B) -> Answer
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Error + Send + Sync + 'static,
{
    let Ok(id) = id.parse() else { return Answer::bare(404, String::new()) };
    match hand_on(bmcd, id, content_type, body).await {
        Ok(()) => Answer::bare(200, String::new()),
        Err(answer) => answer,
    }
}

async fn hand_on<B>(bmcd: &Bmcd, id: u64, content_type: Option<&str>, body: B) -> Result<(), Answer>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Error + Send + Sync + 'static,
{
    let (inflow, size) = lock(&bmcd.transfer).take_inflow(id)?;
    let mut watched = Watched { bmcd, id, whole: false };
    let failed = |why: &dyn ToString| Answer::text(500, why.to_string());
    let boundary = multer::parse_boundary(content_type.unwrap_or_default()).map_err(|error| failed(&error))?;
    let mut form = Multipart::new(BodyDataStream::new(body), boundary);
    let mut came = 0_u64;
    while let Some(mut field) = form.next_field().await.map_err(|error| failed(&error))? {
        while let Some(piece) = field.chunk().await.map_err(|error| failed(&error))? {
            came += piece.len() as u64;
            if came > size {
                return Err(failed(&"Received more bytes as negotiated"));
            }
            if inflow.send(piece).await.is_err() {
                // The worker has ended and said why.
                watched.whole = true;
                return Err(failed(&"channel closed"));
            }
        }
    }
    if came < size {
        return Err(failed(&format!("missing {} bytes", human(size - came))));
    }
    watched.whole = true;
    Ok(())
}

/// In the unit that leaves less than a thousand, with two digits behind the point at most.
fn human(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    while value >= 1000.0 {
        let Some(next) = units.next() else { break };
        (value, unit) = (value / 1000.0, next);
    }
    let digits = format!("{value:.2}");
    format!("{} {unit}", digits.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_thousands() {
        assert_eq!((human(626_000), human(1_234_567), human(900)), ("626 kB".into(), "1.23 MB".into(), "900 B".into()));
    }
}
