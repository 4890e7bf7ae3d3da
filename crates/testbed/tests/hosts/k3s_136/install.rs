//! The install script: what it prints on each of its outputs, how it ends, and what it asks for.

use serde_json::Value;

use super::stage::Stage;
use super::{lines, noted, unless};
use crate::k3s_contract::pattern::matches;

const RUNS: &str = include_str!("../../contract/k3s-1.36/install-script.jsonl");
const REQUESTS: &str = include_str!("../../contract/k3s-1.36/http-requests.jsonl");

/// Runs that want an agent that has joined.
const ON_AN_AGENT: [&str; 2] = ["agent, nothing changed", "FORCE_RESTART"];

/// The probes were asked for between these times, by this address; what asked besides was the script itself.
const PROBED: (&str, &str, &str) = ("10.97.77.11", "28/Nov/2026 15:10:54", "28/Nov/2026 15:15:34");

fn on_an_agent(line: &Value) -> bool {
    ON_AN_AGENT.iter().any(|note| line["note"].as_str().unwrap().starts_with(note))
}

/// All that need no cluster, on a host that has none.
pub fn probes(stage: &Stage) -> Vec<String> {
    let mut different = Vec::new();
    for line in lines(RUNS).filter(|line| !on_an_agent(line)) {
        different.extend(run(stage, &line, End::ByItself));
    }
    let environment = "agent with K3S_, CONTAINERD_, KINE_, proxy variables";
    assert!(lines(RUNS).any(|line| line["note"] == environment), "nothing is noted as `{environment}`");
    different.extend(requests(stage));
    stage.bed.shell(
        "node02",
        "systemctl disable k3s-probe; rm -f /etc/systemd/system/k3s-probe.service*; systemctl daemon-reload",
    );
    different
}

fn requests(stage: &Stage) -> Vec<String> {
    let (from, begin, end) = PROBED;
    let recorded: Vec<(String, u64)> = lines(REQUESTS)
        .filter(|line| line["from"] == from && line["server"].is_null())
        .filter(|line| line["at"].as_str().is_some_and(|at| begin <= at && at <= end))
        .map(|line| (line["path"].as_str().unwrap().to_owned(), line["status"].as_u64().unwrap()))
        .filter(|(path, _)| !path.starts_with("/k3s/install"))
        .collect();
    assert_eq!(recorded.len(), 19);
    let asked = stage.mirror.asked();
    unless(recorded == asked, || format!("asked for {asked:#?}, recorded {recorded:#?}"))
}

/// Those that were recorded of an agent that had joined.
pub fn on_a_joined_agent(stage: &Stage) -> Vec<String> {
    let config = "/etc/rancher/k3s/config.yaml";
    let password = "/etc/rancher/node/password";
    let mut different = run(stage, &noted(RUNS, "agent, nothing changed")[0], End::ByItself);
    let keep = format!("cp -p {config} {password} /root");
    let change = format!("{keep}; echo 'nonsense-flag: 1' >> {config}");
    stage.bed.shell("node02", &change);
    different.extend(run(stage, &noted(RUNS, "FORCE_RESTART, the unit fails at once")[0], End::ByItself));
    stage
        .bed
        .shell("node02", &format!("cp -p /root/config.yaml {config}; tr 0-9a-f 1-9a-f0 < /root/password > {password}"));
    different.extend(run(stage, &noted(RUNS, "FORCE_RESTART, the node's password is refused")[0], End::OnceRefused));
    stage.bed.shell("node02", &format!("cp -p /root/password {password}; systemctl restart k3s-agent"));
    different
}

/// How a run comes to its end.
#[derive(Clone, Copy)]
enum End {
    ByItself,
    /// It waits for ever, and is ended once it has started the agent and that was refused: the agent, which systemd restarts, may
    /// have been refused before. `timeout` ended the recorded one, with the status 124.
    OnceRefused,
}

impl End {
    /// Shell that runs a command and prints how it ended.
    fn shell(self, command: &str) -> String {
        match self {
            Self::ByItself => format!("{command} && echo 0 || echo $?"),
            Self::OnceRefused => format!(
                "rm -f out\nsince=$(date +%s)\n{command} & script=$!\nfor look in $(seq 300); do\n\
                 ! grep -q 'systemd: Starting' out 2>/dev/null \
                 || ! journalctl --quiet --unit=k3s-agent --since=@$since | grep -q 'password rejected' || break\n\
                 sleep 0.2\ndone\n\
                 kill $script && echo 124 || echo \"it ended by itself\""
            ),
        }
    }
}

fn run(stage: &Stage, line: &Value, end: End) -> Vec<String> {
    let note = line["note"].as_str().unwrap();
    let script = if note.starts_with("older script") { "install-old.sh" } else { "install.sh" };
    let words = |value: &Value| -> String {
        let words = value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().replace("<masked>", "abc"));
        words.map(|word| format!("'{}' ", stage.here(&word))).collect()
    };
    let command = format!(
        "env -i PATH=\"$PATH\" HOME=/root {} sh {script} {} >out 2>err",
        words(&line["env"]),
        line["args"].as_str().unwrap()
    );
    let exit = stage.bed.shell("node02", &format!("cd /root\n{}", end.shell(&command)));
    let mut different = unless(exit.parse() == Ok(line["exit"].as_i64().unwrap()), || {
        format!("exit {exit}, recorded {}", line["exit"])
    });
    for (output, file) in [("stdout", "out"), ("stderr", "err")] {
        let here = stage.bed.shell("node02", &format!("cat /root/{file}"));
        let recorded: Vec<String> = line[output].as_array().unwrap().iter().map(|line| pattern(stage, line)).collect();
        let here: Vec<&str> = here.lines().filter(|line| !line.is_empty()).collect();
        let same = here.len() == recorded.len() && recorded.iter().zip(&here).all(|(one, here)| matches(one, here));
        different.extend(unless(same, || format!("{output}: {here:#?}, recorded {recorded:#?}")));
    }
    if note == "agent with K3S_, CONTAINERD_, KINE_, proxy variables" {
        // As `install-script.md` of the recording has it: sorted, the proxies last.
        let names = stage.bed.shell("node02", "sed 's/=.*//' /root/sd/k3s-probe.service.env | tr '\\n' ' '");
        let recorded = "CONTAINERD_LOG_LEVEL K3S_TOKEN K3S_URL KINE_X HTTP_PROXY NO_PROXY";
        different.extend(unless(names.trim() == recorded, || format!("variables: {names}, recorded {recorded}")));
    }
    different.into_iter().map(|difference| format!("{note}: {difference}")).collect()
}

/// curl says how long it took to fail.
fn pattern(stage: &Stage, line: &Value) -> String {
    let line = stage.here(line.as_str().unwrap());
    match line.split_once(" after ") {
        Some((begin, end)) if begin.starts_with("curl: ") => {
            format!("{begin} after <n> {}", end.split_once(' ').unwrap().1)
        }
        _ => line,
    }
}
