//! Units and files, as an installation leaves them, and what is left of them after an uninstallation.

use serde_json::Value;

use super::stage::Stage;
use super::{lines, noted, unless};

const UNITS: &str = include_str!("../../contract/k3s-1.36/units.jsonl");
const UNINSTALLED: &str = include_str!("../../contract/k3s-1.36/uninstall.jsonl");

/// What differs from start to start or belongs to the guest that it was recorded in: its own units before this one.
const OF_THE_START: [&str; 3] = ["MainPID", "After", "FragmentPath"];

/// Directories that the guests of the recording had made before k3s came, which leaves a mode that it finds.
const OF_THE_GUEST: [&str; 2] = ["/var/lib/rancher/k3s", "/var/lib/rancher/k3s/agent"];

/// Paths that the stand-in has not, by their beginnings: the real one unpacks its programs (`data`), has its own containerd
/// and its own control plane in one process, seven manifests for metrics-server, charts, and settings that the guests of
/// the recording had of their own.
const NOT_PLAYED: [&str; 27] = [
    "/var/lib/rancher/k3s/data",
    "/var/lib/rancher/k3s/agent/containerd/",
    "/var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.d",
    "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/99-guest.conf",
    "/var/lib/rancher/k3s/agent/images",
    "/var/lib/rancher/k3s/agent/pod-manifests",
    "/var/lib/rancher/k3s/server/agent-token",
    "/var/lib/rancher/k3s/server/cred/api-server.kubeconfig",
    "/var/lib/rancher/k3s/server/cred/cloud-controller.kubeconfig",
    "/var/lib/rancher/k3s/server/cred/ipsec.psk",
    "/var/lib/rancher/k3s/server/cred/passwd",
    "/var/lib/rancher/k3s/server/cred/supervisor.kubeconfig",
    "/var/lib/rancher/k3s/server/db/etcd/config",
    "/var/lib/rancher/k3s/server/db/etcd/name",
    "/var/lib/rancher/k3s/server/etc",
    "/var/lib/rancher/k3s/server/manifests/metrics-server/",
    "/var/lib/rancher/k3s/server/static",
    "/var/lib/rancher/k3s/server/tls/client-ca.nochain.crt",
    "/var/lib/rancher/k3s/server/tls/client-k",
    "/var/lib/rancher/k3s/server/tls/client-supervisor",
    "/var/lib/rancher/k3s/server/tls/dynamic-cert.json",
    "/var/lib/rancher/k3s/server/tls/kube-",
    "/var/lib/rancher/k3s/server/tls/server-ca.nochain.crt",
    "/var/lib/rancher/k3s/server/tls/serving-kubelet.key",
    "/var/lib/rancher/k3s/server/tls/service.current.key",
    "/var/lib/rancher/k3s/server/tls/temporary-certs",
    "/run/k3s/containerd/io.",
];

pub fn all(stage: &Stage) -> Vec<String> {
    let mut different = Vec::new();
    for (role, host) in [("server", "node01"), ("agent", "node02")] {
        let unit = Stage::unit(host);
        let recorded = &noted(UNITS, &format!("{role}, unit running"))[0]["facts"];
        different.extend(properties(stage, host, recorded));
        let recorded = &noted(UNITS, &format!("{role}, unit file: its keys in order"))[0]["keys"];
        let keys =
            stage.bed.shell(host, &format!("sed -n 's/^\\([A-Za-z]*\\)=.*/\\1/p' /etc/systemd/system/{unit}.service"));
        let keys: Value = keys.lines().collect();
        different.extend(unless(keys == *recorded, || format!("{unit}: keys {keys}, recorded {recorded}")));
        let environment = &noted(UNITS, &format!("{role}, env file"))[0];
        different.extend(variables(stage, host, environment));
        different.extend(programs(stage, host, &noted(UNITS, &format!("{role}, /usr/local/bin"))[0]));
        different.extend(files(stage, host, &format!("{role}, file")));
    }
    different
}

fn properties(stage: &Stage, host: &str, recorded: &Value) -> Vec<String> {
    let unit = Stage::unit(host);
    let shown = stage.bed.shell(host, &format!("systemctl show --all {unit}"));
    let mut different = Vec::new();
    for (name, recorded) in recorded.as_object().unwrap() {
        if OF_THE_START.contains(&name.as_str()) {
            continue;
        }
        let here: Vec<&str> =
            shown.lines().filter_map(|line| line.strip_prefix(name.as_str())?.strip_prefix('=')).map(lasting).collect();
        let recorded: Vec<&str> = match recorded {
            Value::Array(all) => all.iter().map(|one| lasting(one.as_str().unwrap())).collect(),
            one => vec![lasting(one.as_str().unwrap())],
        };
        different.extend(unless(here == recorded, || format!("{unit}: {name} {here:?}, recorded {recorded:?}")));
    }
    different
}

/// What a command is, without when it ran and how it ended.
fn lasting(command: &str) -> &str {
    command.split(" ; start_time=").next().unwrap_or_default()
}

fn variables(stage: &Stage, host: &str, line: &Value) -> Vec<String> {
    let path = line["file"].as_str().unwrap();
    let names: Value = stage.bed.shell(host, &format!("sed 's/=.*//' {path}")).lines().collect();
    let mut different = unless(names == line["keys"], || format!("{path}: {names}, recorded {}", line["keys"]));
    for stat in line["stat"].as_array().unwrap() {
        let words: Vec<&str> = stat.as_str().unwrap().split(' ').collect();
        let (mode, path) = (words[0], words[3]);
        let here = stage.bed.shell(host, &format!("stat -c %a {path}"));
        different.extend(unless(here == mode, || format!("{path}: mode {here}, recorded {mode}")));
    }
    different
}

/// Name, mode and where a link leads to.
fn programs(stage: &Stage, host: &str, line: &Value) -> Vec<String> {
    let of = |text: &str| {
        let words: Vec<&str> = text.split_whitespace().collect();
        [&words[..1], &words[8..]].concat().join(" ")
    };
    let here: Vec<String> = stage.bed.shell(host, "ls -l /usr/local/bin").lines().skip(1).map(of).collect();
    let recorded: Vec<String> =
        line["output"].as_array().unwrap().iter().map(|one| of(one.as_str().unwrap())).collect();
    unless(here == recorded, || format!("/usr/local/bin: {here:?}, recorded {recorded:?}"))
}

fn files(stage: &Stage, host: &str, note: &str) -> Vec<String> {
    let roots = "/etc/rancher /var/lib/rancher /run/k3s /run/flannel";
    let found = stage.bed.shell(host, &format!("find {roots} -printf '%p %M %u:%g\\n' 2>/dev/null || true"));
    let here: std::collections::BTreeMap<&str, &str> = found.lines().filter_map(|line| line.split_once(' ')).collect();
    let mut different = Vec::new();
    for line in lines(UNITS).filter(|line| line["note"] == note && line["path"].is_string()) {
        let path = line["path"].as_str().unwrap();
        if OF_THE_GUEST.contains(&path) || NOT_PLAYED.iter().any(|not_played| path.starts_with(not_played)) {
            continue;
        }
        let recorded = format!("{} {}", line["mode"].as_str().unwrap(), line["owner"].as_str().unwrap());
        let here = here.get(path).copied().unwrap_or("not there");
        different.extend(unless(here == recorded, || format!("{host}: {path} {here}, recorded {recorded}")));
    }
    different
}

/// The agent's first, as it was recorded.
pub fn uninstalled(stage: &Stage) -> Vec<String> {
    let mut different = Vec::new();
    for (role, host) in [("agent", "node02"), ("server", "node01")] {
        let line = &noted(UNINSTALLED, &format!("{role}, uninstall (before start 2)"))[0];
        let (exit, _) = stage.bed.tried(host, line["cmd"].as_str().unwrap());
        different.extend(unless(line["exit"] == exit, || format!("{role}: exit {exit}")));
        let left = stage.bed.shell(
            host,
            "find /etc/rancher /var/lib/rancher /run/k3s /run/flannel /etc/systemd/system/k3s* /usr/local/bin \
             /var/lib/kubelet /var/lib/cni -maxdepth 3 -printf '%M %p\\n' 2>/dev/null || true",
        );
        let mut left: Vec<&str> = left.lines().collect();
        let recorded = &noted(UNINSTALLED, &format!("{role}, left after the uninstall (before start 2)"))[0]["output"];
        let recorded: Vec<&str> = recorded.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        // A line of `find` is mode, owner, group, size and path there; what follows is of interfaces and of the unit.
        let mut files: Vec<String> = recorded
            .iter()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .filter(|words| words.len() == 5)
            .map(|words| format!("{} {}", words[0], words[4]))
            .collect();
        left.sort_unstable();
        files.sort_unstable();
        different.extend(unless(left == files, || format!("{role}: left {left:?}, recorded {files:?}")));
        // Whether systemd still knows a unit whose file is gone goes by what else refers to it.
        let unit = recorded.iter().filter_map(|line| line.split_once('=')).filter(|(name, _)| *name != "LoadState");
        for property in unit {
            let here = stage.property(host, property.0);
            different.extend(unless(here == property.1, || {
                format!("{role}: {} {here}, recorded {}", property.0, property.1)
            }));
        }
        if role == "agent" {
            let recorded = &noted(UNINSTALLED, "Node of the uninstalled agent, 1 s later")[0]["Ready"];
            let node = stage.node("node02");
            different.extend(unless(*recorded == Stage::ready(&node), || format!("Node: {node:#}")));
        }
    }
    different
}
