//! Images into modules.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::Duration;

use bringup_core::contract::bmc::ImageSource;
use bringup_core::ids::{Sha256, Slot};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::api::Api;
use super::api_reply::{self, Transfer};
use super::board::{Bmc, By, Way};
use super::controls::Controls;
use super::error::BmcError;
use super::line::Connection;
use super::query;
use super::record::{self, Record};
use super::upload::{Sending, Upload};
use crate::image::{Image, NoImage, examine, xz_dictionary};
use crate::shell::bmc;

/// From its end an xz file tells what it unpacks to: an index of a few bytes for each block.
const END: u64 = 256 << 10;
/// The first block's header says how an xz file is packed: it is 1 KiB at most, behind 12 bytes.
const HEAD: u64 = 2 << 10;
/// What a decoder wants besides its dictionary.
const DECODER: u64 = 1 << 20;
/// What else may take memory between our look and bmcd's: the controller is the safer one to unpack what nearly fits.
const MARGIN: u64 = 8 << 20;
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
    ) -> Result<(), BmcError> {
        let (image, way) = self.image_and_way(source, sha256).await?;
        match (way.by, source) {
            // Whether the BMC can unpack it was looked at before the module lost its power: `fit`.
            (By::Api(_), ImageSource::Staged(path)) => self.flash_staged(slot, order, path, &image).await,
            (By::Api(_), ImageSource::Streamed(path)) => {
                let sending = sending(path, sha256, &image, self.unpacked(source, &image, &way).await?);
                // Where it is unpacked here, what is sent has another sum.
                let sum = (!sending.unpack && way.versions.unpacks()).then_some(sha256);
                self.flash_streamed(slot, order, &image, sending, sum).await
            }
            (By::Tpi, ImageSource::Staged(path) | ImageSource::Streamed(path)) => {
                self.flash_by_tpi(slot, order, path, &image).await
            }
        }
    }

    /// Makes sure that it is an image, and that the way to this BMC can bring it to a module.
    pub(super) async fn fit(&self, source: &ImageSource, sha256: Sha256) -> Result<(), BmcError> {
        let (image, way) = self.image_and_way(source, sha256).await?;
        match source {
            // Where the BMC cannot unpack it, the controller does: who does is decided when it is sent.
            ImageSource::Streamed(_) if image.written.is_some() => Ok(()),
            _ => self.unpacked(source, &image, &way).await.map(drop),
        }
    }

    async fn image_and_way(&self, source: &ImageSource, sha256: Sha256) -> Result<(Image, Way), BmcError> {
        let image = self.image(sha256, source).await?;
        let way = self.way().await?;
        if let (By::Tpi, ImageSource::Streamed(_)) = (&way.by, source) {
            return Err(BmcError::Unable(
                "tpi cannot take an image that is streamed".to_owned(),
                "set flash_transport: staged, or bmc_interface: api",
            ));
        }
        Ok((image, way))
    }

    /// Who unpacks it, if that can be done.
    async fn unpacked(&self, source: &ImageSource, image: &Image, way: &Way) -> Result<Unpacked, BmcError> {
        match (self.unable(source, image, way).await?, source) {
            (None, _) => Ok(Unpacked::There),
            (Some(unable), ImageSource::Staged(_)) => Err(unable.staged()),
            (Some(_), ImageSource::Streamed(_)) if image.written.is_some() => Ok(Unpacked::Here),
            (Some(unable), ImageSource::Streamed(_)) => Err(unable.streamed()),
        }
    }

    /// Why the BMC cannot unpack an image, if it cannot.
    async fn unable(&self, source: &ImageSource, image: &Image, way: &Way) -> Result<Option<Unable>, BmcError> {
        match unknown_there(image, way) {
            _ if !image.xz => Ok(None),
            Some(unknown) => Ok(Some(unknown)),
            None => self.too_large(source).await,
        }
    }

    /// What keeps bmcd from unpacking it: its decoder may use the memory that is free when the flash begins, and no more
    /// (bmcd, `data_transfer.rs`: `_SC_AVPHYS_PAGES`).
    async fn too_large(&self, source: &ImageSource) -> Result<Option<Unable>, BmcError> {
        let (head, margin) = match source {
            ImageSource::Streamed(path) => (head_here(path.into()).await?, MARGIN),
            ImageSource::Staged(path) => (self.poured(&bmc::head_of(path, HEAD), HEAD).await?, 0),
        };
        let Some(dictionary) = xz_dictionary(&head) else { return Ok(None) };
        let free = self.read(bmc::FREE_MEMORY).await?.unwrap_or_default();
        // One that does not tell is believed to have what it takes.
        let Ok(free) = free.trim().parse::<u64>() else { return Ok(None) };
        Ok(Unable::of(dictionary, margin, free << 10))
    }

    /// What a piece of script prints, as bytes, up to `most` of them: what it prints beyond is left.
    async fn poured(&self, piece: &str, most: u64) -> Result<Vec<u8>, BmcError> {
        let session = self.session().await?;
        let (pieces, mut queue) = mpsc::channel::<Bytes>(8);
        let (poured, bytes) = tokio::join!(session.pour(piece, pieces), async {
            let mut bytes = Vec::new();
            while let Some(piece) = queue.recv().await {
                let room = most.saturating_sub(bytes.len() as u64);
                bytes.extend_from_slice(&piece[..piece.len().min(usize::try_from(room).unwrap_or(usize::MAX))]);
                if bytes.len() as u64 >= most {
                    // Whoever pours sees by it that no more is wanted.
                    queue.close();
                    break;
                }
            }
            bytes
        });
        poured?;
        Ok(bytes)
    }

    /// What an image is: kept on the BMC for whoever asks next, and read from the image where it is not.
    pub(super) async fn image(&self, sha256: Sha256, source: &ImageSource) -> Result<Image, BmcError> {
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
    async fn examine_there(&self, path: &str) -> Result<Image, BmcError> {
        let missing = || BmcError::Image(format!("there is no {path} on the BMC"));
        let size = self.read(&bmc::size_of(path)).await?.ok_or_else(missing)?;
        let size: u64 = size.trim().parse().map_err(|_| BmcError::Script(format!("{path}: {size}")))?;
        let session = self.session().await?;
        let end = self.poured(&bmc::end_of(path, END), END).await?;
        let bytes_of = bmc::bytes_of(path);
        let (pieces, queue) = mpsc::channel::<Bytes>(8);
        let examining = spawn_blocking(move || examine(Queue { queue, piece: Bytes::new() }, size, &end));
        let (poured, examined) = tokio::join!(session.pour(&bytes_of, pieces), examining);
        poured?;
        Ok(examined.map_err(|error| BmcError::Local(error.to_string()))??)
    }

    /// Makes sure that the one transfer is free, and gives what it was named before.
    async fn free_transfer(&self, api: &Api) -> Result<Option<u64>, BmcError> {
        let (_, record) = self.record().await?;
        for _ in 0..CANCELLED.1 {
            let transfer = api.transfer().await?;
            let Transfer::Running { handle, slot, .. } = transfer else { return Ok(None) };
            let ours = record::judge(record.as_ref(), transfer).is_some_and(|job| job.order.is_some());
            let Some(handle) = handle.filter(|_| ours) else { return Err(BmcError::Transferring(slot)) };
            api.ask(&query::cancel(handle)).await?;
            sleep(CANCELLED.0).await;
        }
        Err(BmcError::Transferring(None))
    }

    async fn new_record(&self, slot: Slot, order: &str, image: &Image, size: u64) -> Result<Record, BmcError> {
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

    async fn write(&self, record: &Record) -> Result<(), BmcError> {
        self.keep(record::TRANSFER, &record.text()).await
    }

    async fn flash_staged(&self, slot: Slot, order: &str, path: &str, image: &Image) -> Result<(), BmcError> {
        let api = self.api().await?.ok_or_else(|| BmcError::Silent("there is no API".to_owned()))?;
        let before = self.free_transfer(&api).await?;
        let mut record = Record { before, ..self.new_record(slot, order, image, image.size).await? };
        self.write(&record).await?;
        record.handle = api.flash(slot, path).await?;
        self.write(&record).await
    }

    async fn flash_by_tpi(&self, slot: Slot, order: &str, path: &str, image: &Image) -> Result<(), BmcError> {
        let tpi = self.tpi().await?;
        let (_, record) = self.record().await?;
        if record.is_some_and(|record| record.by_tpi) && matches!(tpi.transfer().await?, Transfer::Running { .. }) {
            return Err(BmcError::Transferring(None));
        }
        let record = Record { by_tpi: true, ..self.new_record(slot, order, image, image.size).await? };
        self.write(&record).await?;
        tpi.flash(slot, path).await.map(|_| ())
    }

    async fn flash_streamed(
        &self,
        slot: Slot,
        order: &str,
        image: &Image,
        sending: Sending,
        sum: Option<Sha256>,
    ) -> Result<(), BmcError> {
        let api = self.api().await?.ok_or_else(|| BmcError::Silent("there is no API".to_owned()))?;
        let before = self.free_transfer(&api).await?;
        let mut record = Record { before, ..self.new_record(slot, order, image, sending.length).await? };
        self.write(&record).await?;
        let connection = Connection::open(&api.session, api.port).await?;
        let started = api.ask(&query::flash_upload(slot, &sending.name, sending.length, sum)).await?;
        let handle = api_reply::handle(&started)?;
        let upload = Upload::start(connection, handle, sending);
        *self.board.upload.lock().unwrap_or_else(PoisonError::into_inner) = Some(upload);
        record.handle = Some(handle);
        self.write(&record).await
    }
}

/// What is sent of an image that the controller has.
fn sending(path: &str, sha256: Sha256, image: &Image, unpacked: Unpacked) -> Sending {
    let unpack = unpacked == Unpacked::Here;
    let name = path.rsplit('/').next().unwrap_or(path);
    // By its name bmcd would unpack it again.
    let (name, length) =
        if unpack { (name.trim_end_matches(".xz"), image.written.unwrap_or(image.size)) } else { (name, image.size) };
    Sending { path: PathBuf::from(path), name: name.to_owned(), unpack, length, sha256 }
}

/// Who unpacks an image, if it has to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unpacked {
    /// The BMC, or nobody needs to.
    There,
    /// The controller.
    Here,
}

/// Why a BMC cannot unpack an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unable {
    /// Its firmware does not know xz, and would write the compressed bytes to the module.
    Unknown,
    /// It takes more memory than it has free. In bytes.
    TooLarge { wanted: u64, free: u64 },
}

impl Unable {
    /// Whether an image with such a dictionary is too large for so much free memory.
    fn of(dictionary: u64, margin: u64, free: u64) -> Option<Self> {
        let wanted = dictionary.saturating_add(DECODER + margin);
        (wanted > free).then_some(Self::TooLarge { wanted, free })
    }

    fn why(self) -> String {
        match self {
            Self::Unknown => {
                "this firmware does not unpack xz: it would write the compressed bytes to the module".to_owned()
            }
            Self::TooLarge { wanted, free } => {
                format!("it takes {} MiB of memory to unpack, and the BMC has {} MiB free", wanted >> 20, free >> 20)
            }
        }
    }

    /// For an image that the BMC would read from its own card.
    pub(super) fn staged(self) -> BmcError {
        let next = match self {
            Self::Unknown => {
                "set flash_transport: stream, which unpacks on the controller, or update the BMC's firmware to 2.1.0 or later"
            }
            Self::TooLarge { .. } => {
                "set flash_transport: stream (and bmc_interface: api): then the controller unpacks what the BMC cannot"
            }
        };
        BmcError::Unable(self.why(), next)
    }

    /// For an image that the controller cannot unpack either: whoever sends one has to say how many bytes come.
    fn streamed(self) -> BmcError {
        let why = format!("{}; and the image does not say what it unpacks to", self.why());
        let next = match self {
            Self::Unknown => {
                "update the BMC's firmware to 2.1.0 or later, unpack the image, or pack it again with `xz`, in one stream"
            }
            Self::TooLarge { .. } => "unpack the image, or pack it again with `xz`, in one stream",
        };
        BmcError::Unable(why, next)
    }
}

/// A firmware that does not know xz. What nothing tells is believed to know it.
pub(super) fn unknown_there(image: &Image, way: &Way) -> Option<Unable> {
    (image.xz && way.unpacks() == Some(false)).then_some(Unable::Unknown)
}

/// The first bytes of an image that the controller has.
async fn head_here(path: PathBuf) -> Result<Vec<u8>, BmcError> {
    let name = path.display().to_string();
    let read = spawn_blocking(move || -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        File::open(path)?.take(HEAD).read_to_end(&mut head)?;
        Ok(head)
    });
    let read = read.await.map_err(|error| BmcError::Local(error.to_string()))?;
    read.map_err(|error| BmcError::Local(format!("{name}: {error}")))
}

/// An image that the controller has.
async fn examine_here(path: PathBuf) -> Result<Image, BmcError> {
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
    let examined = examined.await.map_err(|error| BmcError::Local(error.to_string()))?;
    Ok(examined.map_err(|error| BmcError::Local(format!("{name}: {error}")))??)
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
