//! Images into modules.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::Duration;

use bringup_core::deed::ImageSource;
use bringup_core::ids::{Sha256, Slot};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::api::Api;
use super::api_reply::{self, Transfer};
use super::board::{Bmc, By, Way};
use super::controls::Controls;
use super::line::Connection;
use super::query;
use super::record::{self, Record};
use super::trouble::Trouble;
use super::upload::{Sending, Upload};
use crate::image::{Image, NoImage, examine};
use crate::shell::bmc;

/// From its end an xz file tells what it unpacks to: an index of a few bytes for each block.
const END: u64 = 256 << 10;
/// How often a transfer of ours that we cancelled is asked whether it is over, and how many times.
const CANCELLED: (Duration, u32) = (Duration::from_secs(1), 15);

impl Bmc<'_> {
    /// Starts to write an image to a slot's module.
    pub(super) async fn start_flash(
        &self,
        slot: Slot,
        order: &str,
        source: &ImageSource,
        sha256: Sha256,
    ) -> Result<(), Trouble> {
        let (image, way) = self.fit(source, sha256).await?;
        match (way.by, source) {
            (By::Api(_), ImageSource::Staged(path)) => self.flash_staged(slot, order, path, &image).await,
            (By::Api(_), ImageSource::Streamed(path)) => {
                self.flash_streamed(slot, order, path, sha256, &image, way.versions.unpacks()).await
            }
            (By::Tpi, ImageSource::Staged(path) | ImageSource::Streamed(path)) => {
                self.flash_by_tpi(slot, order, path, &image).await
            }
        }
    }

    /// What is to be written and by which way, if it is an image and that way can bring it to a module.
    pub(super) async fn fit(&self, source: &ImageSource, sha256: Sha256) -> Result<(Image, Way), Trouble> {
        let image = self.image(sha256, source).await?;
        let way = self.way().await?;
        match (&way.by, source) {
            (_, ImageSource::Staged(_)) => unpacked_there(&image, &way)?,
            (By::Api(_), ImageSource::Streamed(_)) => {
                if image.xz && image.written.is_none() && !way.versions.unpacks() {
                    return Err(Trouble::Unable(
                        "this firmware does not unpack xz, and the image does not say what it unpacks to".to_owned(),
                        "update the BMC's firmware to 2.1.0 or later, or unpack the image",
                    ));
                }
            }
            (By::Tpi, ImageSource::Streamed(_)) => {
                return Err(Trouble::Unable(
                    "tpi cannot take an image that is streamed".to_owned(),
                    "set flash_transport: staged, or bmc_interface: api",
                ));
            }
        }
        Ok((image, way))
    }

    /// What an image is: kept on the BMC for whoever asks next, and read from the image where it is not.
    pub(super) async fn image(&self, sha256: Sha256, source: &ImageSource) -> Result<Image, Trouble> {
        let name = record::image_name(sha256);
        let kept = self.read(&bmc::read_state(&name)).await?;
        if let Some(image) = kept.and_then(|text| serde_json::from_str(&text).ok()) {
            return Ok(image);
        }
        let image = match source {
            ImageSource::Streamed(path) => examine_here(path.into()).await?,
            ImageSource::Staged(path) => self.examine_there(path).await?,
        };
        self.keep(&name, &serde_json::json!(image).to_string()).await?;
        Ok(image)
    }

    /// An image that only the card has: read from there as far as is needed.
    async fn examine_there(&self, path: &str) -> Result<Image, Trouble> {
        let missing = || Trouble::Image(format!("there is no {path} on the BMC"));
        let size = self.read(&bmc::size_of(path)).await?.ok_or_else(missing)?;
        let size: u64 = size.trim().parse().map_err(|_| Trouble::Script(format!("{path}: {size}")))?;
        let session = self.session().await?;
        let (end_of, bytes_of) = (bmc::end_of(path, END), bmc::bytes_of(path));
        let (pieces, mut end) = mpsc::channel::<Bytes>(8);
        let (poured, end) = tokio::join!(session.pour(&end_of, pieces), async {
            let mut bytes = Vec::new();
            while let Some(piece) = end.recv().await {
                bytes.extend_from_slice(&piece);
            }
            bytes
        });
        poured?;
        let (pieces, queue) = mpsc::channel::<Bytes>(8);
        let examining = spawn_blocking(move || examine(Queue { queue, piece: Bytes::new() }, size, &end));
        let (poured, examined) = tokio::join!(session.pour(&bytes_of, pieces), examining);
        poured?;
        Ok(examined.map_err(|error| Trouble::Local(error.to_string()))??)
    }

    /// Makes sure that the one transfer is free, and gives what it was named before.
    async fn free_transfer(&self, api: &Api) -> Result<Option<u64>, Trouble> {
        let (_, record) = self.record().await?;
        for _ in 0..CANCELLED.1 {
            let transfer = api.transfer().await?;
            let Transfer::Running { handle, slot, .. } = transfer else { return Ok(None) };
            let ours = record::judge(record.as_ref(), transfer).is_some_and(|job| job.order.is_some());
            let Some(handle) = handle.filter(|_| ours) else { return Err(Trouble::Transferring(slot)) };
            api.ask(&query::cancel(handle)).await?;
            sleep(CANCELLED.0).await;
        }
        Err(Trouble::Transferring(None))
    }

    async fn new_record(&self, slot: Slot, order: &str, image: &Image, size: u64) -> Result<Record, Trouble> {
        let (boot, _) = self.record().await?;
        Ok(Record {
            slot: slot.number(),
            order: order.to_owned(),
            boot,
            by_tpi: false,
            size,
            written: image.written.unwrap_or(size),
            before: None,
            handle: None,
        })
    }

    async fn write(&self, record: &Record) -> Result<(), Trouble> {
        self.keep(record::TRANSFER, &record.text()).await
    }

    async fn flash_staged(&self, slot: Slot, order: &str, path: &str, image: &Image) -> Result<(), Trouble> {
        let api = self.api().await?.ok_or_else(|| Trouble::Silent("there is no API".to_owned()))?;
        let before = self.free_transfer(&api).await?;
        let mut record = Record { before, ..self.new_record(slot, order, image, image.size).await? };
        self.write(&record).await?;
        record.handle = api.flash(slot, path).await?;
        self.write(&record).await
    }

    async fn flash_by_tpi(&self, slot: Slot, order: &str, path: &str, image: &Image) -> Result<(), Trouble> {
        let tpi = self.tpi().await?;
        let (_, record) = self.record().await?;
        if record.is_some_and(|record| record.by_tpi) && matches!(tpi.transfer().await?, Transfer::Running { .. }) {
            return Err(Trouble::Transferring(None));
        }
        let record = Record { by_tpi: true, ..self.new_record(slot, order, image, image.size).await? };
        self.write(&record).await?;
        tpi.flash(slot, path).await.map(|_| ())
    }

    async fn flash_streamed(
        &self,
        slot: Slot,
        order: &str,
        path: &str,
        sha256: Sha256,
        image: &Image,
        unpacks: bool,
    ) -> Result<(), Trouble> {
        let api = self.api().await?.ok_or_else(|| Trouble::Silent("there is no API".to_owned()))?;
        let before = self.free_transfer(&api).await?;
        let unpack = image.xz && !unpacks;
        let name = path.rsplit('/').next().unwrap_or(path);
        // By its name bmcd would unpack it again.
        let (name, length) = if unpack {
            (name.trim_end_matches(".xz"), image.written.unwrap_or(image.size))
        } else {
            (name, image.size)
        };
        let mut record = Record { before, ..self.new_record(slot, order, image, length).await? };
        self.write(&record).await?;
        let connection = Connection::open(&api.session, api.port).await?;
        let sum = (!unpack && unpacks).then_some(sha256);
        let handle = api_reply::handle(&api.ask(&query::flash_upload(slot, name, length, sum)).await?)?;
        let sending = Sending { path: PathBuf::from(path), name: name.to_owned(), unpack, length, sha256 };
        let upload = Upload::start(connection, handle, sending);
        *self.board.upload.lock().unwrap_or_else(PoisonError::into_inner) = Some(upload);
        record.handle = Some(handle);
        self.write(&record).await
    }
}

/// A firmware that does not know xz would write the compressed bytes to the module.
pub(super) fn unpacked_there(image: &Image, way: &Way) -> Result<(), Trouble> {
    // What nothing tells is believed.
    if !image.xz || way.unpacks() != Some(false) {
        return Ok(());
    }
    Err(Trouble::Unable(
        "this firmware does not unpack xz: it would write the compressed bytes to the module".to_owned(),
        "set flash_transport: stream, which unpacks on the controller, or update the BMC's firmware to 2.1.0 or later",
    ))
}

/// An image that the controller has.
async fn examine_here(path: PathBuf) -> Result<Image, Trouble> {
    let name = path.display().to_string();
    let examined = spawn_blocking(move || -> io::Result<Result<Image, NoImage>> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut end = Vec::new();
        file.seek(SeekFrom::Start(size.saturating_sub(END)))?;
        file.read_to_end(&mut end)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(examine(file, size, &end))
    });
    let examined = examined.await.map_err(|error| Trouble::Local(error.to_string()))?;
    Ok(examined.map_err(|error| Trouble::Local(format!("{name}: {error}")))??)
}

/// Pieces as they come, for a thread that reads.
struct Queue {
    queue: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Read for Queue {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.queue.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let length = into.len().min(self.piece.len());
        into[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}
