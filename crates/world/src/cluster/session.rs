//! One way to one API: its address, the administrator's credentials, and a count of what is asked.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use bringup_core::fault::{Cause, Fault};
use bringup_core::names::Target;
use bringup_core::secret::Secret;
use http::{Method, Request, Uri, header};
use http_body_util::BodyExt;
use jiff::Timestamp;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;

use super::access::{DOING, Found};
use super::trouble::{Refusal, Trouble};

/// As whom fields are owned.
pub(super) const FIELD_MANAGER: &str = "bringup";

/// Bounds of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// For a connection.
    pub connect: Duration,
    /// For an answer.
    pub answer: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), answer: Duration::from_secs(30) }
    }
}

/// What a request carries.
pub(super) enum Sent {
    /// Nothing.
    Nothing,
    /// An object.
    Object(Value),
    /// Fields that are merged, RFC 7386.
    Merge(Value),
    /// An object that is applied, server side.
    Apply(Value),
}

/// An API that is spoken to.
pub(super) struct Session {
    client: Client,
    bounds: Bounds,
    /// Where from, and for whoever is given a kubeconfig of its own.
    pub found: Found,
    /// `https://ADDRESS:PORT`.
    pub server: String,
    requests: std::sync::Arc<AtomicU64>,
    /// What the cluster's clock is ahead of ours, in seconds.
    ahead: AtomicI64,
    /// Whether the API did not believe us, or we did not believe it.
    distrust: AtomicBool,
}

impl Session {
    /// Makes one; nothing is sent yet.
    pub async fn open(found: Found, bounds: Bounds, requests: std::sync::Arc<AtomicU64>) -> Result<Self, Fault> {
        let odd = |said: String| {
            Fault::new(Cause::Failed, Target::Cluster, DOING)
                .said(said)
                .likely("the control plane's /etc/rancher/k3s/k3s.yaml is not the one that k3s writes")
                .next("restart k3s there: it writes the file anew")
        };
        let kubeconfig = kubeconfig(&found).map_err(odd)?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .map_err(|error| odd(error.to_string()))?;
        config.connect_timeout = Some(bounds.connect);
        // Whoever asks decides whether to ask again.
        config.default_retry = false;
        // The control plane is a neighbour of its nodes: a proxy for the web does not lead there.
        config.proxy_url = None;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let client = Client::try_from(config).map_err(|error| odd(error.to_string()))?;
        Ok(Self { client, bounds, found, server, requests, ahead: AtomicI64::new(0), distrust: AtomicBool::new(false) })
    }

    /// Whether a credential or a certificate was not believed.
    pub fn distrusted(&self) -> bool {
        self.distrust.load(Ordering::Relaxed)
    }

    /// The cluster's clock.
    pub fn now(&self) -> Timestamp {
        let ahead = jiff::SignedDuration::from_secs(self.ahead.load(Ordering::Relaxed));
        Timestamp::now().checked_add(ahead).unwrap_or_else(|_| Timestamp::now())
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Result<Value, Trouble> {
        self.call(Method::GET, path, Sent::Nothing, "application/json").await
    }

    /// Reads; `None` if there is none.
    pub async fn get_if_any(&self, path: &str) -> Result<Option<Value>, Trouble> {
        match self.get(path).await {
            Err(trouble) if trouble.is_absence() => Ok(None),
            result => result.map(Some),
        }
    }

    /// Lists what there is without what is in it.
    pub async fn list_names(&self, path: &str) -> Result<Value, Trouble> {
        let accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";
        self.call(Method::GET, path, Sent::Nothing, accept).await
    }

    /// Writes.
    pub async fn send(&self, method: Method, path: &str, sent: Sent) -> Result<Value, Trouble> {
        self.call(method, path, sent, "application/json").await
    }

    async fn call(&self, method: Method, path: &str, sent: Sent, accept: &str) -> Result<Value, Trouble> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let (kind, body) = match sent {
            Sent::Nothing => ("application/json", Vec::new()),
            Sent::Object(value) => ("application/json", value.to_string().into_bytes()),
            Sent::Merge(value) => ("application/merge-patch+json", value.to_string().into_bytes()),
            // JSON is YAML, and this is the type that every release of Kubernetes knows.
            Sent::Apply(value) => ("application/apply-patch+yaml", value.to_string().into_bytes()),
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, kind)
            .header(header::ACCEPT, accept)
            .header(header::USER_AGENT, "bringup")
            .body(Body::from(body))
            .map_err(|error| Trouble::Odd(error.to_string()))?;
        let going = self.answer(request);
        let result = match tokio::time::timeout(self.bounds.answer, going).await {
            Ok(result) => result,
            Err(_) => Err(Trouble::Slow { server: self.server.clone(), seconds: self.bounds.answer.as_secs() }),
        };
        if result.as_ref().is_err_and(Trouble::is_distrust) {
            self.distrust.store(true, Ordering::Relaxed);
        }
        result
    }

    async fn answer(&self, request: Request<Body>) -> Result<Value, Trouble> {
        let sent = self.client.send(request).await;
        let response = sent.map_err(|error| Trouble::of(&error, &self.server, &self.found))?;
        let (head, body) = response.into_parts();
        if let Some(date) = head.headers.get(header::DATE).and_then(|date| date.to_str().ok())
            && let Ok(date) = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date)
        {
            self.ahead.store(date.as_second() - Timestamp::now().as_second(), Ordering::Relaxed);
        }
        let cut = |error: kube::Error| Trouble::Lost { server: self.server.clone(), said: error.to_string() };
        let bytes = body.collect().await.map_err(cut)?.to_bytes();
        if head.status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|error| Trouble::Odd(error.to_string()));
        }
        Err(Trouble::Refused(Refusal::of(head.status.as_u16(), &bytes, &self.server, &self.found)))
    }
}

/// The kubeconfig with the address in place of the one that leads a node to itself.
fn kubeconfig(found: &Found) -> Result<Kubeconfig, String> {
    let mut kubeconfig = Kubeconfig::from_yaml(found.kubeconfig.expose()).map_err(|error| error.to_string())?;
    let Some(address) = &found.address else { return Ok(kubeconfig) };
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        if let Some(server) = &mut cluster.server {
            *server = at_address(server, address)?;
        }
    }
    Ok(kubeconfig)
}

fn at_address(server: &str, address: &str) -> Result<String, String> {
    let url: Uri = server.parse().map_err(|error| format!("{server}: {error}"))?;
    let port = url.port_u16().unwrap_or(6443);
    Ok(if address.contains(':') { format!("https://[{address}]:{port}") } else { format!("https://{address}:{port}") })
}

/// The same as text, for whoever reads it from a file.
pub(super) fn kubeconfig_text(found: &Found) -> Result<Secret, String> {
    let kubeconfig = kubeconfig(found)?;
    serde_json::to_string(&kubeconfig).map(Secret::new).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::at_address;

    #[test]
    fn the_address_takes_the_place_of_the_nodes_own() {
        for (server, address, expected) in [
            ("https://127.0.0.1:6443", "10.0.0.1", "https://10.0.0.1:6443"),
            ("https://127.0.0.1:16443/", "fd00::1", "https://[fd00::1]:16443"),
            ("https://localhost", "node01.lan", "https://node01.lan:6443"),
        ] {
            assert_eq!(at_address(server, address).unwrap(), expected);
        }
    }
}
