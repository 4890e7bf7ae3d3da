//! How a node joins: it makes sure of the server, proves itself, and is given its certificates.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use super::certificates::Pair;
use super::client::Client;
use super::files::{private_directory, write};
use super::node::{self, Node};
use super::options::Options;
use super::processes::Processes;
use super::say::{self, Level};
use super::server::API_PORT;
use super::token::{self, Token};
use super::{DATA, End, Minor, front, kubeconfig, network};

/// Where the node's password is. An uninstall leaves it.
const PASSWORD: &str = "/etc/rancher/node/password";

/// How long after its start an agent is up at the earliest: three of the real k3s 1.36 took 4.6 to 5.9 s on a PC.
const UP_AFTER: Duration = Duration::from_secs(3);

/// How long its Node may take to be Ready, before it is up all the same.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How long a server may take to accept a connection.
const DIAL: Duration = Duration::from_secs(10);

/// Runs a node that is no server; returns only to say why it cannot go on.
pub fn run(options: &Options, version: &str, runtime: &Runtime) -> Result<(), End> {
    let begun = Instant::now();
    let token = match (options.one("token"), options.one("token-file")) {
        (Some(token), _) => token.to_owned(),
        (None, Some(file)) => token::from_file(Path::new(file))?,
        (None, None) => return Err(End::Failed("--token is required".to_owned())),
    };
    let server = options.one("server").ok_or_else(|| "--server is required".to_owned())?;
    let token = Token::parse(&token)?;
    let (url, server) = (server.to_owned(), authority_of(server)?);
    let node = Node::of(options)?;
    say::info(&format!("Starting k3s agent {version}"));
    private_directory(Path::new(DATA))?;
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", API_PORT)));
    let listener = listener.map_err(|error| format!("listen tcp 127.0.0.1:{API_PORT}: {error}"))?;
    let words = Words::of(version, &url);
    let known = LoadBalancer::knows(&url);
    let on_first = LoadBalancer::announce(&words, &server, known);
    runtime.spawn(balance(listener, server.clone(), on_first));
    runtime.block_on(join(API_PORT, &token, &node, &words))?;
    LoadBalancer::remember(&url, &server)?;
    let mut processes = Processes::default();
    become_node(&mut processes, &node, options, runtime).map_err(End::Shutdown)?;
    runtime.block_on(is_ready(&node.name));
    thread::sleep(UP_AFTER.saturating_sub(begun.elapsed()));
    super::notify_ready();
    Err(End::Shutdown(processes.watch()))
}

/// Waits for the agent's own Node to be Ready, for a while: the real one is up some two seconds later.
async fn is_ready(name: &str) {
    let agent = Path::new(DATA).join("agent");
    let Ok(api) = Client::with_files(API_PORT, &agent.join("server-ca.crt"), &agent.join("client-k3s-controller"))
    else {
        return;
    };
    let begun = Instant::now();
    while begun.elapsed() < READY_WITHIN {
        let node = api.get(&format!("/api/v1/nodes/{name}")).await.unwrap_or_default();
        let conditions = node["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        if conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// What makes a node of a host that has joined.
pub fn become_node(processes: &mut Processes, node: &Node, options: &Options, runtime: &Runtime) -> Result<(), String> {
    node::prepare_host()?;
    node::start_containerd(processes)?;
    let agent = Path::new(DATA).join("agent");
    let api = Client::with_files(API_PORT, &agent.join("server-ca.crt"), &agent.join("client-k3s-controller"))?;
    runtime.spawn(network::keep(api, node.clone(), options.clone()));
    node::start_kubelet(processes, node, options)
}

/// Host and port of a server's address.
fn authority_of(server: &str) -> Result<String, String> {
    let wrong = || format!("invalid server url, failed to parse: {server}");
    let authority = server.strip_prefix("https://").ok_or_else(wrong)?.trim_end_matches('/');
    if authority.is_empty() || authority.contains('/') {
        return Err(wrong());
    }
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Ok(if has_port { authority.to_owned() } else { format!("{authority}:443") })
}

/// What the load balancer keeps on the disk and says in the journal. From 1.24 on, as it was recorded of 1.36.
struct LoadBalancer;

impl LoadBalancer {
    fn file() -> PathBuf {
        Path::new(DATA).join("agent/etc/k3s-agent-load-balancer.json")
    }

    /// Whether the server is the one that this agent has joined before.
    fn knows(url: &str) -> bool {
        let kept = fs::read(Self::file()).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        kept.is_some_and(|kept| kept["ServerURL"] == url)
    }

    fn remember(url: &str, server: &str) -> Result<(), String> {
        write(&Self::file(), &json!({"ServerURL": url, "ServerAddresses": [server]}).to_string(), 0o644)
    }

    /// Says what it will do; what there is to say once the server has been reached.
    fn announce(words: &Words, server: &str, known: bool) -> Option<String> {
        let name = "k3s-agent-load-balancer";
        let own = format!("127.0.0.1:{API_PORT}");
        if matches!(words, Words::Recorded) {
            say::info(&format!("Running load balancer {own} -> [{server}]"));
            return None;
        }
        say::info(&format!("Updated load balancer {name} default server: {server}"));
        if !known {
            say::info(&format!("Running load balancer {name} {own} -> [] [default: {server}]"));
            return None;
        }
        say::info(&format!("Server {server}@STANDBY*->UNCHECKED from add to load balancer {name}"));
        say::info(&format!("Updated load balancer {name} server addresses -> [{server}] [default: {server}]"));
        say::info(&format!("Running load balancer {name} {own} -> [{server}] [default: {server}]"));
        Some(format!("Server {server}@UNCHECKED*->RECOVERING from successful dial"))
    }
}

/// Passes connections on to the server. One that cannot be reached looks as it does behind the real one: a connection
/// that breaks.
async fn balance(listener: TcpListener, server: String, on_first: Option<String>) {
    let on_first = Arc::new(Mutex::new(on_first));
    loop {
        let Ok((mut near, _)) = listener.accept().await else { continue };
        let (server, on_first) = (server.clone(), Arc::clone(&on_first));
        tokio::spawn(async move {
            if let Ok(Ok(mut far)) = tokio::time::timeout(DIAL, TcpStream::connect(&server)).await {
                if let Some(words) = on_first.lock().await.take() {
                    say::info(&words);
                }
                front::at_once(&near);
                front::at_once(&far);
                // Either side may leave whenever it likes.
                let _ = copy_bidirectional(&mut near, &mut far).await;
            }
        });
    }
}

/// How it is said what keeps a node from joining.
pub enum Words {
    /// As it was recorded, of 1.21.
    Recorded,
    /// As later releases say it, in whose sources it stands: what waits is no error there. They name the server's address.
    OfToday(String),
}

impl Words {
    pub fn of(version: &str, server: &str) -> Self {
        if Minor::of(version) < Minor::OF_TODAY { Self::Recorded } else { Self::OfToday(server.to_owned()) }
    }

    /// What an agent has that has joined this cluster before: later releases prove themselves by it, whatever the secret.
    fn own_certificate(&self, ca: &str) -> Option<Pair> {
        let read = |name: &str| fs::read_to_string(Path::new(DATA).join("agent").join(name)).ok();
        if matches!(self, Self::Recorded) || read("server-ca.crt")? != ca {
            return None;
        }
        Some(Pair { certificate: read("client-kubelet.crt")?, key: read("client-kubelet.key")? })
    }

    fn distrusted(&self, why: &str) -> (Level, String) {
        match self {
            Self::Recorded => (Level::Error, why.to_owned()),
            Self::OfToday(server) => {
                (Level::Error, format!("Failed to validate connection to cluster at {server}: {why}"))
            }
        }
    }

    fn refused(&self, why: &str) -> (Level, String) {
        match self {
            Self::Recorded => {
                // It does not say for which certificate.
                let why = why.split_once(".crt: ").map_or(why, |(_, why)| why);
                (Level::Error, format!("Failed to configure agent: {why}"))
            }
            Self::OfToday(_) => {
                let why = match why.split_once(": https://") {
                    Some((what, end)) if end.ends_with(": 401 Unauthorized") => format!("{what}: not authorized"),
                    _ => why.to_owned(),
                };
                (Level::Info, format!("Waiting to retrieve agent configuration; server is not ready: {why}"))
            }
        }
    }
}

/// Tries until the server says yes.
pub async fn join(port: u16, token: &Token, node: &Node, words: &Words) -> Result<(), String> {
    let say = |(level, message): (Level, String)| say::line(level, &message);
    let password = password()?;
    let ca = loop {
        match authority(port, token).await {
            Ok(ca) => break ca,
            Err(why) => say(words.distrusted(&why)),
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    };
    let client = Client::new(port, Some(&ca), words.own_certificate(&ca).as_ref())?;
    loop {
        match certificates(&client, &ca, token, node, &password).await {
            Ok(()) => return Ok(()),
            Err(why) => say(words.refused(&why)),
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

fn password() -> Result<String, String> {
    if let Ok(text) = fs::read_to_string(PASSWORD) {
        return Ok(text.trim().to_owned());
    }
    let password = token::random()?;
    write(Path::new(PASSWORD), &format!("{password}\n"), 0o600)?;
    Ok(password)
}

/// The server's CA, if it is the one that the token is for.
async fn authority(port: u16, token: &Token) -> Result<String, String> {
    let unknown = Client::new(port, None, None)?;
    let said = unknown.ask("GET", "/cacerts", &[], "").await.map_err(|why| format!("failed to get CA certs: {why}"))?;
    let ca = String::from_utf8_lossy(&said.body).into_owned();
    let hash = token::hash_of(ca.as_bytes());
    match &token.ca_hash {
        Some(wanted) if *wanted != hash => {
            Err(format!("token CA hash does not match the Cluster CA certificate hash: {wanted} != {hash}"))
        }
        Some(_) => Ok(ca),
        None => {
            let message = "Cluster CA certificate is not trusted by the host CA bundle, but the token does not include a \
                           CA hash. Use the full token from the server's node-token file to enable Cluster CA validation.";
            say::line(Level::Warning, message);
            Ok(ca)
        }
    }
}

async fn certificates(client: &Client, ca: &str, token: &Token, node: &Node, password: &str) -> Result<(), String> {
    let proof = format!("Basic {}", BASE64.encode(format!("{}:{}", token.account, token.secret)));
    let ask = async |path: &str| {
        let headers = [
            ("Authorization", proof.as_str()),
            ("k3s-Node-Name", &node.name),
            ("k3s-Node-Password", password),
            ("k3s-Node-IP", &node.address),
        ];
        let said = client.ask("GET", path, &headers, "").await?;
        let url = format!("https://127.0.0.1:{API_PORT}{path}");
        match said.status {
            200 => Ok(String::from_utf8_lossy(&said.body).into_owned()),
            401 => Err(format!("{url}: 401 Unauthorized")),
            403 => Err(format!(
                "{}: Node password rejected, duplicate hostname or contents of '{PASSWORD}' may not match server \
                 node-passwd entry, try enabling a unique node name with the --with-node-id flag",
                Path::new(DATA).join("agent").join(path.trim_start_matches("/v1-k3s/")).display()
            )),
            503 => Err(format!("{url}: 503 Service Unavailable")),
            status => Err(format!("{url}: {status}")),
        }
    };
    let config = ask("/v1-k3s/config").await;
    config.map_err(|why| format!("failed to retrieve configuration from server: {why}"))?;
    let agent = Path::new(DATA).join("agent");
    let client_ca = ask("/v1-k3s/client-ca.crt").await?;
    let users = [
        ("serving-kubelet", None),
        ("client-kubelet", Some("kubelet.kubeconfig")),
        ("client-kube-proxy", Some("kubeproxy.kubeconfig")),
        ("client-k3s-controller", Some("k3scontroller.kubeconfig")),
    ];
    for (name, config) in users {
        let both = ask(&format!("/v1-k3s/{name}.crt")).await?;
        let (certificate, key) = both.split_at(both.find("-----BEGIN PRIVATE KEY").unwrap_or(both.len()));
        write(&agent.join(format!("{name}.crt")), certificate, 0o600)?;
        write(&agent.join(format!("{name}.key")), key, 0o600)?;
        if let Some(config) = config {
            let text = kubeconfig::with_files(
                &format!("https://127.0.0.1:{API_PORT}"),
                &agent.join("server-ca.crt"),
                &agent.join(name),
            );
            write(&agent.join(config), &text, 0o600)?;
        }
    }
    write(&agent.join("client-ca.crt"), &client_ca, 0o600)?;
    write(&agent.join("server-ca.crt"), ca, 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_node_from_joining_is_said_as_its_release_says_it() {
        let (old, new) = (Words::of("v1.21.2+k3s1", "x"), Words::of("v1.35.4+k3s1", "https://a:6443"));
        let why =
            "failed to retrieve configuration from server: https://127.0.0.1:6444/v1-k3s/config: 401 Unauthorized";
        assert_eq!(old.refused(why), (Level::Error, format!("Failed to configure agent: {why}")));
        let text = "Waiting to retrieve agent configuration; server is not ready: failed to retrieve configuration from \
                    server: not authorized";
        assert_eq!(new.refused(why), (Level::Info, text.to_owned()));
        assert!(new.refused("Node password rejected").1.ends_with("not ready: Node password rejected"));
        assert_eq!(new.distrusted("x").1, "Failed to validate connection to cluster at https://a:6443: x");
    }

    #[test]
    fn addresses_of_servers() {
        assert_eq!(authority_of("https://10.0.0.1:6443").unwrap(), "10.0.0.1:6443");
        assert_eq!(authority_of("https://a.lan/").unwrap(), "a.lan:443");
        assert!(authority_of("http://a:1").is_err() && authority_of("https://").is_err());
    }
}
