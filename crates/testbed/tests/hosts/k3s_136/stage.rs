//! The two hosts, and what each part of the recording needs there.

use std::time::Duration;

use serde_json::Value;

use super::mirror::Mirror;
use crate::bed::Bed;
use crate::wait;

/// The recorded release.
pub const RELEASE: &str = "v1.36.3+k3s1";

/// How long may pass before something that was recorded is so.
pub const BOUND: Duration = Duration::from_secs(75);

/// What a unit is in, as often as a shell can look, each change once: the recordings were made like this.
const WATCH: &str = "old=\nwhile sleep 0.02; do\n\
    new=$(systemctl show --property=ActiveState --property=SubState --property=Result \"$1\" | sort)\n\
    [ \"$new\" = \"$old\" ] || echo $new\n    old=$new\ndone";

/// What a unit is in: active, sub and result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State(pub [String; 3]);

impl State {
    /// As a line of a recording has it.
    pub fn of(line: &Value) -> Self {
        Self(["ActiveState", "SubState", "Result"].map(|name| line[name].as_str().unwrap().to_owned()))
    }

    /// Whether it lasts for some milliseconds only, which is too short to be seen each time.
    fn passes(&self) -> bool {
        let [active, sub, _] = &self.0;
        sub == "start-pre" || active == "inactive" || active == "deactivating"
    }
}

/// Those that can be counted on, each change once.
pub fn once(states: Vec<State>) -> Vec<State> {
    let mut states: Vec<State> = states.into_iter().filter(|state| !state.passes()).collect();
    states.dedup();
    states
}

pub struct Stage {
    pub bed: Bed,
    pub mirror: Mirror,
    addresses: [String; 3],
}

impl Stage {
    pub fn set(name: &str) -> Self {
        let bed = Bed::up(name, &["--nodes", "2", "--kubernetes"]);
        let mirror = Mirror::at(bed.gateway());
        let address = |host: &str| bed.shell(host, "ip -o -4 address show dev host0 | sed 's/.*inet //; s,/.*,,; q'");
        let addresses = [address("node01"), address("node02"), bed.gateway().to_string()];
        for host in ["node01", "node02"] {
            bed.shell(
                host,
                &format!(
                    "cd /root; curl -sSf -O {0}/install.sh; curl -sSf -o install-old.sh {0}/install-2025.sh; mkdir sd b b2 b3 b4\n\
                     cat > watch <<'END'\n{WATCH}\nEND",
                    mirror.behind()
                ),
            );
        }
        Self { bed, mirror, addresses }
    }

    /// With the addresses of these hosts in place of the recorded ones. No host has the one that ends in 99.
    pub fn here(&self, recorded: &str) -> String {
        let [server, agent, gateway] = &self.addresses;
        let unused = format!("{}.199", gateway.rsplit_once('.').unwrap().0);
        // Longer ones first: the gateway's is the beginning of theirs.
        [("10.97.77.11", server), ("10.97.77.12", agent), ("10.97.77.99", &unused), ("10.97.77.1", gateway)]
            .iter()
            .fold(recorded.to_owned(), |text, (recorded, here)| text.replace(recorded, here))
            // The real one names its commit.
            .replace("(6ba341e3)", "(stand-in)")
    }

    pub fn address(&self, host: &str) -> &str {
        &self.addresses[usize::from(host == "node02")]
    }

    /// The unit's name, and the host that it is on.
    pub fn unit(host: &str) -> &'static str {
        if host == "node01" { "k3s" } else { "k3s-agent" }
    }

    pub fn property(&self, host: &str, name: &str) -> String {
        self.bed.shell(host, &format!("systemctl show --property={name} --value {}", Self::unit(host)))
    }

    /// An object, if it is there.
    pub fn object(&self, what: &str) -> Option<Value> {
        self.bed.object("node01", what)
    }

    pub fn node(&self, name: &str) -> Value {
        self.object(&format!("node {name}")).unwrap_or_default()
    }

    /// What the Node's kubelet said last of itself.
    pub fn ready(node: &Value) -> &str {
        let conditions = node["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
        ready.and_then(|condition| condition["status"].as_str()).unwrap_or_default()
    }

    /// Waits for a Node whose kubelet is ready.
    pub fn until_ready(&self, name: &str) {
        wait::until(BOUND, &format!("{name} to be Ready"), || {
            let node = self.node(name);
            wait::so(Self::ready(&node) == "True", || format!("{:#}", node["status"]["conditions"]))
        });
    }

    /// Whether it comes to be so; if not, a sentence with what is seen instead.
    pub fn comes(&self, what: &str, look: impl Fn(&Self) -> Result<(), String>) -> Vec<String> {
        match wait::comes(BOUND, || look(self)) {
            Ok(()) => Vec::new(),
            Err(seen) => vec![format!("{what}: seen instead: {seen}")],
        }
    }

    /// Begins to write down what the host's unit is in, and where its journal stands.
    pub fn watch(&self, host: &str) {
        self.bed.shell(
            host,
            &format!(
                "journalctl --quiet --lines=0 --show-cursor | sed -n 's/^-- cursor: //p' > /root/cursor\n\
                 rm -f /root/states; systemd-run --quiet --collect --unit=watch --property=StandardOutput=truncate:/root/states \
                 sh /root/watch {}\n\
                 until [ -s /root/states ]; do sleep 0.1; done",
                Self::unit(host)
            ),
        );
    }

    /// What the unit was in since, in order.
    pub fn watched(&self, host: &str) -> Vec<State> {
        // A look more for what has only just come.
        let states = self.bed.shell(host, "sleep 0.3; systemctl stop watch; cat /root/states");
        // A line that the end of the watch cut off lacks one of them.
        let state = |line: &str| {
            let [mut active, mut sub, mut result] = [None, None, None];
            for (name, value) in line.split(' ').filter_map(|word| word.split_once('=')) {
                match name {
                    "ActiveState" => active = Some(value.to_owned()),
                    "SubState" => sub = Some(value.to_owned()),
                    "Result" => result = Some(value.to_owned()),
                    _ => {}
                }
            }
            Some(State([active?, sub?, result?]))
        };
        once(states.lines().filter_map(state).collect())
    }

    /// What the unit and systemd have said since.
    pub fn said(&self, host: &str) -> Vec<String> {
        let unit = Self::unit(host);
        let command = format!(
            "journalctl --quiet --output=short-iso-precise --after-cursor=\"$(cat /root/cursor)\" --unit={unit}"
        );
        self.bed.shell(host, &command).lines().map(str::to_owned).collect()
    }

    /// Starts the agent again with something changed, and watches it.
    pub fn start_agent_with(&self, change: &str) {
        self.bed
            .shell("node02", &format!("systemctl stop k3s-agent; systemctl reset-failed k3s-agent || true\n{change}"));
        self.watch("node02");
        self.bed.shell("node02", "systemctl daemon-reload; systemctl start --no-block k3s-agent");
    }
}
