use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::bmc::fuzzing::understood;
use crate::bmc::query;

#[derive(Deserialize)]
struct Line {
    request: Request,
    response: Response,
}

#[derive(Deserialize)]
struct Request {
    path: String,
}

#[derive(Deserialize)]
struct Response {
    status: u16,
    body: String,
}

fn recordings() -> Vec<Line> {
    let files = [
        include_str!("../../../tests/recordings/bmcd-http.jsonl"),
        include_str!("../../../tests/recordings/bmcd-progress.jsonl"),
    ];
    files.iter().flat_map(|file| file.lines()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_answer_of_the_recordings_is_understood() {
    let lines = recordings();
    assert_eq!(lines.len(), 142);
    for line in lines {
        let (path, Response { status, body }) = (&line.request.path, &line.response);
        match result(*status, body) {
            Ok(value) => {
                assert!((200..300).contains(status), "{path}: {body}");
                let read = understood(path, &value);
                assert!(read.is_ok(), "{path}: {body}: {read:?}");
            }
            Err(BmcError::Said(told, said)) => {
                assert_eq!(told, *status, "{path}: {body}");
                assert!(!said.is_empty() && !said.contains('{') || said.ends_with("{}"), "{path}: {said}");
            }
            Err(BmcError::NoModule(said)) => assert!(said.contains("USB"), "{said}"),
            Err(other) => panic!("{path}: {body}: {other:?}"),
        }
    }
}

#[test]
fn a_usb_mode_that_comes_back_with_the_daemon_is_seen() {
    let stored: Vec<_> = recordings()
        .iter()
        .filter(|line| line.request.path == query::get("usb"))
        .map(|line| stored_usb_boot(&result(line.response.status, &line.response.body).unwrap()).unwrap())
        .collect();
    // The last was read during a flash of slot 1, which stores nothing.
    assert_eq!(stored, [None, Slot::new(2), None]);
    let route = json!([{"bus_type": "Single bus", "mode": "Device", "node": "Node 1", "route": "AlternativePort"}]);
    assert_eq!(usb_route(&route), Slot::new(1).map(|slot| UsbRoute { slot, mode: 1 }));
    let to_bmc = json!([{"mode": "Host", "node": "Node 3", "route": "Bmc"}]);
    assert_eq!(usb_route(&to_bmc), Slot::new(3).map(|slot| UsbRoute { slot, mode: 4 }));
    assert_eq!(usb_route(&json!([{"mode": 2}])), None);
    for older in [json!([]), json!([{"mode": 2}]), json!({"mode": 2, "node": 1})] {
        assert!(matches!(stored_usb_boot(&older), Ok(None)), "{older}");
    }
    for odd in [json!([{"mode": "Flash", "node": "Node 9"}]), json!([{"mode": "Flash"}])] {
        assert!(stored_usb_boot(&odd).is_err(), "{odd}");
    }
}

#[test]
fn whatever_bmcd_answers_is_read_or_refused() {
    let (mut read, mut refused) = (0, 0);
    for line in recordings() {
        for body in crate::mutations::of_text(&line.response.body, 50) {
            match result(line.response.status, &body).and_then(|value| understood(&line.request.path, &value)) {
                Ok(_) => read += 1,
                Err(_) => refused += 1,
            }
        }
    }
    assert!(read > 100 && refused > 100, "{read} read, {refused} refused");
}

#[test]
fn how_a_transfer_stands() {
    let read = |body: &str| transfer(&result(200, body).unwrap()).unwrap();
    assert_eq!(read("\"Ready\""), Transfer::Ready);
    assert_eq!(
        read(
            "{\"Transferring\":{\"id\":7,\"process_name\":\"Node 2 os install service\",\"size\":768,\
             \"cancelled\":false,\"bytes_written\":60293120}}"
        ),
        Transfer::Running { handle: Some(7), slot: Slot::new(2), size: 768, written: Some(60_293_120) }
    );
    assert_eq!(read("{\"Done\":[{\"secs\":1,\"nanos\":2},768]}"), Transfer::Done { size: Some(768) });
    assert_eq!(read("{\"Error\":\"Send timeout\"}"), Transfer::Failed("Send timeout".to_owned()));
    assert!(transfer(&Value::Bool(true)).is_err());
}

#[test]
fn errors_are_plain_text_or_framed_and_never_a_result() {
    let trouble = |status, body: &str| result(status, body).unwrap_err();
    assert!(
        matches!(trouble(500, "missing 626 kB bytes"), BmcError::Said(500, said) if said == "missing 626 kB bytes")
    );
    let framed = "{\"response\":[{\"result\":\"Parameter `node` is out of range 0..3 of node IDs\"}]}";
    assert!(matches!(trouble(400, framed), BmcError::Said(400, said) if said.starts_with("Parameter")));
    assert!(matches!(trouble(500, "No supported USB devices found"), BmcError::NoModule(_)));
    assert!(matches!(trouble(200, "<html>"), BmcError::Odd(_)));
    assert!(matches!(trouble(502, ""), BmcError::Said(502, _)));
}

#[test]
fn power_and_versions() {
    let value = result(200, r#"{"response":[{"result":[{"node1":"1","node2":"0","node3":1,"node4":0}]}]}"#).unwrap();
    assert_eq!(power(&value).unwrap(), [true, false, true, false]);
    assert!(power(&serde_json::json!([{"node1": "1"}])).is_err());
    let unpacks = |daemon: Option<&str>, firmware: Option<&str>| {
        Versions { daemon: daemon.map(str::to_owned), firmware: firmware.map(str::to_owned) }.unpacks()
    };
    assert!(unpacks(Some("2.3.7"), Some("12 (bookworm)")) && unpacks(Some("2.3.0"), None));
    assert!(!unpacks(Some("2.2.0"), Some("2.1.0")) && !unpacks(Some("2.0.5"), Some("2.0.5")));
    assert!(unpacks(None, Some("2.1.0")) && unpacks(None, Some("v2.10.0")));
    let older = versions(&serde_json::json!([{"version": "2.0.5", "build_version": "2023.08"}]));
    assert_eq!((older.daemon.as_deref(), older.firmware.as_deref()), (Some("2.0.5"), Some("2023.08")));
    assert!(!older.unpacks());
    assert!(!unpacks(None, Some("2.0.5")) && !unpacks(None, Some("1.1.0")) && !unpacks(None, None));
}

#[test]
fn a_console_is_text_under_its_own_name() {
    let value = result(200, r#"{"response":[{"uart":"[    0.000000] Booting\r\n"}]}"#).unwrap();
    assert_eq!(console(&value).unwrap(), "[    0.000000] Booting\r\n");
    assert!(console(&Value::Null).is_err());
}
