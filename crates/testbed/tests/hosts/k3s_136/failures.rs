//! Agents that do not join: what their units are in, and what they and the server say, line by line.

use serde_json::Value;

use super::stage::{Stage, State, once};
use super::{noted, unless};
use crate::k3s_contract::pattern::matches;
use crate::wait;

const STATES: &str = include_str!("../../contract/k3s-1.36/agent-failures.jsonl");
const REFUSALS: &str = include_str!("../../contract/k3s-1.36/journal-server-refusals.txt");

/// One of them: what it is called in the recordings, its journal, and what makes it so.
struct Failure {
    note: &'static str,
    journal: &'static str,
    change: &'static str,
}

const TOKEN: &str = "/etc/rancher/k3s/bringup-token";

/// What an agent is known by that has joined before.
const FORGET: &str = "rm -f /var/lib/rancher/k3s/agent/*.crt /var/lib/rancher/k3s/agent/*.key \
                      /var/lib/rancher/k3s/agent/etc/k3s-agent-load-balancer.json";

macro_rules! journal {
    ($name:literal) => {
        include_str!(concat!("../../contract/k3s-1.36/journal-agent-", $name, ".txt"))
    };
}

/// In an order in which nothing needs to join between.
const ALL: [Failure; 8] = [
    Failure {
        note: "wrong token, joined before",
        journal: journal!("wrong-token-joined"),
        change: "sed -i 's/::server:.*/::server:wrong/' @TOKEN@",
    },
    Failure { note: "wrong ca", journal: journal!("wrong-ca"), change: "sed -i 's/^K10[0-9a-f]*/K10@ZEROS@/' @TOKEN@" },
    Failure {
        note: "node password",
        journal: journal!("node-password"),
        change: "tr 0-9a-f 1-9a-f0 < /root/password > /etc/rancher/node/password",
    },
    Failure {
        note: "no server",
        journal: journal!("no-server"),
        change: "sed -i 's,//.*:6443,//10.97.77.99:6443,' @ENV@",
    },
    Failure {
        note: "server port closed",
        journal: journal!("server-port-closed"),
        change: "sed -i 's,//.*:6443,//10.97.77.1:6443,' @ENV@",
    },
    Failure {
        note: "bad flag",
        journal: journal!("bad-flag"),
        change: "echo 'nonsense-flag: 1' >> /etc/rancher/k3s/config.yaml",
    },
    Failure { note: "no token file", journal: journal!("no-token-file"), change: "rm @TOKEN@" },
    Failure {
        note: "wrong token, first join",
        journal: journal!("wrong-token"),
        change: "@FORGET@; sed -i 's/::server:.*/::server:wrong/' @TOKEN@",
    },
];

/// What guests without kernel modules say, and what this stand-in has no part for that would say it.
const NOT_COMPARED: [&str; 4] = ["modprobe: FATAL", "lines of help text>", "Failed to load kernel module", "sysctl"];

pub fn all(stage: &Stage) -> Vec<String> {
    let keep = format!(
        "mkdir -p /root/kept; cp -p {TOKEN} /etc/rancher/k3s/config.yaml /etc/systemd/system/k3s-agent.service.env /root/kept\n\
         cp -p /etc/rancher/node/password /root/password"
    );
    stage.bed.shell("node02", &keep);
    let mut different = Vec::new();
    for failure in ALL {
        different.extend(one(stage, &failure).into_iter().map(|what| format!("{}: {what}", failure.note)));
        put_back(stage);
    }
    stage.bed.shell("node02", "systemctl restart --no-block k3s-agent");
    stage.until_ready("node02");
    different.extend(refusals(stage));
    different
}

fn put_back(stage: &Stage) {
    let back = "cp -p /root/kept/bringup-token /root/kept/config.yaml /etc/rancher/k3s\n\
                cp -p /root/kept/k3s-agent.service.env /etc/systemd/system; cp -p /root/password /etc/rancher/node/password\n\
                systemctl daemon-reload";
    stage.bed.shell("node02", back);
}

fn one(stage: &Stage, failure: &Failure) -> Vec<String> {
    let change = failure
        .change
        .replace("@TOKEN@", TOKEN)
        .replace("@ENV@", "/etc/systemd/system/k3s-agent.service.env")
        .replace("@ZEROS@", &"0".repeat(64))
        .replace("@FORGET@", FORGET);
    stage.start_agent_with(&stage.here(&change));
    let joins = failure.note.ends_with("joined before");
    let recorded = patterns(stage, failure.journal);
    // One that joins goes on to say what containerd, the kubelet and flannel do: of that, its way to the server is compared.
    let recorded = if joins { of_the_way_to_the_server(recorded) } else { recorded };
    let mut different = stage.comes("the journal to say what was recorded", |stage| {
        let said = stage.said("node02");
        let missing: Vec<&String> = recorded.iter().filter(|line| !is_said(line, &recorded, &said)).collect();
        wait::so(missing.is_empty(), || format!("missing {missing:#?} in {said:#?}"))
    });
    let lines = noted(STATES, failure.note);
    let states = once(lines.iter().filter(|line| line["what"] == "unit").map(State::of).collect());
    // Of one that is started again and again, the first round is compared, and the beginning of the second.
    let states: Vec<State> = states.into_iter().take(3).collect();
    different.extend(stage.comes("the unit to be in what was recorded", |stage| {
        let here = stage.bed.shell("node02", "systemctl show --property=ActiveState --value k3s-agent");
        let last = &states.last().unwrap().0[0];
        wait::so(here == *last, || format!("{here}, recorded {last}"))
    }));
    if states.len() == 3 {
        different.extend(stage.comes("it to be started again", |stage| {
            let restarts = stage.property("node02", "NRestarts");
            wait::so(restarts.parse::<u32>().unwrap() > 0, || restarts)
        }));
    }
    let end = lines.iter().find(|line| line["what"] == "at the end").unwrap();
    different.extend(at_the_end(stage, failure, end));
    let here = stage.watched("node02");
    let begins = match states.len() {
        // The stand-in ends within milliseconds: whether a look falls into its start is chance.
        3 => here.contains(&states[1]) && here.iter().all(|state| states.contains(state)),
        _ => here == states,
    };
    different.extend(unless(begins, || format!("states {here:?}, recorded {states:?}")));
    if !joins {
        let said = stage.said("node02");
        let more: Vec<&String> = said
            .iter()
            .filter(|line| !NOT_COMPARED.iter().any(|part| line.contains(part)))
            .filter(|line| message(line).is_some_and(|said| said.starts_with("time=")))
            .filter(|line| !recorded.iter().any(|recorded| matches(recorded, message(line).unwrap())))
            .collect();
        different.extend(unless(more.is_empty(), || format!("it says more than was recorded: {more:#?}")));
    }
    different
}

fn at_the_end(stage: &Stage, failure: &Failure, line: &Value) -> Vec<String> {
    let mut different = Vec::new();
    for (name, recorded) in line["unit"].as_object().unwrap() {
        // Where one that is started again and again happens to be is chance, and so is how often it was.
        if failure.note == "bad flag" && ["NRestarts", "SubState", "Result", "ExecMainStatus"].contains(&name.as_str())
        {
            continue;
        }
        let here = stage.property("node02", name);
        different.extend(unless(*recorded == here.as_str(), || format!("{name}: {here}, recorded {recorded}")));
    }
    let recorded = &line["kubelet healthz"][0];
    different.extend(stage.comes("the kubelet's health to be as recorded", |stage| {
        let code = "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:10248/healthz || true";
        let here = stage.bed.shell("node02", code);
        wait::so(*recorded == here.as_str(), || format!("{here}, recorded {recorded}"))
    }));
    different
}

/// What a line of a journal says, behind its time, its host and who says it; of k3s and of systemd alone.
fn message(line: &str) -> Option<&str> {
    let (who, message) = line.splitn(3, ' ').nth(2)?.split_once(": ")?;
    ["k3s[", "systemd["].iter().any(|name| who.starts_with(name)).then_some(message)
}

/// What a recorded journal says, each once, with what differs from run to run as a placeholder. The kubelet's lines and
/// those of other libraries come of the real programs that are behind the stand-in, too.
fn patterns(stage: &Stage, journal: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for message in journal.lines().filter_map(message) {
        // That systemd starts it is said before anything else, and sometimes before the place from which this is read.
        if message.starts_with("Starting k3s-agent.service") {
            continue;
        }
        let of_k3s =
            message.starts_with("time=") || message.contains("k3s-agent.service") || message.starts_with("Incorrect");
        if !of_k3s || NOT_COMPARED.iter().any(|part| message.contains(part)) {
            continue;
        }
        let pattern = placeholders(&stage.here(message));
        if !all.contains(&pattern) {
            all.push(pattern);
        }
    }
    assert!(!all.is_empty());
    all
}

/// Times, ports of clients, and how often it was.
fn placeholders(message: &str) -> String {
    let mut text = message.to_owned();
    if let Some((_, rest)) = text.clone().strip_prefix("time=\"").and_then(|rest| rest.split_once('"')) {
        text = format!("time=\"<t>\"{rest}");
    }
    if let Some((begin, _)) = text.split_once("restart counter is at ") {
        return format!("{begin}restart counter is at <n>.");
    }
    for before in ["127.0.0.1:", "response to ", "request from "] {
        text = ports(&text, before);
    }
    text
}

/// Ports of five digits behind a host's address that follows these words.
fn ports(text: &str, before: &str) -> String {
    let mut found = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(before) {
        let (begin, end) = rest.split_at(at + before.len());
        found += begin;
        rest = end;
        let address = if before.ends_with(':') { 0 } else { rest.find(':').map_or(0, |at| at + 1) };
        let digits = rest[address..].chars().take_while(char::is_ascii_digit).count();
        if digits == 5 {
            found += &rest[..address];
            found += "<p>";
            rest = &rest[address + digits..];
        }
    }
    found + rest
}

/// Where two ends were recorded that the same can come to, either will do.
fn is_said(pattern: &str, all: &[String], said: &[String]) -> bool {
    let either = |line: &&String| line.contains("failed to get CA certs");
    let alternatives: Vec<&String> =
        if either(&&pattern.to_owned()) { all.iter().filter(either).collect() } else { Vec::new() };
    let is = |pattern: &str| said.iter().filter_map(|line| message(line)).any(|line| matches(pattern, line));
    is(pattern) || alternatives.iter().any(|pattern| is(pattern))
}

fn of_the_way_to_the_server(patterns: Vec<String>) -> Vec<String> {
    let of_it = |line: &String| {
        line.contains("k3s-agent.service") || line.contains("load balancer") || line.contains("Starting k3s")
    };
    patterns.into_iter().filter(of_it).collect()
}

/// What the server has said of them meanwhile: its errors alone, as it issues no certificates in this way.
fn refusals(stage: &Stage) -> Vec<String> {
    let recorded = patterns(stage, REFUSALS);
    let recorded: Vec<String> = recorded.into_iter().filter(|line| line.contains("level=error")).collect();
    assert_eq!(recorded.len(), 3, "{recorded:#?}");
    stage.comes("the server to say what was recorded", |stage| {
        let errors = "journalctl --quiet --output=short-iso-precise --unit=k3s | grep level=error";
        let said: Vec<String> = stage.bed.shell("node01", errors).lines().map(str::to_owned).collect();
        let missing: Vec<&String> = recorded.iter().filter(|line| !is_said(line, &recorded, &said)).collect();
        wait::so(missing.is_empty(), || format!("missing {missing:#?}"))
    })
}

#[test]
fn what_differs_from_run_to_run_becomes_a_placeholder() {
    for (recorded, pattern) in [
        ("time=\"2026\" level=info msg=\"x\"", "time=\"<t>\" level=info msg=\"x\""),
        ("read tcp 127.0.0.1:53854->127.0.0.1:6444: reset", "read tcp 127.0.0.1:<p>->127.0.0.1:6444: reset"),
        ("401 response to 10.1.2.3:40614: no", "401 response to 10.1.2.3:<p>: no"),
        (
            "x.service: Scheduled restart job, restart counter is at 7.",
            "x.service: Scheduled restart job, restart counter is at <n>.",
        ),
    ] {
        assert_eq!(placeholders(recorded), pattern);
    }
}
