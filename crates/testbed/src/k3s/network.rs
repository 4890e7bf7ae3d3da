//! What keeps a node's pods in touch with the others': addresses by the CNI plugins, and a route to each other node, as
//! flannel's host-gw does it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::client::Client;
use super::files::write;
use super::node::{Node, POD_NETWORK};
use super::options::Options;
use super::processes::program;
use super::{DATA, say};

/// How often the nodes are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// What marks the routes that are made here.
const PROTOCOL: &str = "78";

/// What makes pods' packets to elsewhere come from the node.
const MASQUERADE: &str = "table ip k3s_masquerade {}\ndelete table ip k3s_masquerade\ntable ip k3s_masquerade {\n  \
chain postrouting {\n    type nat hook postrouting priority srcnat; policy accept;\n    \
ip saddr 10.42.0.0/16 ip daddr != 10.42.0.0/16 ip daddr != 224.0.0.0/4 masquerade\n  }\n}\n";

/// Does so until the process ends.
pub async fn keep(api: Client, node: Node, options: Options) {
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    let mut own = String::new();
    let mut said = String::new();
    loop {
        match once(&api, &node, &options, &mut own, &mut last).await {
            Ok(()) => said.clear(),
            // Said once: while the API server is away, it is the same each time.
            Err(why) if why != said => {
                say::error(&why);
                said = why;
            }
            Err(_) => {}
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn once(
    api: &Client,
    node: &Node,
    options: &Options,
    own: &mut String,
    last: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    let nodes = api.get("/api/v1/nodes").await?;
    let empty = Vec::new();
    let nodes = nodes["items"].as_array().unwrap_or(&empty);
    let Some(me) = nodes.iter().find(|one| one["metadata"]["name"] == node.name.as_str()) else { return Ok(()) };
    let network = me["spec"]["podCIDR"].as_str().unwrap_or_default();
    if !network.is_empty() && network != own.as_str() {
        write(&Path::new(DATA).join("agent/etc/cni/net.d/10-flannel.conflist"), &plugins(network).to_string(), 0o644)?;
        let subnet = format!(
            "FLANNEL_NETWORK={POD_NETWORK}\nFLANNEL_SUBNET={}\nFLANNEL_MTU=1500\nFLANNEL_IPMASQ=true\n",
            network.replace(".0/", ".1/")
        );
        write(Path::new("/run/flannel/subnet.env"), &subnet, 0o644)?;
        masquerade()?;
        network.clone_into(own);
    }
    if me["metadata"]["annotations"]["k3s.io/node-args"].as_str() != Some(&json!(options.node_args).to_string()) {
        tell(api, node, options).await?;
    }
    let unavailable = me["status"]["conditions"].as_array().is_none_or(|all| {
        !all.iter().any(|condition| condition["type"] == "NetworkUnavailable" && condition["status"] == "False")
    });
    if unavailable && !own.is_empty() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let now = say::rfc3339(now);
        let condition = json!({"status": {"conditions": [{
            "type": "NetworkUnavailable", "status": "False", "reason": "FlannelIsUp",
            "message": "Flannel is running on this node", "lastHeartbeatTime": now, "lastTransitionTime": now,
        }]}});
        patch(api, &format!("/api/v1/nodes/{}/status", node.name), &condition).await?;
    }
    let routes = routes(nodes, &node.name);
    if routes != *last {
        follow(&routes)?;
        *last = routes;
    }
    Ok(())
}

/// The other nodes' networks, and where they are.
fn routes(nodes: &[Value], own: &str) -> BTreeMap<String, String> {
    let others = nodes.iter().filter(|node| node["metadata"]["name"] != own);
    others
        .filter_map(|node| {
            let addresses = node["status"]["addresses"].as_array()?;
            let address = addresses.iter().find(|address| address["type"] == "InternalIP")?["address"].as_str()?;
            Some((node["spec"]["podCIDR"].as_str()?.to_owned(), address.to_owned()))
        })
        .collect()
}

fn follow(wanted: &BTreeMap<String, String>) -> Result<(), String> {
    let said = program("ip").args(["-j", "route", "show", "protocol", PROTOCOL]).output();
    let said = said.map_err(|error| format!("run ip: {error}"))?;
    let there: Value = serde_json::from_slice(&said.stdout).unwrap_or_default();
    for network in there.as_array().into_iter().flatten().filter_map(|route| route["dst"].as_str()) {
        if !wanted.contains_key(network) {
            super::node::run("ip", &["route", "del", network, "protocol", PROTOCOL])?;
        }
    }
    for (network, address) in wanted {
        super::node::run("ip", &["route", "replace", network, "via", address, "protocol", PROTOCOL])?;
    }
    Ok(())
}

fn masquerade() -> Result<(), String> {
    use std::io::Write;
    let failed = |error: std::io::Error| format!("run nft: {error}");
    let mut child = program("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(MASQUERADE.as_bytes()).map_err(failed)?;
    }
    let status = child.wait().map_err(failed)?;
    if status.success() { Ok(()) } else { Err(format!("nft: {status}")) }
}

fn plugins(network: &str) -> Value {
    json!({
        "name": "cbr0",
        "cniVersion": "1.0.0",
        "plugins": [
            {
                "type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "forceAddress": true,
                "ipam": {
                    "type": "host-local", "ranges": [[{"subnet": network}]],
                    "routes": [{"dst": "0.0.0.0/0"}, {"dst": POD_NETWORK}], "dataDir": "/var/lib/cni/networks",
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

/// Has the Node say what its k3s was started with.
async fn tell(api: &Client, node: &Node, options: &Options) -> Result<(), String> {
    let (args, env) = (json!(options.node_args).to_string(), json!(options.node_env).to_string());
    let annotations = json!({"metadata": {"annotations": {
        "flannel.alpha.coreos.com/backend-type": "host-gw",
        "flannel.alpha.coreos.com/kube-subnet-manager": "true",
        "flannel.alpha.coreos.com/public-ip": node.address,
        "k3s.io/hostname": node.name,
        "k3s.io/internal-ip": node.address,
        "k3s.io/node-config-hash": base32(&Sha256::digest(format!("{args}{env}"))),
        "k3s.io/node-args": args,
        "k3s.io/node-env": env,
    }}});
    patch(api, &format!("/api/v1/nodes/{}", node.name), &annotations).await
}

/// Changes an object, part by part.
pub async fn patch(api: &Client, path: &str, part: &Value) -> Result<(), String> {
    let said = api.send("PATCH", path, "application/strategic-merge-patch+json", part).await?;
    match said.status {
        200 => Ok(()),
        status => Err(format!("patch {path}: {status} {}", String::from_utf8_lossy(&said.body))),
    }
}

fn base32(bytes: &[u8]) -> String {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let mut text: String = bits
        .chunks(5)
        .map(|chunk| chunk.iter().chain(&[0; 4]).take(5).fold(0, |number, bit| number << 1 | bit))
        .map(|number| char::from(if number < 26 { b'A' + number } else { b'2' + number - 26 }))
        .collect();
    while !text.len().is_multiple_of(8) {
        text.push('=');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_rfc_4648s() {
        for (bytes, text) in [("", ""), ("f", "MY======"), ("foo", "MZXW6==="), ("foobar", "MZXW6YTBOI======")] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn the_way_to_a_nodes_pods_is_over_its_own_address() {
        let node = |name: &str, network: Value, address: &str| {
            json!({"metadata": {"name": name}, "spec": {"podCIDR": network},
                   "status": {"addresses": [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}]}})
        };
        let nodes = [
            node("a", json!("10.42.0.0/24"), "10.0.0.1"),
            node("b", json!("10.42.1.0/24"), "10.0.0.2"),
            node("c", json!(null), "x"),
        ];
        let found: Vec<_> = routes(&nodes, "a").into_iter().collect();
        assert_eq!(found, [("10.42.1.0/24".to_owned(), "10.0.0.2".to_owned())]);
    }
}
