//! An image to a BMC's SD card: gone on with where it broke off, summed while it comes, in place at once.

use std::io::SeekFrom;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use bringup_core::deed::ImageSource;
use bringup_core::world::Progress;
use tokio::fs::File;
use tokio::io::AsyncSeekExt;

use super::board::Bmc;
use super::flash::unpacked_there;
use super::trouble::Trouble;
use crate::shell::bmc;

/// What a card keeps free besides the image.
const SPARE: u64 = 16 << 20;

impl Bmc<'_> {
    /// Brings a file there. What it is is looked at first: nothing is sent for hours that no module could use.
    pub(super) async fn stage(
        &self,
        from: &str,
        to: &str,
        sha256: &str,
        progress: Progress<'_>,
    ) -> Result<(), Trouble> {
        let local = |error: std::io::Error| Trouble::Local(format!("{from}: {error}"));
        let image = self.image(sha256, &ImageSource::Streamed(from.to_owned())).await?;
        unpacked_there(&image, &self.way().await?)?;
        let free = self.free().await?.ok_or_else(|| {
            Trouble::Unable(
                format!("no SD card is mounted where {to} would be"),
                "put a card in and restart the BMC, or set flash_transport: stream",
            )
        })?;
        let mut file = File::open(from).await.map_err(local)?;
        file.set_max_buf_size(1 << 20);
        let total = file.metadata().await.map_err(local)?.len();
        let text = self.read(&bmc::arrived(to, sha256)).await?.unwrap_or_default();
        if text.trim() == "there" {
            progress(total, total, "bytes");
            return Ok(());
        }
        let done: u64 = text.trim().parse().map_err(|_| Trouble::Script(format!("{to}: {text}")))?;
        let (anew, done) = if done > total { (true, 0) } else { (done == 0, done) };
        if free < total - done + SPARE {
            let said = format!("{free} bytes are free on the card, and {} more are needed", total - done);
            return Err(Trouble::NoRoom(said));
        }
        file.seek(SeekFrom::Start(done)).await.map_err(local)?;
        let session = self.session().await?;
        let told = |sent| progress(done + sent, total, "bytes");
        let output = session.feed(&bmc::receive(to, sha256, anew), &mut file, &told).await?;
        let err = String::from_utf8_lossy(&output.err).trim().to_owned();
        if !err.is_empty() || output.status != Some(0) {
            return Err(Trouble::Script(err));
        }
        let out = String::from_utf8_lossy(&output.out);
        // The last word but `-`: a login shell may have said something before.
        let got = out.split_whitespace().rfind(|word| word.len() == 64).unwrap_or_default();
        if got != sha256 {
            self.read(&bmc::discard(to, sha256)).await?;
            return Err(Trouble::Mismatch(format!("what arrived has the sha256 {got}, not {sha256}")));
        }
        self.read(&bmc::place(to, sha256)).await?;
        self.board.sums.lock().unwrap_or_else(PoisonError::into_inner).remove(to);
        self.board.doubted.store(false, Ordering::Relaxed);
        Ok(())
    }
}
