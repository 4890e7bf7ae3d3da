//! HTTP to the BMC's daemon, over SSH.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Body;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HOST;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::error::BmcError;
use super::tunnel::trusting_the_tunnel;
use crate::ssh::Session;

/// From the wish for a connection to its TLS: the BMC's processor is slow.
const CONNECT_BOUND: Duration = Duration::from_secs(30);
/// To put a module into storage mode takes its power, waits, and looks for it on USB.
const ANSWER_BOUND: Duration = Duration::from_secs(75);
/// No answer is larger; a console has 16 KiB.
const MOST: usize = 1 << 20;

/// A way to the daemon: its own loopback, where it wants no password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Port {
    /// HTTPS, from firmware 2.0 on.
    Secure,
    /// Plain HTTP, firmware 1.x. SSH keeps it from others' eyes.
    Plain,
}

/// A connection whose bytes move for as long as somebody wants them.
pub(crate) struct Connection<B> {
    sender: SendRequest<B>,
    driver: AbortHandle,
}

impl<B> Drop for Connection<B> {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl<B> Connection<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Connects to the daemon of the BMC at the other end of a session.
    pub async fn open(session: &Session, port: Port) -> Result<Self, BmcError> {
        let opening = async {
            let number = match port {
                Port::Secure => 443,
                Port::Plain => 80,
            };
            let stream = session.forward("127.0.0.1", number).await;
            let stream = stream.map_err(|failure| {
                if session.is_closed() { BmcError::Host(failure) } else { BmcError::Gone(words(&failure)) }
            })?;
            match port {
                Port::Plain => Self::over(stream).await,
                Port::Secure => {
                    static TLS: OnceLock<Option<TlsConnector>> = OnceLock::new();
                    let tls = TLS.get_or_init(|| trusting_the_tunnel().ok().map(TlsConnector::from));
                    let tls = tls.as_ref().ok_or_else(|| BmcError::Odd("this build speaks no TLS".to_owned()))?;
                    let name = ServerName::IpAddress(std::net::Ipv4Addr::LOCALHOST.into());
                    let stream = tls.connect(name, stream).await;
                    Self::over(stream.map_err(|error| BmcError::Silent(format!("no TLS with bmcd: {error}")))?).await
                }
            }
        };
        let silent = || BmcError::Silent(format!("bmcd takes no connection within {} s", CONNECT_BOUND.as_secs()));
        timeout(CONNECT_BOUND, opening).await.map_err(|_| silent())?
    }

    /// Speaks over a stream that leads to it.
    pub async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Self, BmcError> {
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| BmcError::Silent(error.to_string()))?;
        let task = tokio::spawn(async move {
            // Whoever waits for an answer is told by its absence.
            let _ = connection.await;
        });
        Ok(Self { sender, driver: task.abort_handle() })
    }

    /// Sends a request; status and text of what comes back, however long that takes.
    pub async fn send(&mut self, request: Request<B>) -> Result<(u16, String), BmcError> {
        let lost = |error: &dyn std::error::Error| BmcError::Silent(format!("bmcd broke off: {error}"));
        let response: Response<_> = self.sender.send_request(request).await.map_err(|error| lost(&error))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MOST).collect().await.map_err(|error| lost(&*error))?;
        Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
    }
}

/// Asks for a path; status and text of the answer.
pub(crate) async fn get(session: &Session, port: Port, path: &str) -> Result<(u16, String), BmcError> {
    let mut connection = Connection::open(session, port).await?;
    let request = request(Method::GET, path).body(Empty::<Bytes>::new());
    let request = request.map_err(|error| BmcError::Odd(format!("{path}: {error}")))?;
    let silent = || BmcError::Silent(format!("bmcd does not answer within {} s", ANSWER_BOUND.as_secs()));
    timeout(ANSWER_BOUND, connection.send(request)).await.map_err(|_| silent())?
}

/// The beginning of a request.
pub(crate) fn request(method: Method, path: &str) -> hyper::http::request::Builder {
    Request::builder().method(method).uri(path).header(HOST, "127.0.0.1")
}

fn words(failure: &crate::ssh::Failure) -> String {
    match failure {
        crate::ssh::Failure::Refused(said) | crate::ssh::Failure::Unreachable(said) => said.clone(),
        other => format!("{other:?}"),
    }
}
