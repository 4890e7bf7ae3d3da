//! Calls to the real bmcd 2.3.7 with GPIO, USB and disks as files (November 2026), made again here in the same order: what is
//! answered, how a transfer ends, and which slots have power then.

use std::fs::{self, File};
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Ended;
use super::stage::{daemon, form, head, noise, tail, xz};
use crate::bmcd::answer::Answer;
use crate::bmcd::gate::Limit;
use crate::bmcd::server::respond;

const CALLS: &str = include_str!("../../../tests/contract/bmcd-calls.log");
const MIB: usize = 1024 * 1024;

/// Where this stand-in is another one, and why that is left so.
const OTHERWISE: [(&str, &str); 1] = [(
    "upload not multipart",
    "a search for a module that is cancelled goes on there, and says last that it found none",
)];

/// A call that was made.
struct Call {
    name: String,
    status: u16,
    body: String,
    /// How the transfer ended that it began or that ran.
    end: Option<String>,
    /// Which slots had power then.
    power: Option<String>,
}

fn calls() -> Vec<Call> {
    let sections = CALLS.split("## ").skip(1);
    sections
        .map(|section| {
            let (head, rest) = section.split_once('\n').unwrap();
            let mut words = head.split('|');
            let name = words.next().unwrap().to_owned();
            let status = words.next().map_or(0, |status| status.parse().unwrap_or(0));
            let mut lines = rest.lines().map(str::trim);
            let body = lines.next().unwrap_or_default().to_owned();
            let rest: Vec<&str> = lines.collect();
            let end = rest.iter().find_map(|line| line.strip_prefix("-> ")?.split_once(": "));
            let power = rest.iter().find_map(|line| line.strip_prefix("power: ")?.split_once("  usb:"));
            Call {
                name,
                status,
                body,
                end: end.map(|(_, end)| end.to_owned()),
                power: power.map(|(power, _)| power.trim_end_matches("]}").to_owned()),
            }
        })
        .collect()
}

/// What was flashed: 8 MiB that cannot be packed, and the same packed.
struct Images {
    raw: Vec<u8>,
    packed: Vec<u8>,
}

/// What a call uploads, and to which transfer.
struct Upload {
    /// What is ordered before; `None`: it goes to the one before.
    order: Option<String>,
    /// Instead of the handle that the order gave.
    to: Option<&'static str>,
    /// A form with this for a file; `None`: no form at all.
    file: Option<Vec<u8>>,
}

/// The upload that a call was, if it was one. What runs is held back while one is made to a transfer from a file.
fn upload(name: &str, images: &Images) -> Option<Upload> {
    let Images { raw, packed } = images;
    let order = |file: &str, more: &str| Some(format!("/api/bmc?opt=set&type=flash&node=2&file={file}{more}"));
    let raw_order = || order("raw", "&length=8388608");
    let of = |order, file: &[u8]| Upload { order, to: None, file: Some(file.to_vec()) };
    Some(match name {
        "upload ok" | "upload once" => of(raw_order(), raw),
        "upload ok, sha in capitals" => {
            let sum = Sha256::digest(raw).iter().map(|byte| format!("{byte:02X}")).collect::<String>();
            of(order("raw", &format!("&length=8388608&sha256={sum}")), raw)
        }
        "upload xz ok" => of(order("raw.xz", &format!("&length={}", packed.len())), packed),
        "upload wrong sha" => of(order("raw", &format!("&length=8388608&sha256={}", "0".repeat(64))), raw),
        "upload too short" => of(raw_order(), &raw[..raw.len() - 1000]),
        "upload too long" => of(raw_order(), &[&raw[..], &[0; 1000]].concat()),
        "upload other handle" => Upload { to: Some("4711"), ..of(raw_order(), raw) },
        "upload right" | "upload to ended handle" | "upload again same handle" => of(None, raw),
        "upload form without file" => of(raw_order(), b""),
        "upload not multipart" => Upload { file: None, ..of(raw_order(), b"") },
        "upload abc" => Upload { to: Some("abc"), ..of(None, raw) },
        "upload to a local transfer" => of(order("/mnt/raw", "&local"), raw),
        _ => return None,
    })
}

/// The request that a call was; `None`: an upload, or one that lasted.
fn request(name: &str, handle: &str) -> Option<String> {
    let local = |file: &str| format!("opt=set&type=flash&node=2&file=/mnt/{file}&local");
    let query = match name {
        "get uart empty slot" => "opt=get&type=uart&node=3".to_owned(),
        "get uart node=4" => "opt=get&type=uart&node=4".to_owned(),
        "set power node4=1 (empty slot)" | "set power node4=1 again" => "opt=set&type=power&node4=1".to_owned(),
        "set power node4=0" => "opt=set&type=power&node4=0".to_owned(),
        "set power node5=1" => "opt=set&type=power&node5=1".to_owned(),
        "clear_usb_boot" | "clear" => "opt=set&type=clear_usb_boot".to_owned(),
        "reset of an off slot 3" => "opt=set&type=reset&node=2".to_owned(),
        "set power node3=0" => "opt=set&type=power&node3=0".to_owned(),
        "off" => "opt=set&type=power&node3=0&node4=0".to_owned(),
        "node_to_msd empty slot 4" => "opt=set&type=node_to_msd&node=3".to_owned(),
        "node_to_msd slot 3" => "opt=set&type=node_to_msd&node=2".to_owned(),
        "node_to_msd node=9" => "opt=set&type=node_to_msd&node=9".to_owned(),
        "node_to_msd node=256" => "opt=set&type=node_to_msd&node=256".to_owned(),
        "flash local missing file" => "opt=set&type=flash&node=2&file=/mnt/sdcard/t/none.img&local".to_owned(),
        "flash local is a directory" => local(""),
        "flash local no file" => "opt=set&type=flash&node=2&local".to_owned(),
        "flash node=4" => "opt=set&type=flash&node=4&file=/mnt/raw&local".to_owned(),
        "flash without length" => "opt=set&type=flash&node=2&file=raw".to_owned(),
        "flash length=abc" => "opt=set&type=flash&node=2&file=raw&length=abc".to_owned(),
        "flash sha256=xyz" => "opt=set&type=flash&node=2&file=raw&length=8388608&sha256=xyz".to_owned(),
        "flash sha256 too short" => "opt=set&type=flash&node=2&file=raw&length=8388608&sha256=abcd".to_owned(),
        "cancel it" => return Some(format!("/api/bmc/upload/{handle}/cancel")),
        "flash local raw" | "flash local raw again" => local("raw"),
        "flash local xz" => local("raw.xz"),
        "flash local xz truncated" => local("truncated.xz"),
        "flash local xz corrupt" => local("corrupt.xz"),
        "flash local xz of text" => local("text.xz"),
        "flash local xz empty" => local("empty.xz"),
        "flash local empty raw" => local("empty"),
        "flash local .XZ name" => local("raw.XZ"),
        "flash local two xz streams" => local("two.xz"),
        "flash local too large (32 MiB into 16)" => local("large"),
        "flash empty slot" => "opt=set&type=flash&node=3&file=/mnt/raw&local".to_owned(),
        _ => return None,
    };
    Some(format!("/api/bmc?{query}"))
}

fn board(directory: &Path, Images { raw, packed }: &Images) -> Ended {
    for slot in 1..=3 {
        let slot = directory.join(format!("board/slot{slot}"));
        fs::create_dir_all(&slot).unwrap();
        File::create(slot.join("emmc.img")).unwrap().set_len(16 * MIB as u64).unwrap();
    }
    let images = directory.join("mnt");
    fs::create_dir_all(&images).unwrap();
    let mut corrupt = packed.clone();
    corrupt[4 * MIB] ^= 1;
    for (name, bytes) in [
        ("raw", raw.as_slice()),
        ("raw.xz", packed),
        ("raw.XZ", packed),
        ("truncated.xz", &packed[..packed.len() / 2]),
        ("corrupt.xz", &corrupt),
        ("text.xz", b"this is no xz\n"),
        ("empty.xz", b""),
        ("empty", b""),
        ("two.xz", &[packed.as_slice(), packed].concat()),
        ("large", &vec![1; 32 * MIB]),
    ] {
        fs::write(images.join(name), bytes).unwrap();
    }
    daemon(directory)
}

async fn get(bmcd: &Ended, path: &str) -> Answer {
    let request = Request::get(path).body(Full::new(Bytes::new())).unwrap();
    respond(bmcd, IpAddr::from([127, 0, 0, 1]), request).await
}

/// Handles, durations and sizes of what is packed differ from run to run.
fn masked(text: &str) -> Value {
    let Ok(mut value) = serde_json::from_str::<Value>(text) else { return Value::from(text) };
    if let Some(handle) = value.get_mut("handle") {
        *handle = Value::Null;
    }
    if let Some(why) = value["Error"].as_str()
        && let Some((words, _)) = why.split_once(", got: ")
    {
        value["Error"] = Value::from(words);
    }
    if let Some(done) = value.get_mut("Done") {
        done[0] = Value::Null;
        if !done[1].as_u64().is_some_and(|size| size.is_power_of_two() || size == 0) {
            done[1] = Value::from("packed");
        }
    }
    value
}

/// What came of an upload.
async fn uploaded(bmcd: &Ended, upload: &Upload, handle: &mut String) -> Answer {
    if let Some(order) = &upload.order {
        let given: Value = serde_json::from_str(&get(bmcd, order).await.body).unwrap();
        *handle = given["handle"].to_string();
    }
    let body = match &upload.file {
        Some(file) => [head("raw").as_bytes(), file, tail().as_bytes()].concat(),
        None => b"no form".to_vec(),
    };
    let kind = if upload.file.is_some() { form() } else { "text/plain".to_owned() };
    let to = upload.to.unwrap_or(handle.as_str());
    let request = Request::post(format!("/api/bmc/upload/{to}")).header("Content-Type", kind);
    respond(bmcd, IpAddr::from([127, 0, 0, 1]), request.body(Full::new(Bytes::from(body))).unwrap()).await
}

/// Where the real one breaks the connection because something is wrong early (curl: 000), the stand-in gives a status.
const BROKEN_OFF: [(&str, u16); 6] = [
    ("upload too long", 500),
    ("upload other handle", 500),
    ("upload not multipart", 500),
    ("upload to ended handle", 500),
    ("upload abc", 404),
    ("upload again same handle", 500),
];

fn as_answered(recorded: &Call, answer: &Answer) -> bool {
    match recorded.status {
        0 => BROKEN_OFF.contains(&(recorded.name.as_str(), answer.status)),
        status => (answer.status, masked(&answer.body)) == (status, masked(&recorded.body)),
    }
}

async fn difference(bmcd: &Ended, call: &Call, upload: Option<Upload>, handle: &mut String) -> Option<String> {
    let answer = match upload {
        Some(upload) => {
            let local = call.name == "upload to a local transfer";
            bmcd.gate.set(if local { Limit { pass: 1, bytes: 1 } } else { Limit::NONE });
            let answer = uploaded(bmcd, &upload, handle).await;
            bmcd.gate.set(Limit::NONE);
            answer
        }
        None => get(bmcd, &request(&call.name, handle)?).await,
    };
    if let Ok(value) = serde_json::from_str::<Value>(&answer.body)
        && let Some(given) = value.get("handle")
    {
        *handle = given.to_string();
    }
    if !as_answered(call, &answer) {
        return Some(format!("{} {}, recorded {} {}", answer.status, answer.body, call.status, call.body));
    }
    if let Some(end) = &call.end {
        let said = comes(bmcd, "flash", |said| masked(said) == masked(end)).await;
        if let Err(said) = said {
            return Some(format!("ends with {said}, recorded {end}"));
        }
    }
    // Whoever worked on the module takes its power when it has ended.
    let power = call.power.as_ref()?;
    let said = comes(bmcd, "power", |said| said.contains(power.trim_start_matches('['))).await.err()?;
    Some(format!("{said}, recorded {power}"))
}

/// Asks until it is so; what is said instead, where it does not come to be so.
async fn comes(bmcd: &Ended, what: &str, so: impl Fn(&str) -> bool) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        let said = get(bmcd, &format!("/api/bmc?opt=get&type={what}")).await.body;
        if so(&said) {
            return Ok(());
        }
        let ended = what == "flash" && !said.contains("Transferring");
        if ended || begun.elapsed() > Duration::from_secs(10) {
            return Err(said);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_is_answered_as_the_real_one_did() {
    let directory = tempfile::tempdir().unwrap();
    let raw = noise(8 * MIB);
    let images = Images { packed: xz(&raw), raw };
    let bmcd = board(directory.path(), &images);
    get(&bmcd, "/api/bmc?opt=set&type=power&node1=1&node2=1").await;
    let (mut handle, mut compared, mut differ) = (String::new(), 0, Vec::new());
    for call in calls() {
        let upload = upload(&call.name, &images);
        compared += usize::from(request(&call.name, "").is_some() || upload.is_some());
        let difference = difference(&bmcd, &call, upload, &mut handle).await;
        let known = OTHERWISE.iter().find(|(name, _)| *name == call.name);
        match (difference, known) {
            (Some(difference), None) => differ.push(format!("{}: {difference}", call.name)),
            (None, Some((_, why))) => differ.push(format!("{} is as recorded, and was not: {why}", call.name)),
            _ => {}
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert_eq!(compared, 55);
}
