//! What listens on 6443: the supervisor's own paths, and the API server behind it.
//!
//! The real k3s has both in one process. Here TLS ends at the supervisor, which tells the API server who its client is by
//! the headers of an authenticating proxy; a client without a certificate of the cluster's is passed on as one without.

use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::certificates::{Authority, Pair, Use};
use super::client::{certificates, key, tls};
use super::passwords::Passwords;
use super::say;
use super::server::API_PORT;

type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// The supervisor.
pub struct Front {
    /// Vouches for servers.
    pub server_ca: Authority,
    /// Vouches for clients.
    pub client_ca: Authority,
    /// What proves a node or a server.
    pub secrets: Vec<String>,
    /// Nodes' passwords.
    pub passwords: Passwords,
    /// What nodes must know.
    pub config: serde_json::Value,
    /// To the API server, as the proxy that it trusts.
    pub trusted: TlsConnector,
    /// To the API server, as nobody.
    pub nobody: TlsConnector,
}

/// Who a client is, by its certificate.
type Identity = Option<(String, Vec<String>)>;

/// The name and the groups in a certificate.
pub fn identity(certificate: &[u8]) -> Identity {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let name = parsed.subject().iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups = parsed.subject().iter_organization().filter_map(|group| Some(group.as_str().ok()?.to_owned()));
    Some((name, groups.collect()))
}

/// Takes connections until the process ends.
pub async fn serve(front: Arc<Front>, listener: TcpListener, serving: Pair) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("prepare TLS: {error}");
    let mut roots = RootCertStore::empty();
    for certificate in certificates(front.client_ca.certificate())? {
        roots.add(certificate).map_err(|error| failed(&error))?;
    }
    let provider = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .map_err(|error| failed(&error))?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&serving.certificate)?, key(&serving.key)?)
        .map_err(|error| failed(&error))?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    loop {
        // What cannot be accepted is its client's to try again.
        let Ok((stream, _)) = listener.accept().await else { continue };
        at_once(&stream);
        tokio::spawn(talk(Arc::clone(&front), acceptor.clone(), stream));
    }
}

/// Sends what is written as it is written: an answer of two pieces would wait 40 ms for its client's acknowledgement.
pub fn at_once(stream: &TcpStream) {
    // A connection that refuses is only slower.
    let _ = stream.set_nodelay(true);
}

/// One client's connection, and the one behind it.
struct Talk {
    front: Arc<Front>,
    identity: Identity,
    peer: String,
    behind: Mutex<Option<client::SendRequest<Incoming>>>,
}

async fn talk(front: Arc<Front>, acceptor: TlsAcceptor, stream: TcpStream) {
    let peer =
        stream.peer_addr().map(|peer| format!("{}:{}", peer.ip().to_canonical(), peer.port())).unwrap_or_default();
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|all| all.first());
    let identity = certificate.and_then(|certificate| identity(certificate));
    let talk = Arc::new(Talk { front, identity, peer, behind: Mutex::new(None) });
    let service = service_fn(move |request: Request<Incoming>| {
        let talk = Arc::clone(&talk);
        async move { Ok::<_, Infallible>(talk.respond(request).await) }
    });
    // A connection that breaks is its client's to make again.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}

fn answer(status: u16, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(text.into()).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

impl Talk {
    async fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        match path.as_str() {
            "/ping" => answer(200, "pong"),
            "/cacerts" => answer(200, self.front.server_ca.certificate().to_owned()),
            _ if path.starts_with("/v1-k3s/") => self.supervise(&path, &request).await,
            _ => match self.pass_on(request).await {
                Ok(response) => response,
                Err(_) => self.refuse(503, "apiserver not ready\n", "starting"),
            },
        }
    }

    /// The real one takes each refusal for an error of its own, and says so.
    fn refuse(&self, status: u16, text: &str, why: &str) -> Response<Body> {
        say::error(&format!("Sending HTTP/1.1 {status} response to {}: {why}", self.peer));
        answer(status, text.to_owned())
    }

    /// Whether the client has proved by a certificate of this cluster that it is the node it says it is.
    fn is_node(&self, name: &str) -> bool {
        let group = |groups: &[String]| groups.iter().any(|group| group == "system:nodes");
        self.identity.as_ref().is_some_and(|(user, groups)| *user == format!("system:node:{name}") && group(groups))
    }

    async fn supervise(&self, path: &str, request: &Request<Incoming>) -> Response<Body> {
        let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let name = text("k3s-node-name");
        if !self.is_node(name) && !self.front.admits(text("authorization")) {
            let why = "invalid username/password combination";
            say::error(&format!("Failed to authenticate request from {}: {why}", self.peer));
            return self.refuse(401, "Unauthorized\n", "not authorized");
        }
        let clients = |user: &str, groups: &[&str]| self.front.client_ca.issue(Use::Client(user, groups));
        let made = match path {
            "/v1-k3s/config" => return answer(200, self.front.config.to_string()),
            "/v1-k3s/client-ca.crt" => return answer(200, self.front.client_ca.certificate().to_owned()),
            "/v1-k3s/server-ca.crt" => return answer(200, self.front.server_ca.certificate().to_owned()),
            "/v1-k3s/client-kube-proxy.crt" => clients("system:kube-proxy", &[]),
            "/v1-k3s/client-k3s-controller.crt" => clients("system:k3s-controller", &[]),
            "/v1-k3s/client-kubelet.crt" | "/v1-k3s/serving-kubelet.crt" => {
                match self.front.passwords.check(name, text("k3s-node-password")).await {
                    Ok(true) => {}
                    Ok(false) => {
                        let why = format!("unable to verify password for node {name}: hash does not match");
                        return self.refuse(403, "Forbidden\n", &why);
                    }
                    Err(why) => return answer(503, why),
                }
                if path.contains("client") {
                    clients(&format!("system:node:{name}"), &["system:nodes"])
                } else {
                    let addresses = text("k3s-node-ip").split(',').filter(|address| !address.is_empty());
                    let own = [name, "localhost", "127.0.0.1"].into_iter().chain(addresses).map(str::to_owned);
                    self.front.server_ca.issue(Use::Server(name, &own.collect::<Vec<_>>()))
                }
            }
            _ => return answer(404, "404 page not found\n"),
        };
        match made {
            Ok(pair) => answer(200, format!("{}{}", pair.certificate, pair.key)),
            Err(why) => answer(500, why),
        }
    }

    /// Passes a request on to the API server, and its answer back; afterwards whatever both say if they leave HTTP.
    async fn pass_on(&self, mut request: Request<Incoming>) -> Result<Response<Body>, String> {
        let failed = |error: hyper::Error| error.to_string();
        let headers = request.headers_mut();
        let forged: Vec<HeaderName> =
            headers.keys().filter(|name| name.as_str().starts_with("x-remote-")).cloned().collect();
        for name in forged {
            headers.remove(name);
        }
        if let Some((user, groups)) = &self.identity {
            let value = |text: &str| HeaderValue::from_str(text).map_err(|error| error.to_string());
            headers.insert("x-remote-user", value(user)?);
            for group in groups {
                headers.append("x-remote-group", value(group)?);
            }
        }
        let leaves = headers.contains_key(header::UPGRADE);
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        *request.uri_mut() = path.parse().map_err(|_| "a path that cannot be".to_owned())?;
        let upgrade = leaves.then(|| hyper::upgrade::on(&mut request));
        let mut behind = self.behind.lock().await;
        let mut kept = behind.take();
        let ready = match &mut kept {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        let sender = match kept.filter(|_| ready) {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let sender = behind.insert(sender);
        let mut response = sender.send_request(request).await.map_err(failed)?;
        if let Some(upgrade) = upgrade.filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS) {
            *behind = None;
            let other = hyper::upgrade::on(&mut response);
            tokio::spawn(async move {
                if let (Ok(one), Ok(other)) = tokio::join!(upgrade, other) {
                    // Either side may leave whenever it likes.
                    let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(one), &mut TokioIo::new(other)).await;
                }
            });
        }
        Ok(response.map(|body| body.boxed_unsync()))
    }

    async fn connect(&self) -> Result<client::SendRequest<Incoming>, String> {
        let connector = if self.identity.is_some() { &self.front.trusted } else { &self.front.nobody };
        let stream = TcpStream::connect(("127.0.0.1", API_PORT)).await.map_err(|error| error.to_string())?;
        at_once(&stream);
        let name = ServerName::try_from("127.0.0.1").map_err(|error| error.to_string())?;
        let stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
        let (sender, connection) = client::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }
}

impl Front {
    fn admits(&self, authorization: &str) -> bool {
        let pair = authorization.strip_prefix("Basic ").and_then(|text| BASE64.decode(text).ok());
        let pair = pair.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        pair.split_once(':').is_some_and(|(account, secret)| {
            ["node", "server"].contains(&account) && self.secrets.iter().any(|known| known == secret)
        })
    }

    /// Both ways to the API server.
    pub fn ways(ca: &str, proxy: &Pair) -> Result<(TlsConnector, TlsConnector), String> {
        Ok((tls(Some(ca), Some(proxy))?, tls(Some(ca), None)?))
    }
}
