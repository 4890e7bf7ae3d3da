//! The control plane: etcd, the API server and its controllers, and the supervisor in front of them.

use std::fs;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::certificates::{self, Authority, Pair, Use};
use super::client::Client;
use super::files::{private_directory, write};
use super::front::{self, Front};
use super::node::{self, DOMAIN, Node, POD_NETWORK};
use super::options::Options;
use super::passwords::{Known, Nodes, Passwords};
use super::processes::{Processes, program};
use super::say::{self, Level};
use super::token::{self, Token};
use super::{DATA, End, KUBECONFIG, Minor, agent, kubeconfig, manifests, network};

/// Where the API server listens, on the loopback alone.
pub const API_PORT: u16 = 6444;

/// Where the supervisor listens.
pub const PORT: u16 = 6443;

/// Services' addresses.
const SERVICE_NETWORK: &str = "10.43.0.0/16";

/// How long the API server may take. It is ready in seconds, and others may be at work on the machine.
const BOUND: Duration = Duration::from_secs(240);

/// How often nodes are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// How old a Node is when the taint of its first seconds goes. The real one took three to nine seconds.
const SEEN_AFTER: Duration = Duration::from_secs(3);

/// What the real one does and this one does not.
const NOT_PLAYED: [&str; 9] = [
    "server",
    "datastore-endpoint",
    "cluster-reset",
    "disable-agent",
    "disable-apiserver",
    "disable-controller-manager",
    "disable-etcd",
    "disable-scheduler",
    "rootless",
];

/// Where things of the server are.
fn of_server(path: &str) -> PathBuf {
    Path::new(DATA).join("server").join(path)
}

/// Where k3s' own kubeconfig is, wherever the administrator wants another.
pub fn own_kubeconfig() -> PathBuf {
    of_server("cred/admin.kubeconfig")
}

/// Where etcd has its data if it is asked for. The real one has another database without, which this one plays by etcd
/// at another place.
pub fn etcd_directory() -> PathBuf {
    of_server("db/etcd")
}

/// Runs it; returns only to say why it cannot go on.
pub fn run(options: &Options, version: &str, runtime: &Runtime) -> Result<(), End> {
    if let Some(name) = NOT_PLAYED.iter().find(|name| options.one(name).is_some()) {
        return Err(End::Failed(format!("--{name} is not played by the testbed's stand-in for k3s")));
    }
    say::info(&format!("Starting k3s {version}"));
    let minor = Minor::of(version);
    let node = Node::of(options)?;
    private_directory(Path::new(DATA))?;
    let embedded = options.is_on("cluster-init") || etcd_directory().exists();
    for below in ["", "cred", "db", "manifests", "manifests/metrics-server"] {
        private_directory(&of_server(below))?;
    }
    let authorities = Authorities::provide()?;
    let secret = secret(options, authorities.server.certificate())?;
    let names = names(&node, options);
    authorities.issue_all(&names)?;
    let serving = authorities.server.issue(Use::Server("k3s", &names))?;

    let mut secrets = vec![secret.clone()];
    secrets.extend(given(options, "agent-token", "agent-token-file")?);
    let admin = of_server("tls/client-admin");
    let ca = of_server("tls/server-ca.crt");
    let (trusted, nobody) = Front::ways(authorities.server.certificate(), &authorities.proxy)?;
    let token =
        Token::parse(&Token::long(&token::hash_of(authorities.server.certificate().as_bytes()), "server", &secret))?;
    let api = Client::with_files(API_PORT, &ca, &admin)?;
    let front = Front {
        server_ca: authorities.server,
        client_ca: authorities.client,
        secrets,
        passwords: Passwords { api: api.clone(), minor },
        config: json!({"ClusterIPRange": POD_NETWORK, "ServiceIPRange": SERVICE_NETWORK, "ClusterDNS": node::DNS,
                       "ClusterDomain": DOMAIN, "FlannelBackend": "host-gw", "HTTPSPort": PORT, "SupervisorPort": PORT}),
        trusted,
        nobody,
    };
    let listener = runtime.block_on(listen()).map_err(|error| format!("listen tcp :{PORT}: {error}"))?;
    runtime.spawn(front::serve(Arc::new(front), listener, serving));

    let mut processes = Processes::default();
    // The programs of a k3s that was just ended are killed with it, and keep their ports for a moment. The real one has none
    // beside it.
    processes.until(Duration::from_secs(10), "the ports of the k3s before", || {
        [2379, 2380, API_PORT].iter().all(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
    })?;
    start_etcd(&mut processes, &node, options, embedded)?;
    start_api(&mut processes, &node, options)?;
    processes.until(BOUND, "the API server to be ready", || {
        runtime.block_on(api.ask("GET", "/readyz", &[], "")).is_ok_and(|said| said.status == 200)
    })?;
    start_controllers(&mut processes, options)?;
    write_kubeconfig(options, &ca, &admin)?;
    manifests::write_all(&node, minor, &options.many("disable"))?;
    let name = node.name.clone();
    std::thread::spawn(move || manifests::apply(&name));
    runtime.spawn(watch_nodes(Passwords { api, minor }, node.clone(), embedded));
    say::info("Kube API server is now running");
    // The service is up a second before its own Node is there.
    super::notify_ready();
    let words = agent::Words::of(version, &format!("https://127.0.0.1:{PORT}"));
    runtime.block_on(agent::join(PORT, &token, &node, &words))?;
    agent::become_node(&mut processes, &node, options, runtime).map_err(End::Shutdown)?;
    say::info("k3s is up and running");
    Err(End::Shutdown(processes.watch()))
}

/// All addresses of the host.
async fn listen() -> std::io::Result<TcpListener> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind(("0.0.0.0", PORT)).await,
    }
}

struct Authorities {
    server: Authority,
    client: Authority,
    etcd_server: Authority,
    etcd_peer: Authority,
    proxy: Pair,
}

impl Authorities {
    fn provide() -> Result<Self, String> {
        let tls = of_server("tls");
        private_directory(&tls)?;
        certificates::key(&tls.join("service.key"))?;
        let request_header = Authority::provide(&tls.join("request-header-ca"), "k3s-request-header-ca")?;
        let proxy = request_header.issue(Use::Client("system:auth-proxy", &[]))?;
        write(&tls.join("client-auth-proxy.key"), &proxy.key, 0o600)?;
        write(&tls.join("client-auth-proxy.crt"), &proxy.certificate, 0o644)?;
        Ok(Self {
            server: Authority::provide(&tls.join("server-ca"), "k3s-server-ca")?,
            client: Authority::provide(&tls.join("client-ca"), "k3s-client-ca")?,
            etcd_server: Authority::provide(&tls.join("etcd/server-ca"), "etcd-server-ca")?,
            etcd_peer: Authority::provide(&tls.join("etcd/peer-ca"), "etcd-peer-ca")?,
            proxy,
        })
    }

    fn issue_all(&self, names: &[String]) -> Result<(), String> {
        let tls = of_server("tls");
        for (file, name, groups) in [
            ("client-admin", "system:admin", &["system:masters"][..]),
            ("client-controller", "system:kube-controller-manager", &[]),
            ("client-scheduler", "system:kube-scheduler", &[]),
            ("client-kube-apiserver", "system:apiserver", &["system:masters"]),
        ] {
            self.client.issue_to(&tls.join(file), Use::Client(name, groups))?;
        }
        self.server.issue_to(&tls.join("serving-kube-apiserver"), Use::Server("kube-apiserver", names))?;
        let local = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        self.etcd_server.issue_to(&tls.join("etcd/server-client"), Use::Both("etcd-server", &local))?;
        self.etcd_server.issue_to(&tls.join("etcd/client"), Use::Client("etcd-client", &[]))?;
        self.etcd_peer.issue_to(&tls.join("etcd/peer-server-client"), Use::Both("etcd-peer", &local))?;
        for name in ["admin", "controller", "scheduler"] {
            let text = kubeconfig::with_files(
                &format!("https://127.0.0.1:{API_PORT}"),
                self.server.path(),
                &tls.join(format!("client-{name}")),
            );
            write(&of_server(&format!("cred/{name}.kubeconfig")), &text, 0o600)?;
        }
        Ok(())
    }
}

/// Under what names and addresses the server is reached.
fn names(node: &Node, options: &Options) -> Vec<String> {
    let mut names: Vec<String> = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"]
        .into_iter()
        .map(str::to_owned)
        .chain([format!("kubernetes.default.svc.{DOMAIN}"), "127.0.0.1".to_owned(), "10.43.0.1".to_owned()])
        .chain([node.name.clone(), node.address.clone()])
        .collect();
    for name in options.many("tls-san").into_iter().chain(options.many("node-external-ip")) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn given(options: &Options, value: &str, file: &str) -> Result<Option<String>, String> {
    let text = match (options.one(value), options.one(file)) {
        (Some(text), _) => text.to_owned(),
        (None, Some(path)) => token::from_file(Path::new(path))?,
        (None, None) => return Ok(None),
    };
    Token::parse(&text).map(|token| Some(token.secret))
}

/// The cluster's secret: what was told, or what is there, or a new one; and the files that others take it from.
fn secret(options: &Options, ca: &str) -> Result<String, String> {
    let (file, link) = (of_server("token"), of_server("node-token"));
    let there = fs::read_to_string(&file).ok().map(|text| Token::parse(&text)).transpose()?.map(|token| token.secret);
    let secret = match (given(options, "token", "token-file")?, there) {
        (Some(given), Some(there)) if given != there => {
            return Err("bootstrap data already found and encrypted with different token".to_owned());
        }
        (Some(secret), _) | (None, Some(secret)) => secret,
        (None, None) => token::random()?,
    };
    write(&file, &Token::long(&token::hash_of(ca.as_bytes()), "server", &secret), 0o600)?;
    if link.symlink_metadata().is_err() {
        std::os::unix::fs::symlink(&file, &link).map_err(|error| format!("make {}: {error}", link.display()))?;
    }
    Ok(secret)
}

fn flags(all: &[(&str, String)], more: &[String]) -> Vec<String> {
    all.iter()
        .map(|(name, value)| format!("--{name}={value}"))
        .chain(more.iter().map(|one| format!("--{one}")))
        .collect()
}

fn start_etcd(processes: &mut Processes, node: &Node, options: &Options, embedded: bool) -> Result<(), String> {
    let data = if embedded { etcd_directory() } else { of_server("db/stand-in") };
    private_directory(&data)?;
    if embedded {
        private_directory(&of_server("db/snapshots"))?;
    } else {
        write(&of_server("db/state.db"), "This stands in for the database of a k3s without etcd.\n", 0o600)?;
    }
    let tls = |name: &str| of_server("tls/etcd").join(name).display().to_string();
    let peer = "https://127.0.0.1:2380".to_owned();
    let flags = flags(
        &[
            ("name", node.name.clone()),
            ("data-dir", data.display().to_string()),
            ("listen-client-urls", "https://127.0.0.1:2379".to_owned()),
            ("advertise-client-urls", "https://127.0.0.1:2379".to_owned()),
            ("listen-peer-urls", peer.clone()),
            ("initial-advertise-peer-urls", peer.clone()),
            ("initial-cluster", format!("{}={peer}", node.name)),
            ("client-cert-auth", "true".to_owned()),
            ("trusted-ca-file", tls("server-ca.crt")),
            ("cert-file", tls("server-client.crt")),
            ("key-file", tls("server-client.key")),
            ("peer-client-cert-auth", "true".to_owned()),
            ("peer-trusted-ca-file", tls("peer-ca.crt")),
            ("peer-cert-file", tls("peer-server-client.crt")),
            ("peer-key-file", tls("peer-server-client.key")),
            ("logger", "zap".to_owned()),
            ("log-level", "warn".to_owned()),
        ],
        &options.many("etcd-arg"),
    );
    processes.start("etcd", &flags, None)
}

fn start_api(processes: &mut Processes, node: &Node, options: &Options) -> Result<(), String> {
    let tls = |name: &str| of_server("tls").join(name).display().to_string();
    let text = str::to_owned;
    let flags = flags(
        &[
            ("advertise-address", node.address.clone()),
            ("bind-address", text("127.0.0.1")),
            ("secure-port", API_PORT.to_string()),
            // The endpoint of the service `kubernetes` is the supervisor in front, which the API server knows nothing of.
            ("endpoint-reconciler-type", text("none")),
            ("allow-privileged", text("true")),
            ("anonymous-auth", text("false")),
            ("authorization-mode", text("Node,RBAC")),
            ("enable-admission-plugins", text("NodeRestriction")),
            ("api-audiences", format!("https://kubernetes.default.svc.{DOMAIN},k3s")),
            ("client-ca-file", tls("client-ca.crt")),
            ("etcd-servers", text("https://127.0.0.1:2379")),
            ("etcd-cafile", tls("etcd/server-ca.crt")),
            ("etcd-certfile", tls("etcd/client.crt")),
            ("etcd-keyfile", tls("etcd/client.key")),
            ("kubelet-certificate-authority", tls("server-ca.crt")),
            ("kubelet-client-certificate", tls("client-kube-apiserver.crt")),
            ("kubelet-client-key", tls("client-kube-apiserver.key")),
            ("kubelet-preferred-address-types", text("InternalIP,ExternalIP,Hostname")),
            ("profiling", text("false")),
            ("proxy-client-cert-file", tls("client-auth-proxy.crt")),
            ("proxy-client-key-file", tls("client-auth-proxy.key")),
            ("requestheader-allowed-names", text("system:auth-proxy")),
            ("requestheader-client-ca-file", tls("request-header-ca.crt")),
            ("requestheader-extra-headers-prefix", text("X-Remote-Extra-")),
            ("requestheader-group-headers", text("X-Remote-Group")),
            ("requestheader-username-headers", text("X-Remote-User")),
            ("service-account-issuer", format!("https://kubernetes.default.svc.{DOMAIN}")),
            ("service-account-key-file", tls("service.pub")),
            ("service-account-signing-key-file", tls("service.key")),
            ("service-cluster-ip-range", text(SERVICE_NETWORK)),
            ("tls-cert-file", tls("serving-kube-apiserver.crt")),
            ("tls-private-key-file", tls("serving-kube-apiserver.key")),
        ],
        &options.many("kube-apiserver-arg"),
    );
    say::info(&format!("Running kube-apiserver {}", flags.join(" ")));
    processes.start("kube-apiserver", &flags, None)
}

fn start_controllers(processes: &mut Processes, options: &Options) -> Result<(), String> {
    let tls = |name: &str| of_server("tls").join(name).display().to_string();
    let config = |name: &str| of_server("cred").join(name).display().to_string();
    let text = str::to_owned;
    let manager = flags(
        &[
            ("kubeconfig", config("controller.kubeconfig")),
            ("authentication-kubeconfig", config("controller.kubeconfig")),
            ("authorization-kubeconfig", config("controller.kubeconfig")),
            ("bind-address", text("127.0.0.1")),
            ("allocate-node-cidrs", text("true")),
            ("cluster-cidr", text(POD_NETWORK)),
            ("service-cluster-ip-range", text(SERVICE_NETWORK)),
            ("cluster-signing-cert-file", tls("client-ca.crt")),
            ("cluster-signing-key-file", tls("client-ca.key")),
            ("root-ca-file", tls("server-ca.crt")),
            ("service-account-private-key-file", tls("service.key")),
            ("use-service-account-credentials", text("true")),
            ("leader-elect", text("false")),
            ("profiling", text("false")),
        ],
        &options.many("kube-controller-manager-arg"),
    );
    say::info(&format!("Running kube-controller-manager {}", manager.join(" ")));
    processes.start("kube-controller-manager", &manager, None)?;
    let scheduler = flags(
        &[
            ("kubeconfig", config("scheduler.kubeconfig")),
            ("authentication-kubeconfig", config("scheduler.kubeconfig")),
            ("authorization-kubeconfig", config("scheduler.kubeconfig")),
            ("bind-address", text("127.0.0.1")),
            ("leader-elect", text("false")),
            ("profiling", text("false")),
        ],
        &options.many("kube-scheduler-arg"),
    );
    say::info(&format!("Running kube-scheduler {}", scheduler.join(" ")));
    processes.start("kube-scheduler", &scheduler, None)
}

fn write_kubeconfig(options: &Options, ca: &Path, admin: &Path) -> Result<(), String> {
    let read = |path: &Path| fs::read_to_string(path).map_err(|error| format!("read {}: {error}", path.display()));
    let pair = Pair { certificate: read(&admin.with_extension("crt"))?, key: read(&admin.with_extension("key"))? };
    let path = Path::new(options.one("write-kubeconfig").unwrap_or(KUBECONFIG));
    let mode = options.one("write-kubeconfig-mode").and_then(|mode| u32::from_str_radix(mode, 8).ok());
    if options.one("write-kubeconfig-mode").is_some() && mode.is_none() {
        say::line(Level::Error, "Failed to set kubeconfig mode: it is no octal number");
    }
    write(path, &kubeconfig::whole(&format!("https://127.0.0.1:{PORT}"), &read(ca)?, &pair), mode.unwrap_or(0o600))?;
    say::info(&format!("Wrote kubeconfig {}", path.display()));
    Ok(())
}

/// Labels the server's own node, and forgets the passwords of nodes that go.
async fn watch_nodes(passwords: Passwords, node: Node, embedded: bool) {
    let api = &passwords.api;
    let mut known = Nodes::new();
    loop {
        if let Ok(nodes) = api.get("/api/v1/nodes").await {
            let all = nodes["items"].as_array().cloned().unwrap_or_default();
            let text = |one: &serde_json::Value, field: &str| one["metadata"][field].as_str().map(str::to_owned);
            let known_of = |one| Some(Known { uid: text(one, "uid")?, made: text(one, "creationTimestamp")? });
            let now: Nodes = all.iter().filter_map(|one| Some((text(one, "name")?, known_of(one)?))).collect();
            match passwords.keep(&now, &known).await {
                Ok(()) => known = now,
                // The next look does it.
                Err(why) => say::error(&format!("failed to keep the node passwords: {why}")),
            }
            for one in &all {
                // Somebody else has changed it: it is looked at again.
                let _ = initialize(api, one).await;
            }
            let mine = all.iter().find(|one| one["metadata"]["name"] == node.name.as_str());
            let label = "node-role.kubernetes.io/control-plane";
            if let Some(mine) = mine.filter(|mine| mine["metadata"]["labels"][label] != "true")
                && let Err(why) = label_own(api, &node, embedded).await
            {
                say::error(&format!("failed to label {}: {why}", mine["metadata"]["name"]));
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Takes the taint from a Node that its kubelet gave it for the server to see: the real one takes three to nine seconds.
async fn initialize(api: &Client, node: &serde_json::Value) -> Result<(), String> {
    const TAINT: &str = "node.cloudprovider.kubernetes.io/uninitialized";
    let taints = node["spec"]["taints"].as_array().map(Vec::as_slice).unwrap_or_default();
    let others: Vec<_> = taints.iter().filter(|taint| taint["key"] != TAINT).collect();
    if others.len() == taints.len() {
        return Ok(());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Times of this form are in order as texts, too.
    let created = node["metadata"]["creationTimestamp"].as_str().unwrap_or_default();
    if created > say::rfc3339(now.saturating_sub(SEEN_AFTER).as_secs()).as_str() {
        return Ok(());
    }
    let name = node["metadata"]["name"].as_str().unwrap_or_default();
    // All of them are one value to the API: whoever changes another one meanwhile has this one tried again.
    let version = &node["metadata"]["resourceVersion"];
    let part = json!({"metadata": {"resourceVersion": version}, "spec": {"taints": others}});
    network::patch(api, &format!("/api/v1/nodes/{name}"), &part).await
}

async fn label_own(api: &Client, node: &Node, embedded: bool) -> Result<(), String> {
    let mut part = json!({"metadata": {"labels": {"node-role.kubernetes.io/control-plane": "true"}}});
    if embedded {
        part["metadata"]["labels"]["node-role.kubernetes.io/etcd"] = json!("true");
        part["metadata"]["annotations"] =
            json!({"etcd.k3s.cattle.io/node-name": node.name, "etcd.k3s.cattle.io/node-address": node.address});
    }
    network::patch(api, &format!("/api/v1/nodes/{}", node.name), &part).await
}

/// Words for etcdctl: where the server is, and who one is to it.
pub fn etcdctl() -> std::process::Command {
    let tls = |name: &str| of_server("tls/etcd").join(name);
    let mut command = program("etcdctl");
    command.env("ETCDCTL_API", "3").arg("--endpoints=https://127.0.0.1:2379");
    command.arg("--cacert").arg(tls("server-ca.crt"));
    command.arg("--cert").arg(tls("client.crt")).arg("--key").arg(tls("client.key"));
    command
}
