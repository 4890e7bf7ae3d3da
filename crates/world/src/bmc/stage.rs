//! An image to a BMC's SD card: sent while it is fetched, gone on with where it broke off, summed while it comes, in
//! place at once.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use bringup_core::contract::bmc::ImageSource;
use bringup_core::contract::world::{Progress, Unit};
use bringup_core::ids::Sha256;
use tokio::io::duplex;

use super::board::Bmc;
use super::error::BmcError;
use super::flash::unknown_there;
use crate::shell::bmc;
use crate::web::{self, Arrival};

/// What a card keeps free besides the image.
const SPARE: u64 = 16 << 20;
/// Bytes between the controller's disk and the network.
const BETWEEN: usize = 1 << 20;

/// What is brought to a card.
#[derive(Clone, Copy, Debug)]
pub(super) struct Staging<'a> {
    /// From where.
    pub url: &'a str,
    /// Its sum.
    pub sha256: Sha256,
    /// Where the controller keeps it.
    pub cached: &'a str,
    /// On the BMC.
    pub to: &'a str,
}

impl Bmc<'_> {
    /// Brings a file there. Nothing is taken for it that is not proved to be what was asked for, and an image.
    pub(super) async fn stage(&self, staging: Staging<'_>, progress: Progress<'_>) -> Result<(), BmcError> {
        let Staging { url, sha256, cached, to } = staging;
        let free = self.free().await?.ok_or_else(|| {
            BmcError::Unable(
                format!("no SD card is mounted where {to} would be"),
                "put a card in and restart the BMC, or set flash_transport: stream",
            )
        })?;
        let text = self.read(&bmc::arrived(to, sha256)).await?.unwrap_or_default();
        if text.trim() == "there" {
            return Ok(());
        }
        let done: u64 = text.trim().parse().map_err(|_| BmcError::Script(format!("{to}: {text}")))?;
        let arrival = self.boards.arrivals.of(url, sha256, cached);
        let total = arrival.total().await?;
        let done = if total > 0 && done > total { 0 } else { done };
        let missing = total.saturating_sub(done);
        if free < missing + SPARE {
            let said = format!("{free} bytes are free on the card, and {missing} more are needed");
            return Err(BmcError::NoRoom(said));
        }
        let told = |sent| progress(done + sent, total, Unit::Bytes);
        if let Err(trouble) =
            tokio::try_join!(self.send(staging, &arrival, done, &told), self.is_fit(staging, &arrival))
        {
            if is_of_no_use(&trouble) {
                self.read(&bmc::discard(to, sha256)).await?;
            }
            return Err(trouble);
        }
        self.read(&bmc::place(to, sha256)).await?;
        self.board.sums.lock().unwrap_or_else(PoisonError::into_inner).remove(to);
        self.board.doubted.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Sends what is missing as it comes; what arrived is what was asked for.
    async fn send(
        &self,
        Staging { sha256, to, .. }: Staging<'_>,
        arrival: &Arrival,
        done: u64,
        told: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), BmcError> {
        let session = self.session().await?;
        let (mut between, mut source) = duplex(BETWEEN);
        let command = bmc::receive(to, sha256, done == 0);
        let (feeding, handing) = (session.feed(&command, &mut source, told), arrival.hand_on(done, &mut between));
        tokio::pin!(feeding, handing);
        let output = tokio::select! {
            biased;
            // It ended before it had all: a full card, most likely.
            output = &mut feeding => output?,
            // Of what breaks off the far side must not hear an end.
            handed = &mut handing => {
                handed?;
                feeding.await?
            }
        };
        let err = String::from_utf8_lossy(&output.err).trim().to_owned();
        if !err.is_empty() || output.status != Some(0) {
            return Err(BmcError::Script(err));
        }
        let out = String::from_utf8_lossy(&output.out);
        // The last word but `-`: a login shell may have said something before.
        match out.split_whitespace().rev().find_map(Sha256::parse) {
            Some(got) if got == sha256 => Ok(()),
            Some(got) => Err(BmcError::Mismatch(format!("what arrived has the sha256 {got}, not {sha256}"))),
            None => Err(BmcError::Script(format!("no SHA-256 of what arrived came back: {}", out.trim()))),
        }
    }

    /// Looks at the image as soon as all of it is here: nobody waits for the slower way to hear that it is none.
    async fn is_fit(&self, Staging { sha256, cached, .. }: Staging<'_>, arrival: &Arrival) -> Result<(), BmcError> {
        arrival.whole().await?;
        let image = self.image(sha256, &ImageSource::Streamed(cached.to_owned())).await?;
        // Whether it has the memory is looked at before it is flashed: what is on its way to the card fills it meanwhile.
        unknown_there(&image, &self.way().await?).map_or(Ok(()), |unknown| Err(unknown.staged()))
    }
}

/// Whether nothing that arrived is worth going on with.
fn is_of_no_use(trouble: &BmcError) -> bool {
    match trouble {
        BmcError::Mismatch(_) | BmcError::Replaced | BmcError::Image(_) => true,
        BmcError::Fetch(trouble) => matches!(**trouble, web::WebError::Mismatch { .. }),
        _ => false,
    }
}
