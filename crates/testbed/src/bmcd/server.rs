//! The sockets.

use std::convert::Infallible;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::answer::Answer;
use super::board::Drive;
use super::facts::Facts;
use super::{Bmcd, Seat, Timing, api, lock, tls, upload};
use crate::failure::{Failure, Tried};

/// How late the power of slots is stored, and set by a daemon that starts (bmcd issue 90).
const LATE: Duration = Duration::from_secs(3);

/// Serves a board, until it is killed.
pub fn run(board: PathBuf, listen: SocketAddr, password: &str) -> Result<(), Failure> {
    let tried = || format!("serve {listen}");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().tried(tried)?;
    let acceptor = tls::acceptor()?;
    let bmcd = Arc::new(Bmcd::new(Seat::new(board), password, Timing::REAL, Facts::gather, PathBuf::from("/")));
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await.tried(tried)?;
        tokio::spawn(keep_power(Arc::clone(&bmcd)));
        loop {
            // What cannot be accepted is its client's to try again.
            let Ok((stream, peer)) = listener.accept().await else { continue };
            tokio::spawn(talk(Arc::clone(&bmcd), acceptor.clone(), stream, peer.ip().to_canonical()));
        }
    })
}

/// Sets the power that was stored, and stores what is set from then on. Both come late.
async fn keep_power(bmcd: Arc<Bmcd>) {
    tokio::time::sleep(LATE).await;
    let mut stored = bmcd.seat.stored_power();
    bmcd.change(|board, now| board.set_power(stored.map(|on| on.then_some(true)), now));
    let (mut last, mut since) = (stored, Instant::now());
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let powered = lock(&bmcd.board).slots.map(|slot| slot.drive != Drive::Off);
        if powered != last {
            (last, since) = (powered, Instant::now());
        }
        if last != stored && since.elapsed() >= LATE {
            match bmcd.seat.store_power(last) {
                Ok(()) => stored = last,
                Err(failure) => eprintln!("bmcd: {failure}"),
            }
        }
    }
}

async fn talk(bmcd: Arc<Bmcd>, acceptor: TlsAcceptor, stream: TcpStream, peer: IpAddr) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = service_fn(move |request: Request<Incoming>| {
        let bmcd = Arc::clone(&bmcd);
        async move { Ok::<_, Infallible>(response(respond(&bmcd, peer, request).await)) }
    });
    // A connection that breaks is its client's to make again.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    if let Ok(status) = answer.status.try_into() {
        *response.status_mut() = status;
    }
    for (name, value) in answer.headers {
        if let Ok(value) = header::HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Answers one request of a client at this address.
pub async fn respond<B>(bmcd: &Arc<Bmcd>, peer: IpAddr, request: Request<B>) -> Answer
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Error + Send + Sync + 'static,
{
    // Who comes from elsewhere waits until the one before is through, however long its upload takes.
    let _one = if peer.is_loopback() { None } else { Some(bmcd.remote.lock().await) };
    let (head, body) = request.into_parts();
    let text = |name: header::HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
    let path = head.uri.path();
    if path == "/api/bmc/authenticate" && !peer.is_loopback() {
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        return lock(&bmcd.access).log_in(peer, &body, bmcd.begun.elapsed());
    }
    let admitted = lock(&bmcd.access).admit(peer, text(header::AUTHORIZATION), bmcd.begun.elapsed());
    if let Err(refusal) = admitted {
        return refusal;
    }
    let words: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (&head.method, words.as_slice()) {
        (&Method::GET, ["api", "bmc"]) => api::answer(bmcd, head.uri.query().unwrap_or_default()).await,
        (&Method::POST, ["api", "bmc", "upload", id]) => upload::take(bmcd, id, text(header::CONTENT_TYPE), body).await,
        (&Method::GET, ["api", "bmc", "upload", id, "cancel"]) => {
            let ended = lock(&bmcd.transfer).cancel(id.parse().unwrap_or_default());
            ended.err().unwrap_or_else(|| Answer::bare(200, String::new()))
        }
        _ => Answer::bare(404, String::new()),
    }
}
