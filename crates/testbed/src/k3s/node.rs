//! The node: containerd, kubelet and kube-proxy, and what they want of the host.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::files::{private_directory, set, write};
use super::options::Options;
use super::processes::{Processes, program};
use super::{DATA, say};
use crate::container_images::PAUSE_IMAGE;
use crate::host::kubernetes::{PARTS, STORAGE};
use crate::template::filled;

/// Where containerd listens.
pub const CONTAINERD: &str = "/run/k3s/containerd/containerd.sock";

/// The cluster's names end in it.
pub const DOMAIN: &str = "cluster.local";

/// Pods' addresses.
pub const POD_NETWORK: &str = "10.42.0.0/16";

/// The address of the cluster's DNS.
pub const DNS: &str = "10.43.0.10";

/// Version 1's controllers. They are mounted, and must be writable.
const CONTROLLERS: [&str; 8] = ["cpuset", "cpu", "cpuacct", "memory", "pids", "devices", "freezer", "blkio"];

/// How long containerd may take.
const BOUND: Duration = Duration::from_secs(60);

/// Who the node is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
}

impl Node {
    /// As it is told, or as the host is.
    pub fn of(options: &Options) -> Result<Self, String> {
        let name = match options.one("node-name") {
            Some(name) => name.to_owned(),
            None => fs::read_to_string("/proc/sys/kernel/hostname").map_err(|error| error.to_string())?,
        };
        let interface = options.one("flannel-iface");
        let address = match (options.many("node-ip").into_iter().next(), interface) {
            (Some(address), _) => address,
            (None, Some(interface)) => address_of(interface)?,
            (None, None) => own_address()?,
        };
        if let Some(interface) = interface {
            address_of(interface)?;
        }
        Ok(Self { name: name.trim().to_lowercase(), address })
    }
}

/// The address that the default route leaves from. Nothing is sent.
fn own_address() -> Result<String, String> {
    let failed = |error: std::io::Error| format!("no default routes found: {error}");
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(failed)?;
    socket.connect((Ipv4Addr::new(198, 51, 100, 1), 9)).map_err(failed)?;
    Ok(socket.local_addr().map_err(failed)?.ip().to_string())
}

fn address_of(interface: &str) -> Result<String, String> {
    let said = program("ip").args(["-j", "-4", "addr", "show", "dev", interface]).output();
    let said = said.map_err(|error| format!("run ip: {error}"))?;
    let all: Value = serde_json::from_slice(&said.stdout).unwrap_or_default();
    let address = all[0]["addr_info"][0]["local"].as_str();
    address.map(str::to_owned).ok_or_else(|| format!("unable to find interface {interface}: no such network interface"))
}

/// Makes the host one that can hold pods. What is so already stays.
pub fn prepare_host() -> Result<(), String> {
    // The real one says so in a container, and goes on.
    say::error("Failed to set sysctl: open /proc/sys/net/netfilter/nf_conntrack_max: permission denied");
    run("mount", &["-o", "remount,rw,bind", "/proc/sys"])?;
    for controller in CONTROLLERS {
        let path = format!("/sys/fs/cgroup/{controller}");
        if Path::new(&path).exists() {
            run("mount", &["-o", "remount,rw,bind", &path])?;
        }
    }
    set("/proc/sys/net/ipv4/ip_forward", "1")?;
    let bridged = "/proc/sys/net/bridge/bridge-nf-call-iptables";
    if Path::new(bridged).exists() { set(bridged, "1") } else { Ok(()) }
}

/// A host whose root is an overlay has room elsewhere for containerd's own overlays. What somebody has uninstalled
/// meanwhile is forgotten.
fn prepare_storage(root: &Path) -> Result<(), String> {
    let begins = !root.exists();
    private_directory(root)?;
    let storage = Path::new(STORAGE);
    if !storage.exists() || is_mounted(root) {
        return Ok(());
    }
    if begins {
        for entry in fs::read_dir(storage).map_err(|error| format!("read {STORAGE}: {error}"))?.flatten() {
            fs::remove_dir_all(entry.path()).map_err(|error| format!("empty {STORAGE}: {error}"))?;
        }
    }
    run("mount", &["--bind", STORAGE, &root.display().to_string()])
}

fn is_mounted(path: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|file| file.dev()).ok();
    device(path) != path.parent().and_then(device)
}

/// Runs a program to its end.
pub fn run(name: &str, arguments: &[&str]) -> Result<(), String> {
    let said = program(name).args(arguments).output().map_err(|error| format!("run {name}: {error}"))?;
    if said.status.success() {
        return Ok(());
    }
    Err(format!("{name} {}: {}", arguments.join(" "), String::from_utf8_lossy(&said.stderr).trim()))
}

/// Starts containerd, and gives it the images that every pod needs. Others follow while the node comes up.
pub fn start_containerd(processes: &mut Processes) -> Result<(), String> {
    let agent = Path::new(DATA).join("agent");
    let root = agent.join("containerd");
    prepare_storage(&root)?;
    let config = agent.join("etc/containerd/config.toml");
    write(&config, &rendered(&(containerd_config(&root) + &nvidia_runtime()), &agent.join("etc/containerd")), 0o644)?;
    let network = json!({"Network": POD_NETWORK, "Backend": {"Type": "host-gw"}}).to_string();
    write(&agent.join("etc/flannel/net-conf.json"), &network, 0o644)?;
    write(&agent.join("etc/crictl.yaml"), &format!("runtime-endpoint: unix://{CONTAINERD}\n"), 0o600)?;
    let log = root.join("containerd.log");
    say::info(&format!("Logging containerd to {}", log.display()));
    processes.start("containerd", &["-c".to_owned(), config.display().to_string()], Some(&log))?;
    processes.until(BOUND, "containerd", || {
        program("ctr").args(["-a", CONTAINERD, "version"]).output().is_ok_and(|said| said.status.success())
    })?;
    say::info("containerd is now running");
    let mut images = archives(Path::new(PARTS).join("images"));
    images.extend(archives(agent.join("images")));
    let (small, large): (Vec<PathBuf>, Vec<PathBuf>) =
        images.into_iter().partition(|path| fs::metadata(path).is_ok_and(|file| file.len() < 128 << 20));
    small.iter().for_each(|path| import(path, &root));
    thread::spawn(move || large.iter().for_each(|path| import(path, &root)));
    Ok(())
}

/// Files of images, each name once.
fn archives(directory: PathBuf) -> BTreeSet<PathBuf> {
    let all = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let kinds = [".tar", ".tar.gz", ".tar.zst"];
    all.filter(|path| path.to_str().is_some_and(|path| kinds.iter().any(|kind| path.ends_with(kind)))).collect()
}

/// Takes images in, unless this very file has been taken in before.
fn import(path: &Path, root: &Path) {
    let Ok(file) = fs::metadata(path) else { return };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let done = root.join("imported").join(format!("{name}-{}-{}", file.len(), file.mtime()));
    if done.exists() {
        return;
    }
    let path_text = path.display().to_string();
    match take_in(path).and_then(|()| write(&done, "", 0o600)) {
        Ok(()) => say::info(&format!("Imported images from {path_text}")),
        Err(why) => say::error(&format!("Unable to import {path_text}: {why}")),
    }
}

/// This containerd reads only what is not compressed.
fn take_in(path: &Path) -> Result<(), String> {
    let unpack = match path.extension().and_then(|kind| kind.to_str()) {
        Some("zst") => "zstd",
        Some("gz") => "gzip",
        _ => "cat",
    };
    let failed = |what: &str, error: std::io::Error| format!("run {what}: {error}");
    let mut reader = program(unpack);
    if unpack != "cat" {
        reader.arg("-dc");
    }
    let mut reader = reader.arg(path).stdout(Stdio::piped()).spawn().map_err(|error| failed(unpack, error))?;
    let archive = reader.stdout.take().map_or_else(Stdio::null, Stdio::from);
    let mut ctr = program("ctr");
    ctr.args(["-a", CONTAINERD, "-n", "k8s.io", "images", "import", "-"]).stdin(archive);
    let said = ctr.output().map_err(|error| failed("ctr", error))?;
    let unpacked = reader.wait().map_err(|error| failed(unpack, error))?;
    if !said.status.success() {
        return Err(String::from_utf8_lossy(&said.stderr).trim().to_owned());
    }
    if unpacked.success() { Ok(()) } else { Err(format!("{unpack}: {unpacked}")) }
}

/// The base within the user's template, if there is one. Whether the whole makes sense is containerd's to say.
fn rendered(base: &str, directory: &Path) -> String {
    for name in ["config-v3.toml.tmpl", "config.toml.tmpl"] {
        let path = directory.join(name);
        if let Ok(template) = fs::read_to_string(&path) {
            say::info(&format!("Using containerd template at {}", path.display()));
            return template.replace("{{ template \"base\" . }}", base);
        }
    }
    base.to_owned()
}

/// The table that k3s 1.36 renders where it finds NVIDIA's program. This containerd is older and ignores what is in it.
fn nvidia_runtime() -> String {
    if !Path::new("/usr/bin/nvidia-container-runtime").exists() {
        return String::new();
    }
    say::info("Found nvidia container runtime at /usr/bin/nvidia-container-runtime");
    let table = "plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.'nvidia'";
    filled(include_str!("node/nvidia.toml"), &[("TABLE", table)])
}

/// Lower scores for running out of memory are forbidden in a container, and runc would die of the wish.
fn containerd_config(root: &Path) -> String {
    let root = root.display().to_string();
    let values =
        [("ROOT", &*root), ("CONTAINERD", CONTAINERD), ("PAUSE_IMAGE", PAUSE_IMAGE), ("PARTS", PARTS), ("DATA", DATA)];
    filled(include_str!("node/containerd.toml"), &values)
}

/// Starts kubelet and kube-proxy.
pub fn start_kubelet(processes: &mut Processes, node: &Node, options: &Options) -> Result<(), String> {
    let agent = Path::new(DATA).join("agent");
    let config = agent.join("etc/kubelet.conf.d/00-k3s-defaults.conf");
    write(&config, &kubelet_config(node, &agent).to_string(), 0o600)?;
    let mut labels = ["node", "beta"].map(|group| format!("{group}.kubernetes.io/instance-type=k3s")).to_vec();
    labels.extend(options.many("node-label"));
    let mut arguments = vec![
        // Its Node has a taint until the server has seen it.
        "--cloud-provider=external".to_owned(),
        format!("--config={}", config.display()),
        format!("--kubeconfig={}", agent.join("kubelet.kubeconfig").display()),
        format!("--hostname-override={}", node.name),
        format!("--node-ip={}", node.address),
        format!("--node-labels={}", labels.join(",")),
    ];
    let taints = options.many("node-taint");
    if !taints.is_empty() {
        arguments.push(format!("--register-with-taints={}", taints.join(",")));
    }
    arguments.extend(options.many("kubelet-arg").iter().map(|one| format!("--{one}")));
    say::info(&format!("Running kubelet {}", arguments.join(" ")));
    processes.start("kubelet", &arguments, None)?;
    if options.is_on("disable-kube-proxy") {
        return Ok(());
    }
    let config = agent.join("etc/kube-proxy.conf");
    write(&config, &proxy_config(node, &agent).to_string(), 0o600)?;
    let mut arguments = vec![format!("--config={}", config.display())];
    arguments.extend(options.many("kube-proxy-arg").iter().map(|one| format!("--{one}")));
    say::info(&format!("Running kube-proxy {}", arguments.join(" ")));
    processes.start("kube-proxy", &arguments, None)
}

fn kubelet_config(node: &Node, agent: &Path) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": agent.join("client-ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": "/",
        "failCgroupV1": false,
        "clusterDNS": [DNS],
        "clusterDomain": DOMAIN,
        "containerRuntimeEndpoint": format!("unix://{CONTAINERD}"),
        // The disk that nodes of a testbed share is the machine's.
        "evictionHard": {"imagefs.available": "1%", "nodefs.available": "1%", "memory.available": "50Mi"},
        "failSwapOn": false,
        "healthzBindAddress": "127.0.0.1",
        "imageGCHighThresholdPercent": 100,
        "providerID": format!("k3s://{}", node.name),
        "resolvConf": "/etc/resolv.conf",
        "serializeImagePulls": false,
        "tlsCertFile": agent.join("serving-kubelet.crt"),
        "tlsPrivateKeyFile": agent.join("serving-kubelet.key"),
    })
}

/// The conntrack table is the machine's, and no guest may make it larger.
fn proxy_config(node: &Node, agent: &Path) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": POD_NETWORK,
        "clientConnection": {"kubeconfig": agent.join("kubeproxy.kubeconfig")},
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "hostnameOverride": node.name,
    })
}
