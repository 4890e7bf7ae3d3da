//! What no recording shows: the faults that a board can be told to have.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;

use super::Ended;
use crate::bmcd::facts::Facts;
use crate::bmcd::server::respond;
use crate::bmcd::{Bmcd, Seat, Timing};

const QUICK: Timing =
    Timing { settle: Duration::ZERO, enumerate: Duration::ZERO, upload_within: Duration::from_secs(5) };

fn board(directory: &Path) -> Ended {
    let slot = directory.join("board/slot1");
    fs::create_dir_all(slot.join("faults")).unwrap();
    fs::File::create(slot.join("emmc.img")).unwrap().set_len(1 << 20).unwrap();
    fs::write(directory.join("image"), vec![7; 300_000]).unwrap();
    let seat = Seat::new(directory.join("board"));
    Ended(Arc::new(Bmcd::new(seat, "turing", QUICK, Facts::gather, directory.to_owned())))
}

fn break_it(directory: &Path, fault: &str, value: &str) {
    fs::write(directory.join("board/slot1/faults").join(fault), value).unwrap();
}

async fn get(bmcd: &Arc<Bmcd>, query: &str) -> String {
    let request = Request::get(format!("/api/bmc?{query}")).body(Full::new(Bytes::new())).unwrap();
    respond(bmcd, IpAddr::from([127, 0, 0, 1]), request).await.body
}

/// Waits until the transfer says this; what the power of slot 1 is then.
async fn says(bmcd: &Arc<Bmcd>, wanted: &str) -> bool {
    for _ in 0..2000 {
        let said = get(bmcd, "opt=get&type=flash").await;
        if said.contains(wanted) {
            return get(bmcd, "opt=get&type=power").await.contains(r#""node1":"1""#);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never said {wanted}: {}", get(bmcd, "opt=get&type=flash").await);
}

const FLASH: &str = "opt=set&type=flash&node=0&file=/image&local";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_is_not_found_so_often_and_then_is() {
    let directory = tempfile::tempdir().unwrap();
    let bmcd = board(directory.path());
    break_it(directory.path(), "usb-not-found", "2");
    assert!(get(&bmcd, "opt=set&type=node_to_msd&node=0").await.contains("not found or supported"));
    get(&bmcd, FLASH).await;
    assert!(says(&bmcd, "not found or supported").await, "the power stays on");
    get(&bmcd, FLASH).await;
    assert!(!says(&bmcd, "Done").await, "the power is off");
    assert_eq!(fs::read(directory.path().join("board/slot1/emmc.img")).unwrap()[..300_000], vec![7; 300_000]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_stuck_stays_until_another_flash_or_another_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let bmcd = board(directory.path());
    break_it(directory.path(), "worker-stuck", "1000");
    get(&bmcd, FLASH).await;
    assert!(says(&bmcd, r#""bytes_written":1000}"#).await);
    assert_eq!(fs::read_to_string(directory.path().join("board/slot1/power")).unwrap(), "flash 2\n");
    let restarted = board(directory.path());
    assert!(!says(&restarted, "Ready").await, "a restart takes the power of all slots");
    assert_eq!(fs::read_to_string(directory.path().join("board/slot1/power")).unwrap(), "off 3\n");
    get(&bmcd, FLASH).await;
    says(&bmcd, "Done").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_bytes_are_seen_unless_nobody_looks() {
    let directory = tempfile::tempdir().unwrap();
    let bmcd = board(directory.path());
    break_it(directory.path(), "wrong-bytes", "4096");
    get(&bmcd, FLASH).await;
    assert!(!says(&bmcd, "crc error. expected ").await);
    break_it(directory.path(), "wrong-bytes", "4096");
    get(&bmcd, &format!("{FLASH}&skip_crc")).await;
    says(&bmcd, "Done").await;
    let written = fs::read(directory.path().join("board/slot1/emmc.img")).unwrap();
    assert_eq!((written[4095], written[4096]), (7, 7 ^ 0x20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_is_too_big_an_empty_slot_and_a_power_cut() {
    let directory = tempfile::tempdir().unwrap();
    let bmcd = board(directory.path());
    fs::write(directory.path().join("big"), vec![1; 2 << 20]).unwrap();
    get(&bmcd, "opt=set&type=flash&node=0&file=/big&local").await;
    says(&bmcd, "No space left on device").await;
    get(&bmcd, "opt=set&type=flash&node=3&file=/image&local").await;
    says(&bmcd, "not found or supported").await;
    break_it(directory.path(), "power-cut", "0");
    get(&bmcd, FLASH).await;
    says(&bmcd, "Transferring").await;
    for _ in 0..1000 {
        if directory.path().join("board/power-cut").exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the power was not cut");
}
