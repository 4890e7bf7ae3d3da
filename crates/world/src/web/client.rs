//! One HTTP request at a time: connect, ask, follow redirections, hand out the body as it comes.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT_ENCODING, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::address::redirected;
use super::error::WebError;
use super::tls::trusting_the_system;

const CONNECT_BOUND: Duration = Duration::from_secs(20);
/// From the request to the first line of the answer; some mirrors fetch a file themselves first.
const ANSWER_BOUND: Duration = Duration::from_secs(60);
const REDIRECTIONS: usize = 10;

/// An answer whose body is still to come.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Incoming,
    stall: Duration,
    _driver: Driver,
}

/// What moves the connection's bytes, for as long as somebody wants them.
#[derive(Debug)]
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Answer {
    /// The next bytes; `None` at the end. One that breaks off is never an end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, WebError> {
        loop {
            let frame = timeout(self.stall, self.body.frame()).await;
            match frame.map_err(|_| WebError::Stalled(self.stall.as_secs()))? {
                None => return Ok(None),
                Some(Err(error)) => return Err(WebError::Lost(words(&error))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

/// Asks for what is at an address. `stall` bounds the time without a byte.
pub(super) async fn get(uri: &Uri, headers: &[(HeaderName, HeaderValue)], stall: Duration) -> Result<Answer, WebError> {
    let mut at = uri.clone();
    for _ in 0..REDIRECTIONS {
        let (response, driver) = ask(&at, headers).await?;
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        match location.filter(|_| response.status().is_redirection()) {
            Some(location) => at = redirected(&at, location)?,
            None => {
                let (head, body) = response.into_parts();
                return Ok(Answer { status: head.status, headers: head.headers, body, stall, _driver: driver });
            }
        }
    }
    Err(WebError::Address(format!("{uri} leads on and on, more than {REDIRECTIONS} times")))
}

async fn ask(uri: &Uri, headers: &[(HeaderName, HeaderValue)]) -> Result<(Response<Incoming>, Driver), WebError> {
    let host = uri.host().unwrap_or_default().to_owned();
    let secure = uri.scheme_str() == Some("https");
    let stream = connect(&host, uri.port_u16().unwrap_or(if secure { 443 } else { 80 })).await?;
    let authority = match uri.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.clone(),
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::get(path)
        .header(HOST, authority)
        .header(USER_AGENT, concat!("bringup/", env!("CARGO_PKG_VERSION")))
        // Sums are of the file itself, and so is what a range counts.
        .header(ACCEPT_ENCODING, "identity");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| WebError::Address(format!("{uri}: {error}")))?;
    if secure {
        let tls = TlsConnector::from(system()?);
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|_| WebError::Address(format!("{host} is no name that a certificate could bear")))?;
        let stream = timeout(CONNECT_BOUND, tls.connect(name, stream)).await;
        let stream = stream
            .map_err(|_| WebError::Unreachable(format!("{host}: no end of the TLS handshake")))?
            .map_err(|error| tls_trouble(&host, &error))?;
        send(stream, request).await
    } else {
        send(stream, request).await
    }
}

fn tls_trouble(host: &str, error: &io::Error) -> WebError {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => WebError::Tls(format!("{host}: {error}")),
        _ => WebError::Lost(format!("{host}: {error}")),
    }
}

/// What the system trusts is read once.
fn system() -> Result<Arc<ClientConfig>, WebError> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| trusting_the_system().map_err(|error| error.to_string()));
    config.clone().map_err(WebError::Tls)
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, WebError> {
    let name = host.trim_matches(['[', ']']);
    let addresses = tokio::net::lookup_host((name, port))
        .await
        .map_err(|error| WebError::Unresolved(format!("{host}: {error}")))?;
    let mut said = Vec::new();
    for address in addresses {
        match timeout(CONNECT_BOUND, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // A small request is not to wait for company.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => said.push(format!("{address}: {error}")),
            Err(_) => said.push(format!("{address}: no answer within {} s", CONNECT_BOUND.as_secs())),
        }
    }
    Err(WebError::Unreachable(if said.is_empty() { format!("{host} has no address") } else { said.join("; ") }))
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Empty<Bytes>>,
) -> Result<(Response<Incoming>, Driver), WebError> {
    let lost = |error: hyper::Error| WebError::Lost(words(&error));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    let driver = Driver(tokio::spawn(async move {
        // Whoever waits for the body is told by the body.
        let _ = connection.await;
    }));
    let response = timeout(ANSWER_BOUND, sender.send_request(request)).await;
    let response = response.map_err(|_| WebError::Stalled(ANSWER_BOUND.as_secs()))?.map_err(lost)?;
    Ok((response, driver))
}

/// An error with what lies under it: hyper's own words seldom say why.
fn words(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut under = std::error::Error::source(error);
    while let Some(error) = under {
        text = format!("{text}: {error}");
        under = error.source();
    }
    text
}
