//! What a replay plays on: a board of files, images, and a stand-in whose worker stops where the recording looks.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{Full, StreamBody};
use hyper::Request;
use hyper::body::Frame;
use liblzma::read::XzEncoder;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::Ended;
use super::expected::difference;
use crate::bmcd::answer::Answer;
use crate::bmcd::facts::Facts;
use crate::bmcd::gate::Limit;
use crate::bmcd::server::respond;
use crate::bmcd::{Bmcd, Seat, Timing, lock};

const MIB: usize = 1024 * 1024;

/// The recorder's boundary and what it put before the file: 147 bytes around an `img.raw`.
const BOUNDARY: &str = "----bringuprec";

/// Nothing takes its time, and an upload is never late.
const TIMING: Timing =
    Timing { settle: Duration::ZERO, enumerate: Duration::ZERO, upload_within: Duration::from_secs(60) };

/// Sums that were recorded, of the raw image, of the compressed one, and of the compressed one's content.
const RAW_SUM: &str = "b4c0c1574140652a4454fb2c4e1369b9f075b4f9322eb370413af399c0908135";
const XZ_SUM: &str = "d9d4b99b4fa96639d25aa21430108fe502d0e7509593df329cb3757dd98d2f0c";
const CONTENT_SUM: &str = "2e61013eeb5b22873d9044681daee797e6e917c41a71b2544efb08f60c49b0dc";

pub struct Stage {
    directory: TempDir,
    bmcd: Ended,
    raw: Vec<u8>,
    xz: Vec<u8>,
    /// Recorded words and the ones that stand for them now.
    words: BTreeMap<String, String>,
    /// Name of the image that was announced last, and the progress that was seen last.
    announced: String,
    last: (u32, u64),
}

impl Stage {
    /// `big`: with the images on the SD card.
    pub fn new(big: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let raw = noise(8 * MIB);
        let content = [b"bringup".as_slice(), &[0; 64 * 1024]].concat();
        let xz = padded(xz(&content), 768);
        let words = [(RAW_SUM, &raw), (XZ_SUM, &xz), (CONTENT_SUM, &content)];
        let words = words.map(|(recorded, bytes)| (recorded.to_owned(), sum(bytes)));
        modules(directory.path());
        images(directory.path(), &raw, &xz);
        if big {
            big_images(directory.path(), &raw);
        }
        let bmcd = daemon(directory.path());
        Self { directory, bmcd, raw, xz, words: words.into(), announced: String::new(), last: (1, 0) }
    }

    /// What a section needs before its line.
    pub fn before(&mut self, line: &Value) {
        let path = line["request"]["path"].as_str().unwrap();
        match line["note"].as_str().unwrap_or_default() {
            // Recorded in a run of its own, on a board without modules.
            "MSD with no module found on USB" => {
                // The daemon of before may still write there.
                let at = |name| self.directory.path().join(name);
                fs::rename(at("board"), at("board-before")).unwrap();
                self.bmcd = daemon(self.directory.path());
            }
            "after 12 s without upload" => self.bmcd.gate.set(Limit::NONE),
            "flash announced, upload never sent" => {
                lock(&self.bmcd.timing).upload_within = Duration::from_millis(50);
            }
            _ => lock(&self.bmcd.timing).upload_within = TIMING.upload_within,
        }
        if path.contains("opt=set&type=flash") {
            path.clone_into(&mut self.announced);
            self.last = (1, 0);
            self.bmcd.gate.set(Limit { pass: 1, bytes: 0 });
        }
        if line["request"]["body"] == "<8388755 bytes>" {
            // More than bmcd holds: it is taken as fast as it is written.
            self.bmcd.gate.set(Limit::NONE);
        }
        if path.contains("opt=get&type=flash") {
            let limit = self.limit(line["response"]["body"].as_str().unwrap());
            self.bmcd.gate.set(limit);
        }
    }

    /// Where the worker has to be for this to be seen. The second pass begins where fewer bytes are seen than before.
    fn limit(&mut self, seen: &str) -> Limit {
        let Some((_, bytes)) = seen.split_once("\"bytes_written\":") else { return Limit::NONE };
        let bytes = bytes.trim_end_matches('}').parse().unwrap();
        let pass = if bytes < self.last.1 { 2 } else { self.last.0 };
        self.last = (pass, bytes);
        Limit { pass, bytes }
    }

    /// What happened after a line without having been recorded.
    pub async fn after(&mut self, line: &Value) {
        if line["note"] == "upload that the client cuts off after 50 MiB" {
            let handle = self.words.get(&handle(line["response"]["body"].as_str().unwrap())).unwrap().clone();
            self.bmcd.gate.set(Limit::NONE);
            self.cut_off(&handle).await;
        }
    }

    /// Plays a line, and tells the difference. What is only read is read until it is as recorded.
    pub async fn compare(&mut self, line: &Value) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let answer = self.ask(line).await;
            let Some(difference) = difference(&self.translated(&line["response"]), &answer) else {
                self.remember(line, &answer);
                return Ok(());
            };
            let reads = line["request"]["path"].as_str().unwrap().contains("opt=get");
            if !reads || begun.elapsed() > Duration::from_secs(20) {
                return Err(difference);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn ask(&self, line: &Value) -> Answer {
        let request = self.translated(&line["request"]);
        let peer = if line["from"] == "remote" { [10, 9, 9, 2] } else { [127, 0, 0, 1] };
        let mut builder =
            Request::builder().method(request["method"].as_str().unwrap()).uri(request["path"].as_str().unwrap());
        for (name, value) in request["headers"].as_object().into_iter().flatten() {
            builder = builder.header(name, value.as_str().unwrap());
        }
        let body = self.body(request["body"].as_str().unwrap_or_default());
        respond(&self.bmcd, IpAddr::from(peer), builder.body(Full::new(Bytes::from(body))).unwrap()).await
    }

    /// Bodies of uploads were recorded as their size, which has to come out the same.
    fn body(&self, recorded: &str) -> Vec<u8> {
        let Some(size) = recorded.strip_prefix('<').and_then(|size| size.strip_suffix(" bytes>")) else {
            return recorded.as_bytes().to_vec();
        };
        let (name, data) = match &self.announced {
            path if path.contains("img.raw.xz") => ("img.raw.xz", self.xz.as_slice()),
            path if path.contains("i.raw") => ("img.raw", &self.raw[..MIB]),
            _ => ("img.raw", self.raw.as_slice()),
        };
        let body = if size == "1" { b"x".to_vec() } else { [head(name).as_bytes(), data, tail().as_bytes()].concat() };
        assert_eq!(body.len().to_string(), size, "the size of an upload");
        body
    }

    async fn cut_off(&self, handle: &str) {
        let mut pieces = vec![Ok(Bytes::from(head("img.raw")))];
        pieces.extend((0..50).map(|_| Ok(Bytes::from(vec![7; MIB]))));
        pieces.push(Err(std::io::Error::other("the client is gone")));
        let body = StreamBody::new(futures_util::stream::iter(pieces.into_iter().map(|piece| piece.map(Frame::data))));
        let request = Request::post(format!("/api/bmc/upload/{handle}")).header("Content-Type", form());
        respond(&self.bmcd, IpAddr::from([127, 0, 0, 1]), request.body(body).unwrap()).await;
    }

    fn remember(&mut self, line: &Value, answer: &Answer) {
        let recorded = line["response"]["body"].as_str().unwrap();
        if recorded.contains("\"handle\":") {
            self.words.insert(handle(recorded), handle(&answer.body));
        }
        if let Some((_, token)) = answer.headers.iter().find(|(name, _)| *name == "x-auth-token") {
            self.words.insert("<token>".to_owned(), token.clone());
        }
    }

    fn translated(&self, recorded: &Value) -> Value {
        let text = self.words.iter().fold(recorded.to_string(), |text, (was, is)| text.replace(was, is));
        serde_json::from_str(&text).unwrap()
    }
}

fn handle(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap();
    body["handle"].to_string()
}

pub fn head(name: &str) -> String {
    format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    )
}

pub fn tail() -> String {
    format!("\r\n--{BOUNDARY}--\r\n")
}

pub fn form() -> String {
    format!("multipart/form-data; boundary={BOUNDARY}")
}

pub fn daemon(directory: &Path) -> Ended {
    let seat = Seat::new(directory.join("board"));
    Ended(Arc::new(Bmcd::new(seat, "turing", TIMING, recorded_facts, directory.to_owned())))
}

/// The machine that the recordings were made on.
fn recorded_facts() -> Facts {
    Facts {
        buildroot: "\"Debian GNU/Linux 12 (bookworm)\"".to_owned(),
        version: "\"12 (bookworm)\"".to_owned(),
        buildtime: "2026-11-22 19:20:50-00:00".to_owned(),
        hostname: "vm".to_owned(),
        interfaces: vec![["eth0".to_owned(), "10.9.9.9".to_owned(), "00:00:00:00:00:00".to_owned()]],
        storage: vec![("BMC".to_owned(), 27_055_317_401, 24_739_056_025)],
    }
}

fn modules(directory: &Path) {
    fs::create_dir_all(directory.join("board")).unwrap();
    fs::write(directory.join("board/no-uart"), "").unwrap();
    for slot in 1..=4 {
        let slot = directory.join(format!("board/slot{slot}"));
        fs::create_dir_all(&slot).unwrap();
        File::create(slot.join("emmc.img")).unwrap().set_len(512 * MIB as u64).unwrap();
    }
}

fn images(directory: &Path, raw: &[u8], xz_of_raw: &[u8]) {
    fs::create_dir_all(directory.join("mnt")).unwrap();
    fs::write(directory.join("mnt/img.raw"), raw).unwrap();
    fs::write(directory.join("mnt/img.raw.xz"), xz_of_raw).unwrap();
}

fn big_images(directory: &Path, raw: &[u8]) {
    let images = directory.join("mnt/sdcard/images");
    fs::create_dir_all(&images).unwrap();
    File::create(images.join("big.raw")).unwrap().set_len(400 * MIB as u64).unwrap();
    let content = [raw, &vec![0; 64 * MIB]].concat();
    fs::write(images.join("z.img.xz"), padded(xz(&content), 8_399_804)).unwrap();
}

/// Bytes that cannot be compressed.
pub fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(count);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}

pub fn xz(content: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::new();
    XzEncoder::new(content, 1).read_to_end(&mut compressed).unwrap();
    compressed
}

/// As long as the recorded file was: behind a stream there may be zeros, in fours.
fn padded(mut compressed: Vec<u8>, size: usize) -> Vec<u8> {
    assert!(compressed.len() <= size && (size - compressed.len()).is_multiple_of(4), "{}", compressed.len());
    compressed.resize(size, 0);
    compressed
}

pub fn sum(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
