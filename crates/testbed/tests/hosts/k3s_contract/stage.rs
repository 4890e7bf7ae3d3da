//! The two hosts, and what each section of the recording needs there.

use std::time::Duration;

use serde_json::Value;

use crate::bed::Bed;
use crate::wait;

/// The recorded release. The stand-in's own words and files go by it.
pub const RELEASE: &str = "v1.21.2+k3s1";

/// How long may pass before something that was recorded is so.
pub const BOUND: Duration = Duration::from_secs(180);

pub struct Stage {
    pub bed: Bed,
    /// What the agent's uninstallation did, which the recording tells of later than it happened.
    pub uninstalled: Option<(i32, String)>,
    /// Which start of the server's unit it is.
    pub started: String,
    addresses: [String; 2],
}

impl Stage {
    /// Hosts called `a` and `b`, as they were when it was recorded. A `ctr` of the host's own is in the path.
    pub fn set(name: &str) -> Self {
        let bed = Bed::up(name, &["--nodes", "0", "--workstation", "a", "--workstation", "b", "--kubernetes"]);
        let mirror = format!("http://{}:8917/k3s", bed.gateway());
        let addresses = ["a", "b"].map(|host| {
            bed.shell(
                host,
                &format!(
                    "cd /root; curl -sSf -O {mirror}/install.sh\n\
                     curl -sSf -o k3s {mirror}/releases/download/{RELEASE}/k3s\n\
                     printf '#!/bin/sh\\n' > /usr/bin/ctr; chmod 0755 /usr/bin/ctr"
                ),
            );
            let addresses = bed.shell(host, "ip -o -4 address show dev host0 | sed 's/.*inet //; s,/.*,,'");
            addresses.lines().next().unwrap().to_owned()
        });
        Self { bed, uninstalled: None, started: String::new(), addresses }
    }

    /// With the addresses of these hosts in place of the recorded ones. Nobody has the last one.
    pub fn here(&self, recorded: &str) -> String {
        let [a, b] = &self.addresses;
        let nobody = format!("{}.199", a.rsplit_once('.').unwrap().0);
        // Names stood for addresses in what was recorded of commands.
        recorded
            .replace("https://a:6443", "https://10.77.0.11:6443")
            .replace("10.77.0.11", a)
            .replace("10.77.0.12", b)
            .replace("10.77.0.99", &nobody)
    }

    /// What a line needs to be so.
    pub fn before(&mut self, line: &Value) {
        match line["note"].as_str().unwrap() {
            // Skipping the download means that the program is there.
            "server, first install" => {
                let recorded = line["files"]["/etc/rancher/k3s/config.yaml"].as_str().unwrap();
                let config = recorded.replace('…', &self.here("10.77.0.11"));
                self.give("a", &config);
            }
            "server, install script again with nothing changed" => self.started = self.started_of("a", "k3s"),
            // As the Node's annotations tell; its cgroup was another way to one of its own.
            "agent, install script" => {
                let config = "node-ip: 10.77.0.12\nflannel-iface: host0\nkubelet-arg: [\"max-pods=64\"]\n";
                self.give("b", &self.here(config));
            }
            "agent, node password changed" => {
                self.join("agent, right token again");
                self.until("b to be Ready again", |stage| {
                    wait::so(stage.is_ready("b"), || format!("{:#?}", stage.object("node b")))
                });
                self.bed.shell(
                    "b",
                    "tr 0-9a-f 1-9a-f0 < /etc/rancher/node/password > p; cat p > /etc/rancher/node/password",
                );
            }
            "agent's Node 37 s after its agent was uninstalled" => {
                // It ran for long before; here it has only just been started.
                self.until("b's Node to tell all about it", |stage| {
                    let node = stage.object("node b").unwrap_or_default();
                    let conditions = node["status"]["conditions"].to_string();
                    let arguments = !node["metadata"]["annotations"]["k3s.io/node-args"].is_null();
                    wait::so(arguments && conditions.contains("FlannelIsUp"), || format!("{node:#}"))
                });
                self.uninstalled = Some(self.bed.tried("b", "k3s-agent-uninstall.sh"));
            }
            _ => {}
        }
    }

    fn give(&self, host: &str, config: &str) {
        self.bed.shell(
            host,
            &format!(
                "install -m 0755 /root/k3s /usr/local/bin/k3s; mkdir -p /etc/rancher/k3s\n\
                 cat > /etc/rancher/k3s/config.yaml <<'END'\n{config}END"
            ),
        );
    }

    /// Runs the script on `b`, as the sections did that say only "install script".
    pub fn join(&self, note: &str) -> i32 {
        let token = self.token();
        let (ca, _) = token.rsplit_once(':').unwrap();
        let server = self.here("https://10.77.0.11:6443");
        let (token, server) = match note {
            "agent, wrong short token" => ("wrong".to_owned(), server),
            "agent, CA hash of the token does not match" => (format!("K10{:064}::server:wrong", 0), server),
            "agent, right CA, wrong password" => (format!("{ca}:wrong"), server),
            "agent, nothing at the address" => (token, self.here("https://10.77.0.99:6443")),
            "agent, nothing at the port" => (token, self.here("https://10.77.0.11:6999")),
            _ => (token, server),
        };
        let (exit, said) = self.bed.tried(
            "b",
            &format!(
                "cd /root; export K3S_URL={server} K3S_TOKEN={token} INSTALL_K3S_FORCE_RESTART=true\n\
                 INSTALL_K3S_SKIP_DOWNLOAD=true sh install.sh"
            ),
        );
        assert_eq!(exit, 0, "{note}: {said}");
        exit
    }

    pub fn token(&self) -> String {
        self.bed.shell("a", "cat /var/lib/rancher/k3s/server/token")
    }

    /// One start of a unit; another start has another.
    pub fn started_of(&self, host: &str, unit: &str) -> String {
        self.property(host, unit, "InvocationID")
    }

    pub fn property(&self, host: &str, unit: &str, name: &str) -> String {
        self.bed.shell(host, &format!("systemctl show --property={name} --value {unit}"))
    }

    /// What a unit has said since it was started last.
    pub fn journal(&self, host: &str, unit: &str) -> String {
        let started = self.started_of(host, unit);
        self.bed.shell(host, &format!("journalctl --quiet --output=cat _SYSTEMD_INVOCATION_ID={started}"))
    }

    /// An object, if it is there.
    pub fn object(&self, what: &str) -> Option<Value> {
        self.bed.object("a", what)
    }

    pub fn is_ready(&self, node: &str) -> bool {
        let node = self.object(&format!("node {node}")).unwrap_or_default();
        let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
    }

    /// Waits until it is so.
    fn until(&self, what: &str, look: impl Fn(&Self) -> Result<(), String>) {
        wait::until(BOUND, what, || look(self));
    }

    /// Whether it comes to be so within a time.
    pub fn comes(&self, bound: Duration, so: impl Fn(&Self) -> bool) -> bool {
        wait::comes(bound, || wait::so(so(self), String::new)).is_ok()
    }
}
