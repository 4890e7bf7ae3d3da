//! Events of format 0: the logs of the builds that named no format. Actions, waits and notices are words in them, and a
//! target is its name alone.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// The names that the steps of boards have shown to be boards'.
#[derive(Default, Debug)]
pub(super) struct Boards(BTreeSet<String>);

impl Boards {
    /// Brings an event to today's shape. What is not as format 0 has it stays as it is.
    ///
    /// A name is taken for a node's until a lane or a step for a board's images or slots has shown that it is a board's.
    pub(super) fn upgrade(&mut self, event: &mut Map<String, Value>) {
        let step = event.get("step").and_then(Value::as_str).unwrap_or_default();
        if let Some(Value::String(target)) = event.get("target")
            && is_on_a_board(step)
        {
            self.0.insert(target.clone());
        }
        let lanes = event.get("lanes").and_then(Value::as_array).into_iter().flatten();
        let images = lanes.filter_map(|lane| lane.get("lane")?.as_str()?.split_once('/'));
        self.0.extend(images.filter(|(_, what)| what.ends_with("_images")).map(|(board, _)| board.to_owned()));
        if let Some(target) = event.get_mut("target") {
            self.target(target);
        }
        let places = [&["fault"][..], &["outcome", "failed"], &["planned", "unreachable"]];
        for place in places {
            if let Some(at) = within(event, place).and_then(|fault| fault.get_mut("at")) {
                self.target(at);
            }
        }
        if let Some(span) = event.get_mut("span") {
            upgrade_span(span);
        }
        for hazard in event.get_mut("hazards").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(disk) = hazard.get_mut("disk") {
                upgrade_disk(disk);
            }
            if let Some(host) = hazard.get_mut("host") {
                self.target(host);
            }
        }
        match event.get("event").and_then(Value::as_str) {
            Some("deed_started") => {
                event.insert("event".to_owned(), "action_started".into());
                to_words(event, "deed", "action", "on");
            }
            Some("deed_ended") => {
                event.insert("event".to_owned(), "action_ended".into());
                to_words(event, "deed", "action", "on");
            }
            Some("waiting" | "waited") => to_words(event, "wanted", "awaited", "kind"),
            Some("noticed") => to_words(event, "text", "notice", "kind"),
            _ => {}
        }
    }

    fn target(&self, target: &mut Value) {
        let Value::String(name) = target else { return };
        *target = match name.as_str() {
            "controller" | "cluster" => return,
            board if self.0.contains(board) => json!({ "bmc": board }),
            node => json!({ "node": node }),
        };
    }
}

/// Whether a step's target is a BMC: that of a slot, of an image on the SD card, of a slot's USB mode.
fn is_on_a_board(step: &str) -> bool {
    step.rsplit_once('/')
        .is_some_and(|(_, what)| matches!(what, "provisioned_slot" | "usb_mode") || what.ends_with("_image"))
}

fn within<'a>(event: &'a mut Map<String, Value>, place: &[&str]) -> Option<&'a mut Value> {
    let (first, rest) = place.split_first()?;
    rest.iter().try_fold(event.get_mut(*first)?, |value, key| value.get_mut(*key))
}

/// A disk was written as it is shown: `eMMC`, or its path with what is there in brackets.
fn upgrade_disk(disk: &mut Value) {
    let Value::String(shown) = disk else { return };
    *disk = match shown.as_str() {
        "eMMC" => json!("emmc"),
        path => json!({ "at": { "path": path.split(' ').next() } }),
    };
}

/// A span was written as it is shown.
fn upgrade_span(span: &mut Value) {
    let Some((owner, what)) = span.as_str().and_then(|shown| shown.rsplit_once('/')) else { return };
    *span = match (owner, what) {
        ("controller", "known_hosts") => json!("known_hosts"),
        ("cluster", "maintenance") => json!("maintenance"),
        ("controller", what) => match what.strip_prefix("k3s-artifacts-") {
            Some(architecture) => json!({ "k3s_artifacts": architecture }),
            None => json!({ "image": what }),
        },
        (board, what) => json!({ what: board }),
    };
}

/// What was words under `old` becomes words under `new`, in a variant whose tag is `tag`.
fn to_words(event: &mut Map<String, Value>, old: &str, new: &str, tag: &str) {
    if let Some(words) = event.remove(old) {
        event.insert(new.to_owned(), json!({ tag: "words", "words": words }));
    }
}
