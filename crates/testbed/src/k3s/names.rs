//! What the pod `coredns` runs: the cluster's names. CoreDNS itself is not used; its place, its service and what it
//! answers for services are the same.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::net::UdpSocket;

use super::client::Client;
use super::node::DOMAIN;
use super::say;

/// How often services are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How long whoever knows other names may take.
const BOUND: Duration = Duration::from_secs(3);

/// What a pod is given to speak to the API server.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// What an answer's code says.
const OK: u8 = 0;
const FAILED: u8 = 2;
const NO_SUCH_NAME: u8 = 3;

/// Names of services and where they are; nothing until they are known.
type Names = Arc<Mutex<Option<BTreeMap<String, Vec<Ipv4Addr>>>>>;

/// Answers until it is killed.
pub fn run() -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(serve())
}

async fn serve() -> Result<(), String> {
    let read = |name: &str| fs::read_to_string(format!("{ACCOUNT}/{name}")).map_err(|error| format!("{name}: {error}"));
    let host = std::env::var("KUBERNETES_SERVICE_HOST").map_err(|_| "this is no pod".to_owned())?;
    let api = Client::new(443, Some(&read("ca.crt")?), None)?.at(&host).with_bearer(read("token")?.trim());
    let upstream = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let upstream = upstream.lines().find_map(|line| line.strip_prefix("nameserver ")?.trim().parse().ok());
    let upstream = upstream.map(|address: std::net::IpAddr| SocketAddr::from((address, 53)));
    let names = Names::default();
    tokio::spawn(follow(api, Arc::clone(&names)));
    let socket = UdpSocket::bind("0.0.0.0:53").await.map_err(|error| format!("listen udp :53: {error}"))?;
    let socket = Arc::new(socket);
    let mut buffer = [0_u8; 4096];
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else { continue };
        let query = buffer[..length].to_vec();
        let (socket, names) = (Arc::clone(&socket), Arc::clone(&names));
        tokio::spawn(async move {
            let own = {
                let names = names.lock().unwrap_or_else(PoisonError::into_inner);
                answer(&query, names.as_ref())
            };
            let reply = match (own, upstream) {
                (Some(reply), _) => Some(reply),
                (None, Some(upstream)) => ask(upstream, &query).await,
                (None, None) => None,
            };
            if let Some(reply) = reply {
                // Who has gone meanwhile asks again.
                let _ = socket.send_to(&reply, peer).await;
            }
        });
    }
}

async fn ask(upstream: SocketAddr, query: &[u8]) -> Option<Vec<u8>> {
    let exchange = async {
        let socket = UdpSocket::bind("0.0.0.0:0").await.ok()?;
        socket.send_to(query, upstream).await.ok()?;
        let mut buffer = [0_u8; 4096];
        let length = socket.recv(&mut buffer).await.ok()?;
        Some(buffer[..length].to_vec())
    };
    tokio::time::timeout(BOUND, exchange).await.ok().flatten()
}

async fn follow(api: Client, names: Names) {
    loop {
        let both = async { Ok::<_, String>((api.get("/api/v1/services").await?, api.get("/api/v1/endpoints").await?)) };
        match both.await {
            Ok((services, endpoints)) => {
                *names.lock().unwrap_or_else(PoisonError::into_inner) = Some(table(&services, &endpoints));
            }
            Err(why) => say::error(&why),
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

/// A service's name leads to its address; without one, to those of its pods.
fn table(services: &Value, endpoints: &Value) -> BTreeMap<String, Vec<Ipv4Addr>> {
    let place = |one: &Value| {
        let text = |name: &str| one["metadata"][name].as_str().map(str::to_owned);
        Some(format!("{}.{}.svc.{DOMAIN}", text("name")?, text("namespace")?))
    };
    let pods = |name: &str| -> Vec<Ipv4Addr> {
        let mine = items(endpoints).filter(|one| place(one).as_deref() == Some(name));
        let addresses = mine.flat_map(|one| one["subsets"].as_array().into_iter().flatten());
        let addresses = addresses.flat_map(|subset| subset["addresses"].as_array().into_iter().flatten());
        addresses.filter_map(|address| address["ip"].as_str()?.parse().ok()).collect()
    };
    items(services)
        .filter_map(|service| {
            let name = place(service)?;
            let own = service["spec"]["clusterIP"].as_str().and_then(|address| address.parse().ok());
            let addresses = own.map_or_else(|| pods(&name), |address| vec![address]);
            Some((name, addresses))
        })
        .collect()
}

/// The answer to a question about the cluster's own names; nothing for other names.
fn answer(query: &[u8], names: Option<&BTreeMap<String, Vec<Ipv4Addr>>>) -> Option<Vec<u8>> {
    let (name, end) = question(query)?;
    let kind = u16::from_be_bytes([*query.get(end)?, *query.get(end + 1)?]);
    if !name.ends_with(&format!(".{DOMAIN}")) && name != DOMAIN {
        return None;
    }
    let (code, addresses) = match names {
        None => (FAILED, &[][..]),
        Some(names) => match names.get(&name) {
            None => (NO_SUCH_NAME, &[][..]),
            Some(addresses) if kind == 1 => (OK, addresses.as_slice()),
            Some(_) => (OK, &[][..]),
        },
    };
    let mut reply = query.get(..2)?.to_vec();
    // An answer, by who knows, recursion as it was asked for.
    reply.extend([0x84 | query.get(2)? & 1, 0x80 | code, 0, 1]);
    reply.extend(u16::try_from(addresses.len()).ok()?.to_be_bytes());
    reply.extend([0, 0, 0, 0]);
    reply.extend(query.get(12..end + 4)?);
    for address in addresses {
        // The name of the question; an address of the Internet; good for five seconds.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4]);
        reply.extend(address.octets());
    }
    Some(reply)
}

/// The name that is asked for, and where what follows it begins.
fn question(query: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join(".").to_lowercase(), at));
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).into_owned());
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(name: &str, kind: u8) -> Vec<u8> {
        let mut query = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            query.push(u8::try_from(label.len()).unwrap());
            query.extend(label.as_bytes());
        }
        query.extend([0, 0, kind, 0, 1]);
        query
    }

    #[test]
    fn services_are_known_by_their_address_and_those_without_by_their_pods() {
        let service = |name: &str, address: &str| {
            json!({"metadata": {"name": name, "namespace": "n"}, "spec": {"clusterIP": address}})
        };
        let endpoints = json!({"items": [{"metadata": {"name": "b", "namespace": "n"},
                                         "subsets": [{"addresses": [{"ip": "10.42.0.9"}]}]}]});
        let services = json!({"items": [service("a", "10.43.0.7"), service("b", "None")]});
        let names = table(&services, &endpoints);
        let said = answer(&query("A.n.svc.cluster.local", 1), Some(&names)).unwrap();
        assert_eq!((&said[..4], &said[said.len() - 4..]), (&[7, 9, 0x85, 0x80][..], &[10, 43, 0, 7][..]));
        let said = answer(&query("b.n.svc.cluster.local", 1), Some(&names)).unwrap();
        assert_eq!(said[said.len() - 4..], [10, 42, 0, 9]);
        let six = answer(&query("a.n.svc.cluster.local", 28), Some(&names)).unwrap();
        assert_eq!((six[3], six[7]), (0x80, 0));
        assert_eq!(answer(&query("c.n.svc.cluster.local", 1), Some(&names)).unwrap()[3], 0x83);
        assert_eq!(answer(&query("c.n.svc.cluster.local", 1), None).unwrap()[3], 0x82);
        assert_eq!(answer(&query("testbed.lan", 1), Some(&names)), None);
        assert_eq!(answer(&[0; 5], Some(&names)), None);
    }
}
