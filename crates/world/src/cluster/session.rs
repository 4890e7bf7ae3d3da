//! One way to one API: its address, the administrator's credentials, and a count of what is asked.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bringup_core::ids::Target;
use bringup_core::run::fault::{Cause, Fault};
use bringup_core::text::kubeconfig::ClusterAccess;
use http::{Method, Request, Uri, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jiff::Timestamp;
use kube::client::Body;
use kube::{Client, Config};
use serde_json::Value;
use x509_parser::pem::Pem;

use super::access::DOING;
use super::error::{ApiError, Refusal};

/// As whom fields are owned.
pub(super) const FIELD_MANAGER: &str = "bringup";

/// The longest answer that is read, in bytes. An object is at most 1.5 MiB (etcd's limit of a request), and the longest
/// list that is asked for is the ten revisions of a release that Helm keeps.
const LONGEST_ANSWER: usize = 32 << 20;
/// The longest refusal that is read, in bytes.
const LONGEST_REFUSAL: usize = 1 << 20;

/// How long what is asked of an API may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// For a connection.
    pub connect: Duration,
    /// For an answer.
    pub answer: Duration,
    /// For a kubelet to renew a Lease that seems old.
    pub renewal: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), answer: Duration::from_secs(30), renewal: Duration::from_secs(20) }
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
    /// What it was opened with, for whoever is given a kubeconfig of its own.
    pub access: ClusterAccess,
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
    pub fn open(access: ClusterAccess, bounds: Bounds, requests: std::sync::Arc<AtomicU64>) -> Result<Self, Fault> {
        let odd = |said: String| {
            Fault::new(Cause::Mismatch, Target::Cluster, DOING)
                .said(said)
                .likely("the control plane's /etc/rancher/k3s/k3s.yaml is not the one that k3s writes")
                .next("restart k3s there: it writes the file again")
        };
        let mut config = config(&access).map_err(|said| odd(said.to_owned()))?;
        config.connect_timeout = Some(bounds.connect);
        // Whoever asks decides whether to ask again.
        config.default_retry = false;
        // The control plane is a neighbour of its nodes: a proxy for the web does not lead there.
        config.proxy_url = None;
        let server = access.server().to_string();
        // The error's own words may show what it could not read.
        let client = Client::try_from(config).map_err(|_| odd("certificates or key cannot be read".to_owned()))?;
        Ok(Self {
            client,
            bounds,
            access,
            server,
            requests,
            ahead: AtomicI64::new(0),
            distrust: AtomicBool::new(false),
        })
    }

    /// Whether a credential or a certificate was not believed.
    pub fn distrusted(&self) -> bool {
        self.distrust.load(Ordering::Relaxed)
    }

    /// How long a renewal of a Lease is waited for.
    pub fn renewal(&self) -> Duration {
        self.bounds.renewal
    }

    /// The cluster's clock.
    pub fn now(&self) -> Timestamp {
        let ahead = jiff::SignedDuration::from_secs(self.ahead.load(Ordering::Relaxed));
        Timestamp::now().checked_add(ahead).unwrap_or_else(|_| Timestamp::now())
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Result<Value, ApiError> {
        self.call(Method::GET, path, Sent::Nothing, "application/json").await
    }

    /// Reads; `None` if there is none.
    pub async fn get_if_any(&self, path: &str) -> Result<Option<Value>, ApiError> {
        match self.get(path).await {
            Err(trouble) if trouble.is_absence() => Ok(None),
            result => result.map(Some),
        }
    }

    /// Lists what there is without what is in it.
    pub async fn list_names(&self, path: &str) -> Result<Value, ApiError> {
        let accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";
        self.call(Method::GET, path, Sent::Nothing, accept).await
    }

    /// Writes.
    pub async fn send(&self, method: Method, path: &str, sent: Sent) -> Result<Value, ApiError> {
        self.call(method, path, sent, "application/json").await
    }

    async fn call(&self, method: Method, path: &str, sent: Sent, accept: &str) -> Result<Value, ApiError> {
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
            .map_err(|error| ApiError::Odd(error.to_string()))?;
        let going = self.answer(request);
        let result = match tokio::time::timeout(self.bounds.answer, going).await {
            Ok(result) => result,
            Err(_) => Err(ApiError::Slow { server: self.server.clone(), seconds: self.bounds.answer.as_secs() }),
        };
        if result.as_ref().is_err_and(ApiError::is_distrust) {
            self.distrust.store(true, Ordering::Relaxed);
        }
        result
    }

    async fn answer(&self, request: Request<Body>) -> Result<Value, ApiError> {
        let sent = self.client.send(request).await;
        let response = sent.map_err(|error| ApiError::of(&error, &self.server, &self.access))?;
        let (head, body) = response.into_parts();
        if let Some(date) = head.headers.get(header::DATE).and_then(|date| date.to_str().ok())
            && let Ok(date) = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date)
        {
            self.ahead.store(date.as_second() - Timestamp::now().as_second(), Ordering::Relaxed);
        }
        let longest = if head.status.is_success() { LONGEST_ANSWER } else { LONGEST_REFUSAL };
        let bytes = match Limited::new(body, longest).collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(ApiError::TooLong { server: self.server.clone(), longest });
            }
            Err(error) => return Err(ApiError::Lost { server: self.server.clone(), said: error.to_string() }),
        };
        if head.status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|error| ApiError::Odd(error.to_string()));
        }
        Err(ApiError::Refused(Refusal::of(head.status.as_u16(), &bytes, &self.server, &self.access)))
    }
}

/// What the client is given: nothing but what [`ClusterAccess`] holds, so that no field of a target's file runs a program,
/// reads a file or chooses a proxy here.
fn config(access: &ClusterAccess) -> Result<Config, &'static str> {
    let url: Uri = access.server().to_string().parse().map_err(|_| "the server's address is not valid")?;
    let authority = STANDARD.decode(access.authority()).map_err(|_| "the authority's certificates cannot be read")?;
    let certificates: Result<Vec<Vec<u8>>, _> =
        Pem::iter_from_buffer(&authority).map(|pem| pem.map(|pem| pem.contents)).collect();
    let mut config = Config::new(url);
    config.root_cert = Some(certificates.map_err(|_| "the authority's certificates cannot be read")?);
    config.auth_info =
        serde_json::from_value(access.identity().fields()).map_err(|_| "the credentials cannot be used")?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use bringup_core::text::kubeconfig::ClusterAccess;

    use super::config;
    use crate::cluster::tests::rig::{Authority, kubeconfig};

    #[test]
    fn the_client_gets_what_the_access_holds_and_nothing_else() {
        let authority = Authority::new("kubernetes");
        let user = authority.sign("system:admin", "system:masters", &[], 4000);
        let access =
            ClusterAccess::parse(kubeconfig("https://127.0.0.1:6443", &authority.pem, &user).expose()).unwrap();
        let config = config(&access.at("fd00::1").unwrap()).unwrap();
        assert_eq!(config.cluster_url.to_string(), "https://[fd00::1]:6443/");
        assert_eq!(config.root_cert.unwrap().len(), 1);
        let user = config.auth_info;
        assert!(user.client_certificate_data.is_some() && user.client_key_data.is_some() && user.token.is_none());
        assert!(user.exec.is_none() && user.auth_provider.is_none() && user.token_file.is_none());
        assert!(config.proxy_url.is_none() && !config.accept_invalid_certs && config.tls_server_name.is_none());
    }
}
