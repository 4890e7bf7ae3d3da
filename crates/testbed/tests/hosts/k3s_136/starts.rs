//! In what order things come: of a first start, of a restart, and after a stop.

use serde_json::Value;

use super::stage::{RELEASE, Stage, State, once};
use super::{lines, noted, unless};
use crate::wait;

const FIRST: &str = include_str!("../../contract/k3s-1.36/first-starts.jsonl");
const RESTARTS: &str = include_str!("../../contract/k3s-1.36/restart.jsonl");
const STOPPED: &str = include_str!("../../contract/k3s-1.36/stale-ready.jsonl");

/// What happens once at a first start, in whatever order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Event {
    /// The unit is active.
    Active,
    /// There is a Node.
    Node,
    /// The Node is Ready.
    Ready,
}

/// In which order they were recorded: the same in each of three starts. A lease comes ten seconds after its Node, which may
/// be before or after the rest.
fn recorded_order(node: &str) -> Vec<Event> {
    let order = |start: u32| {
        let lines = noted(FIRST, &format!("first start {start} of 3"));
        let first =
            |so: &dyn Fn(&Value) -> bool| lines.iter().find(|line| so(line)).map(|line| line["s"].as_f64().unwrap());
        let started = |line: &Value| {
            line["host"] == node && line["message"].as_str().is_some_and(|said| said.starts_with("Started"))
        };
        let (there, lease) =
            (first(&|line| line[node]["Ready"].is_string()), first(&|line| line[node]["lease renewTime"].is_string()));
        assert!(there < lease);
        let mut events = vec![
            (Event::Active, first(&started)),
            (Event::Node, there),
            (Event::Ready, first(&|line| line[node]["Ready"] == "True")),
        ];
        events.sort_by(|(_, one), (_, other)| one.unwrap().total_cmp(&other.unwrap()));
        events.into_iter().map(|(event, _)| event).collect::<Vec<_>>()
    };
    let first = order(1);
    assert!(first == order(2) && first == order(3));
    first
}

/// Whether all of it comes, in the recorded order. Units and objects say themselves since when they are so, to the second:
/// nothing depends on how soon somebody looks.
fn comes_in_order(stage: &Stage, node: &str) -> Vec<String> {
    let lease = format!("--namespace=kube-node-lease lease {node}");
    // Until the API answers, nobody can ask for a Node.
    let active = stage.comes("the unit to be active", |stage| {
        let state = stage.property(node, "ActiveState");
        wait::so(state == "active", || state)
    });
    if !active.is_empty() {
        return active;
    }
    let ready = stage.bed.tried("node01", "k3s kubectl get --raw /readyz").1;
    let mut different = unless(ready == "ok", || format!("a unit is active whose API is not ready: {ready}"));
    stage.until_ready(node);
    different.extend(stage.comes("a lease", |stage| wait::so(stage.object(&lease).is_some(), || "none".to_owned())));
    let object = stage.node(node);
    let conditions = object["status"]["conditions"].as_array().unwrap();
    let condition = conditions.iter().find(|one| one["type"] == "Ready").unwrap();
    let seconds = |time: &Value| -> u64 {
        stage.bed.shell("node01", &format!("date --date={} +%s", time.as_str().unwrap())).parse().unwrap()
    };
    let active =
        format!("systemctl show --timestamp=unix --property=ActiveEnterTimestamp --value {}", Stage::unit(node));
    let at = |event: &Event| match event {
        Event::Active => stage.bed.shell(node, &active).trim_start_matches('@').parse().unwrap(),
        Event::Node => seconds(&object["metadata"]["creationTimestamp"]),
        Event::Ready => seconds(&condition["lastTransitionTime"]),
    };
    let here: Vec<(Event, u64)> = recorded_order(node).into_iter().map(|event| (event, at(&event))).collect();
    different
        .extend(unless(here.is_sorted_by_key(|(_, at)| *at), || format!("in another order than recorded: {here:?}")));
    different
}

/// What a unit was recorded in.
fn recorded_states(recording: &str, note: &str, host: &str) -> Vec<State> {
    let lines = noted(recording, note);
    let of_unit =
        lines.iter().filter(|line| line["what"] == "unit" && (line["host"].is_null() || line["host"] == host));
    once(of_unit.map(State::of).collect())
}

fn first_start(stage: &Stage, host: &str, files: &str, variables: &str, arguments: &str) -> Vec<String> {
    stage.watch(host);
    let mirror = stage.here("http://10.97.77.1:8930/k3s/releases/download");
    let install = format!(
        "umask 077; cd /root; mkdir -p /etc/rancher/k3s\n{files}\n\
         {variables} INSTALL_K3S_VERSION={RELEASE} INSTALL_K3S_ARTIFACT_URL={mirror} INSTALL_K3S_SKIP_START=true \
         sh install.sh {arguments}\nchmod 0755 /etc/rancher /etc/rancher/k3s\n\
         systemctl start --no-block {}",
        Stage::unit(host)
    );
    stage.bed.shell(host, &install);
    let mut different = comes_in_order(stage, host);
    let here = stage.watched(host);
    let recorded = recorded_states(FIRST, "first start 1 of 3", host);
    different.extend(unless(here == recorded, || format!("states {here:?}, recorded {recorded:?}")));
    different
}

/// As bringup has one configured.
pub fn server(stage: &Stage) -> Vec<String> {
    let address = stage.address("node01");
    let files = format!(
        "cat > /etc/rancher/k3s/config.yaml <<'END'\ndisable: [traefik]\ncluster-init: true\n\
         write-kubeconfig-mode: \"0600\"\ntls-san: [{address}]\nnode-ip: {address}\nflannel-iface: host0\nEND"
    );
    first_start(stage, "node01", &files, "", "server")
}

pub fn agent(stage: &Stage) -> Vec<String> {
    let token = stage.bed.shell("node01", "cat /var/lib/rancher/k3s/server/token");
    let files = format!(
        "echo '{token}' > /etc/rancher/k3s/bringup-token\n\
         printf 'node-ip: {}\\nflannel-iface: host0\\n' > /etc/rancher/k3s/config.yaml",
        stage.address("node02")
    );
    let server = stage.here("https://10.97.77.11:6443");
    let variables = format!("K3S_URL={server} K3S_TOKEN_FILE=/etc/rancher/k3s/bringup-token");
    first_start(stage, "node02", &files, &variables, "agent")
}

/// The real Nodes stay Ready all the time. These ones' kubelets may say in between that containerd is not there yet.
pub fn restarts(stage: &Stage) -> Vec<String> {
    let mut different = Vec::new();
    for (host, unit) in [("node02", "k3s-agent"), ("node01", "k3s")] {
        let recorded = recorded_states(RESTARTS, &format!("{unit}, restart 1 of 3"), host);
        let again = ["2", "3"].map(|number| recorded_states(RESTARTS, &format!("{unit}, restart {number} of 3"), host));
        assert!(again.iter().all(|again| *again == recorded));
        stage.until_ready(host);
        let before = stage.property(host, "InvocationID");
        stage.watch(host);
        stage.bed.shell(host, &format!("systemctl restart --no-block {unit}"));
        different.extend(stage.comes(&format!("{unit} to be active again"), |stage| {
            let state = (stage.property(host, "InvocationID"), stage.property(host, "ActiveState"));
            wait::so(state.0 != before && state.1 == "active", || format!("{state:?}"))
        }));
        let here = stage.watched(host);
        different.extend(unless(here == recorded, || format!("{unit}: states {here:?}, recorded {recorded:?}")));
        stage.until_ready(host);
    }
    different
}

/// Ready stands for some forty seconds, and is unknown then; both taints come at once.
pub fn stopped(stage: &Stage) -> Vec<String> {
    let samples: Vec<Value> = lines(STOPPED).filter(|line| line["Ready"].is_string()).collect();
    let at = |ready: &str| samples.iter().find(|line| line["Ready"] == ready && line["s"].as_f64().unwrap() > 0.0);
    let (still, gone) = (at("True").unwrap(), at("Unknown").unwrap());
    let taints = |node: &Value| {
        let all = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
        let mut all: Vec<String> = all
            .iter()
            .map(|one| format!("{}:{}", one["key"].as_str().unwrap(), one["effect"].as_str().unwrap()))
            .collect();
        all.sort();
        all
    };
    let reason = |node: &Value| {
        let all = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|one| one["type"] == "Ready").unwrap_or_default()["reason"].clone()
    };
    let recorded = |line: &Value| {
        let mut all: Vec<String> =
            line["taints"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect();
        all.sort();
        all
    };
    let same = |node: &Value, line: &Value| {
        Stage::ready(node) == line["Ready"] && reason(node) == line["reason"] && taints(node) == recorded(line)
    };
    let seen = |node: &Value| format!("{} {} {:?}", Stage::ready(node), reason(node), taints(node));
    // Its Node was deleted only just now, and has a taint until the server has seen it.
    let mut different = stage.comes("the Node to be as it was", |stage| {
        let node = stage.node("node02");
        wait::so(same(&node, still), || seen(&node))
    });
    stage.bed.shell("node02", "systemctl stop k3s-agent");
    let node = stage.node("node02");
    different.extend(unless(same(&node, still), || format!("just stopped: {}", seen(&node))));
    different.extend(stage.comes("the Node to be given up", |stage| {
        let node = stage.node("node02");
        wait::so(same(&node, gone), || seen(&node))
    }));
    stage.bed.shell("node02", "systemctl start --no-block k3s-agent");
    different.extend(stage.comes("the Node to be back", |stage| {
        let node = stage.node("node02");
        wait::so(Stage::ready(&node) == "True" && taints(&node).is_empty(), || seen(&node))
    }));
    different
}
