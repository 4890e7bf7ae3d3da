//! Calls to the real bmcd 2.3.7 with GPIO, USB and disks as files (November 2026), made again here in the same order: what is
//! answered, how a transfer ends, and which slots have power then. Uploads are compared by the other recordings.

use std::fs::{self, File};
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::Value;

use super::Ended;
use super::stage::{daemon, noise, xz};
use crate::bmcd::answer::Answer;
use crate::bmcd::server::respond;

const CALLS: &str = include_str!("../../../tests/contract/bmcd-calls.log");
const MIB: usize = 1024 * 1024;

/// Where this stand-in is another one, and why that is left so.
const OTHERWISE: [(&str, &str); 0] = [];

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

fn board(directory: &Path) -> Ended {
    for slot in 1..=3 {
        let slot = directory.join(format!("board/slot{slot}"));
        fs::create_dir_all(&slot).unwrap();
        File::create(slot.join("emmc.img")).unwrap().set_len(16 * MIB as u64).unwrap();
    }
    let images = directory.join("mnt");
    fs::create_dir_all(&images).unwrap();
    let raw = noise(8 * MIB);
    let packed = xz(&raw);
    let mut corrupt = packed.clone();
    corrupt[4 * MIB] ^= 1;
    for (name, bytes) in [
        ("raw", raw.as_slice()),
        ("raw.xz", &packed),
        ("raw.XZ", &packed),
        ("truncated.xz", &packed[..packed.len() / 2]),
        ("corrupt.xz", &corrupt),
        ("text.xz", b"this is no xz\n"),
        ("empty.xz", b""),
        ("empty", b""),
        ("two.xz", &[packed.as_slice(), &packed].concat()),
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
    if let Some(done) = value.get_mut("Done") {
        done[0] = Value::Null;
        if !done[1].as_u64().is_some_and(|size| size.is_power_of_two() || size == 0) {
            done[1] = Value::from("packed");
        }
    }
    value
}

async fn difference(bmcd: &Ended, call: &Call, handle: &mut String) -> Option<String> {
    let path = request(&call.name, handle)?;
    let answer = get(bmcd, &path).await;
    if let Ok(value) = serde_json::from_str::<Value>(&answer.body)
        && let Some(given) = value.get("handle")
    {
        *handle = given.to_string();
    }
    if (answer.status, masked(&answer.body)) != (call.status, masked(&call.body)) {
        return Some(format!("{} {}, recorded {} {}", answer.status, answer.body, call.status, call.body));
    }
    if let Some(end) = &call.end {
        let begun = Instant::now();
        loop {
            let said = get(bmcd, "/api/bmc?opt=get&type=flash").await.body;
            if masked(&said) == masked(end) {
                break;
            }
            if !said.contains("Transferring") || begun.elapsed() > Duration::from_secs(10) {
                return Some(format!("ends with {said}, recorded {end}"));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    let power = call.power.as_ref()?;
    let said = get(bmcd, "/api/bmc?opt=get&type=power").await.body;
    (!said.contains(power.trim_start_matches('['))).then(|| format!("{said}, recorded {power}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_is_answered_as_the_real_one_did() {
    let directory = tempfile::tempdir().unwrap();
    let bmcd = board(directory.path());
    get(&bmcd, "/api/bmc?opt=set&type=power&node1=1&node2=1").await;
    let (mut handle, mut compared, mut differ) = (String::new(), 0, Vec::new());
    for call in calls() {
        compared += usize::from(request(&call.name, "").is_some());
        let difference = difference(&bmcd, &call, &mut handle).await;
        let known = OTHERWISE.iter().find(|(name, _)| *name == call.name);
        match (difference, known) {
            (Some(difference), None) => differ.push(format!("{}: {difference}", call.name)),
            (None, Some((_, why))) => differ.push(format!("{} is as recorded, and was not: {why}", call.name)),
            _ => {}
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert_eq!(compared, 40);
}
