//! Requests to a server of this cluster.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::certificates::Pair;

/// How long one request may take.
const BOUND: Duration = Duration::from_secs(20);

/// Everybody is talked to on the loopback: a server there, or what leads to one.
const HOST: &str = "127.0.0.1";

/// A server that is talked to.
#[derive(Clone)]
pub struct Client {
    port: u16,
    tls: TlsConnector,
}

/// What a request came to.
pub struct Said {
    /// Its status.
    pub status: u16,
    /// What came with it.
    pub body: Bytes,
}

/// The certificates in a text.
pub fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| format!("read a certificate: {error}"))
}

/// The key in a text.
pub fn key(text: &str) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| format!("read a key: {error}"))
}

/// How to talk TLS to whoever this CA vouches for; without a CA to anybody.
pub fn tls(ca: Option<&str>, me: Option<&Pair>) -> Result<TlsConnector, String> {
    let failed = |error: Error| format!("prepare TLS: {error}");
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(failed)?;
    let builder = match ca {
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(ca)? {
                roots.add(certificate).map_err(failed)?;
            }
            builder.with_root_certificates(roots)
        }
        None => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody)),
    };
    let config = match me {
        Some(me) => builder.with_client_auth_cert(certificates(&me.certificate)?, key(&me.key)?).map_err(failed)?,
        None => builder.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

impl Client {
    /// One at a port of this machine.
    pub fn new(port: u16, ca: Option<&str>, me: Option<&Pair>) -> Result<Self, String> {
        Ok(Self { port, tls: tls(ca, me)? })
    }

    /// One at a port of this machine, with what a file pair says who one is.
    pub fn with_files(port: u16, ca: &Path, me: &Path) -> Result<Self, String> {
        let read =
            |path: &Path| std::fs::read_to_string(path).map_err(|error| format!("read {}: {error}", path.display()));
        let pair = Pair { certificate: read(&me.with_extension("crt"))?, key: read(&me.with_extension("key"))? };
        Self::new(port, Some(&read(ca)?), Some(&pair))
    }

    /// Asks, and says in the words of Go's library why there was no answer.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Said, String> {
        let verb = if method == "GET" { "Get" } else { "Post" };
        let url = format!("https://{HOST}:{}{path}", self.port);
        match tokio::time::timeout(BOUND, self.exchange(method, path, headers, body)).await {
            Ok(Ok(said)) => Ok(said),
            Ok(Err(why)) => Err(format!("{verb} \"{url}\": {why}")),
            Err(_) => Err(format!("{verb} \"{url}\": context deadline exceeded")),
        }
    }

    async fn exchange(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Said, String> {
        let port = self.port;
        let stream = TcpStream::connect((HOST, port)).await.map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => format!("dial tcp {HOST}:{port}: connect: connection refused"),
            _ => format!("dial tcp {HOST}:{port}: {error}"),
        })?;
        let mine = stream.local_addr().map_or(0, |address| address.port());
        let name = ServerName::try_from(HOST).map_err(|error| error.to_string())?;
        let stream = self.tls.connect(name, stream).await.map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                format!("read tcp {HOST}:{mine}->{HOST}:{port}: read: connection reset by peer")
            }
            io::ErrorKind::UnexpectedEof => "EOF".to_owned(),
            _ => error.to_string(),
        })?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        let connection = tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, format!("{HOST}:{port}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).map_err(|error| error.to_string())?;
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        connection.abort();
        Ok(Said { status, body })
    }

    /// Asks for JSON.
    pub async fn get(&self, path: &str) -> Result<serde_json::Value, String> {
        let said = self.ask("GET", path, &[], "").await?;
        if said.status != 200 {
            return Err(format!("{path}: {} {}", said.status, String::from_utf8_lossy(&said.body)));
        }
        serde_json::from_slice(&said.body).map_err(|error| format!("{path}: {error}"))
    }

    /// Sends JSON, of this kind if it is a patch.
    pub async fn send(&self, method: &str, path: &str, kind: &str, body: &serde_json::Value) -> Result<Said, String> {
        self.ask(method, path, &[("Content-Type", kind)], &body.to_string()).await
    }
}

/// What a first question is asked with, whose answer is checked by its hash.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}
