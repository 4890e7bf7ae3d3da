//! The API: from a query to an answer.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::answer::Answer;
use super::board::{Drive, SLOTS, Usb};
use super::flash::{self, Order, Stop};
use super::query::Query;
use super::source::{Inflow, Source};
use super::transfer::{Running, Transfer};
use super::{Bmcd, facts, lock, random};

/// How many pieces of an upload wait for the eMMC.
const PIECES: usize = 256;

/// Answers `GET /api/bmc`.
pub async fn answer(bmcd: &Arc<Bmcd>, text: &str) -> Answer {
    let query = Query::parse(text);
    if text.contains("type=flash") {
        match query.get("opt") {
            Some("get") => return Answer::text(200, lock(&bmcd.transfer).say()),
            Some("set") => return order(bmcd, &query).unwrap_or_else(|why| Answer::text(500, why)),
            _ => {}
        }
    }
    let set = match query.get("opt") {
        Some("set") => true,
        Some("get") => false,
        _ => return Answer::error(400, "Missing `opt` parameter"),
    };
    let Some(kind) = query.get("type") else { return Answer::error(400, "Missing `type` parameter") };
    let done = if set { change(bmcd, kind, &query).await } else { look(bmcd, kind, &query) };
    match done {
        Ok(Some(answer)) => answer,
        Ok(None) => Answer::error(400, &format!("Invalid `type` parameter {kind}")),
        Err(why) => Answer::error(400, why),
    }
}

fn look(bmcd: &Bmcd, kind: &str, query: &Query) -> Result<Option<Answer>, &'static str> {
    let facts = bmcd.facts;
    Ok(Some(match kind {
        "other" => Answer::result(facts().other()),
        "about" => Answer::result(facts().about()),
        "info" => Answer::result(facts().info()),
        "power" => Answer::result(power(bmcd)),
        "usb" => Answer::result(usb(bmcd)),
        "usb_node1" => Answer::result(json!(false)),
        "node_info" => Answer::result(node_info(bmcd)),
        "cooling" => Answer::result(json!([])),
        "sdcard" => match facts::sd_card() {
            Some((all, free)) => Answer::result(json!([{ "total": all, "use": all - free, "free": free }])),
            None => Answer::error(400, "Failed to get microSD card info: {}"),
        },
        "uart" => match bmcd.seat.uart(query.node()?) {
            Some(text) => Answer::json(200, &json!({ "response": [{ "uart": text }] })),
            None => Answer::error(500, "serial worker not started"),
        },
        _ => return Ok(None),
    }))
}

async fn change(bmcd: &Bmcd, kind: &str, query: &Query) -> Result<Option<Answer>, &'static str> {
    Ok(Some(match kind {
        "power" => set_power(bmcd, query),
        "reset" => {
            let node = query.node()?;
            bmcd.change(|board, now| board.reset(node, now));
            Answer::ok()
        }
        "usb" => {
            let node = query.node()?;
            let mode = query.get("mode").ok_or("Missing `mode` parameter")?;
            let mode = mode.parse().map_err(|_| "Parameter `mode` is not a number")?;
            let usb = Usb::of(node, mode);
            let stored = bmcd.seat.store_usb(&usb);
            bmcd.change(|board, _| board.set_usb(usb));
            stored.map_or_else(|failure| Answer::error(500, &failure.to_string()), |()| Answer::ok())
        }
        "usb_boot" => {
            let node = query.node()?;
            bmcd.change(|board, _| board.slots.get_mut(node).map(|slot| slot.usb_boot = true));
            Answer::ok()
        }
        "clear_usb_boot" => {
            bmcd.change(|board, _| board.clear_usb_boot());
            Answer::ok()
        }
        "node_to_msd" => into_msd(bmcd, query.node()?).await,
        "uart" => {
            let node = query.node()?;
            let line = query.get("cmd").ok_or("Missing `cmd` parameter")?;
            match bmcd.seat.uart(node) {
                Some(_) if bmcd.seat.type_at(node, &format!("{line}\r\n")).is_ok() => Answer::ok(),
                _ => Answer::error(500, "serial worker not started"),
            }
        }
        _ => return Ok(None),
    }))
}

fn each_node(value: impl Fn(usize) -> Value) -> Value {
    let nodes = (0..SLOTS).map(|node| (format!("node{}", node + 1), value(node)));
    Value::Object(nodes.collect())
}

fn power(bmcd: &Bmcd) -> Value {
    let slots = lock(&bmcd.board).slots;
    let is_on = |node: usize| slots.get(node).is_some_and(|slot| slot.drive != Drive::Off);
    json!([each_node(|node| json!(if is_on(node) { "1" } else { "0" }))])
}

fn set_power(bmcd: &Bmcd, query: &Query) -> Answer {
    let mut wanted = [None; SLOTS];
    for (node, wanted) in wanted.iter_mut().enumerate() {
        let name = format!("node{}", node + 1);
        *wanted = match query.get(&name) {
            None => None,
            Some("0") => Some(false),
            Some("1") => Some(true),
            Some(other) => return Answer::error(400, &format!("Invalid value `{other}` for parameter `{name}`")),
        };
    }
    if wanted == [None; SLOTS] {
        return Answer::error(500, "Failed to set power state: Condition failed: `mask != 0` (0 vs 0)");
    }
    bmcd.change(|board, now| board.set_power(wanted, now));
    Answer::ok()
}

fn usb(bmcd: &Bmcd) -> Value {
    let usb = lock(&bmcd.board).usb.clone();
    json!([{
        "bus_type": if bmcd.seat.has_hub() { "Usb hub" } else { "Single bus" },
        "mode": usb.mode,
        "node": format!("Node {}", usb.node + 1),
        "route": usb.route,
    }])
}

fn node_info(bmcd: &Bmcd) -> Value {
    let now = bmcd.begun.elapsed().as_secs();
    let slots = lock(&bmcd.board).slots;
    slots
        .iter()
        .map(|slot| {
            let on = slot.since.map(|since| now.saturating_sub(since));
            json!({ "module_name": null, "name": null, "power_on_time": on, "uart_baud": null })
        })
        .collect()
}

async fn into_msd(bmcd: &Bmcd, node: usize) -> Answer {
    bmcd.change(|board, now| {
        board.turn(node, Drive::Off, now);
        board.turn(node, Drive::Dark, now);
    });
    match bmcd.enumerate(node).await {
        Ok((found, _)) => {
            bmcd.change(|board, now| board.turn(found, Drive::Msd, now));
            Answer::ok()
        }
        Err(why) => Answer::error(500, &format!("Failed to {why}: {why}")),
    }
}

/// What is wrong with digits of a sum, as bmcd says it.
fn no_hex(text: &str) -> Option<String> {
    if !text.len().is_multiple_of(2) {
        return Some("Odd number of digits".to_owned());
    }
    let odd = text.chars().enumerate().find(|(_, digit)| !digit.is_ascii_hexdigit());
    odd.map(|(at, digit)| format!("Invalid character {digit:?} at position {at}"))
}

/// Takes the order of a flash. It ends the one that runs.
fn order(bmcd: &Arc<Bmcd>, query: &Query) -> Result<Answer, String> {
    let name = PathBuf::from(query.get("file").ok_or("Invalid `file` query parameter")?);
    let node = query.node()?;
    let cancel = watch::Sender::new(false);
    let cancelled = cancel.subscribe();
    let failed = |error: std::io::Error| format!("Failed to {}: {error}", name.display());
    let (source, size, inflow) = if query.get("local").is_some() {
        let file = File::open(bmcd.root.join(name.strip_prefix("/").unwrap_or(&name))).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        (Source::file(file, &name), size, None)
    } else {
        let size = query.get("length").ok_or("Invalid `length` query parameter")?;
        let size = size.parse().map_err(|_| "`length` parameter is not a number")?;
        let (inflow, pieces) = mpsc::channel(PIECES);
        let pieces = Inflow::new(pieces, cancelled.clone(), lock(&bmcd.timing).upload_within);
        (Source::upload(pieces, &name), size, Some(inflow))
    };
    let source = source.map_err(failed)?;
    let sha256 = query.get("sha256").map(str::to_owned);
    if let Some(why) = sha256.as_deref().and_then(no_hex) {
        return Err(format!("`sha256` parameter contains invalid hex values: {why}"));
    }
    let written = Arc::new(AtomicU64::new(0));
    let order = Order {
        node,
        source,
        sha256,
        verify: query.get("skip_crc").is_none(),
        written: Arc::clone(&written),
        cancelled,
    };
    let id = random::number() & u64::from(u32::MAX);
    lock(&bmcd.transfer).begin(Running { id, node, size, written, inflow, cancel });
    let daemon = Arc::clone(bmcd);
    tokio::task::spawn_blocking(move || work(&daemon, id, size, order));
    Ok(Answer::text(200, json!({ "handle": id }).to_string()))
}

fn work(bmcd: &Bmcd, id: u64, size: u64, order: Order) {
    let begun = Instant::now();
    let _bus = lock(&bmcd.bus);
    let end = match flash::run(bmcd, order) {
        Ok(()) => Transfer::Done(begun.elapsed(), size),
        Err(Stop::Failed(why)) => Transfer::Error(why),
        Err(Stop::Cancelled) => return,
    };
    lock(&bmcd.transfer).finish(id, end);
}
