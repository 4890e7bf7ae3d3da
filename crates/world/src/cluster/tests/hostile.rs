//! An API server that answers everything in the worst way it can.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bringup_core::contract::cluster::ApiReady;
use bringup_core::run::fault::Cause;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::rig::{Authority, Told, kubeconfig};
use super::{ask, impatient};

/// Listens, and answers each request with this head and then the same piece for as long as anybody reads. How many bytes
/// were taken is counted.
async fn endless(authority: &Authority, head: &'static str, piece: &'static [u8]) -> (String, Arc<AtomicUsize>) {
    let (certificate, key) = authority.sign("api", "api", &["127.0.0.1"], 4000);
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let server = format!("https://{}", listener.local_addr().unwrap());
    let taken = Arc::new(AtomicUsize::new(0));
    let count = taken.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, count) = (acceptor.clone(), count.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut asked = [0; 1024];
                if stream.read(&mut asked).await.is_err() || stream.write_all(head.as_bytes()).await.is_err() {
                    return;
                }
                while stream.write_all(piece).await.is_ok() {
                    count.fetch_add(piece.len(), Ordering::Relaxed);
                }
            });
        }
    });
    (server, taken)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_or_a_refusal_without_an_end_is_cut_off() {
    static SPACES: [u8; 64 << 10] = [b' '; 64 << 10];
    let authority = Authority::new("nobody");
    let user = authority.sign("me", "us", &[], 4000);
    // What lies in the buffers of either side was written and not yet read.
    let on_the_way = 8 << 20;
    for (head, longest) in [
        ("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", 32 << 20),
        ("HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n\r\n", 1 << 20),
        ("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n", 32 << 20),
    ] {
        let (server, taken) = endless(&authority, head, &SPACES).await;
        let mut cluster = impatient();
        cluster.bounds.answer = Duration::from_secs(60);
        let access = Told::once(kubeconfig(&server, &authority.pem, &user));
        let fault = ask(&cluster, &access, ApiReady {}).await.unwrap_err();
        assert_eq!(fault.cause, Cause::Mismatch, "{head}: {fault:?}");
        assert!(taken.load(Ordering::Relaxed) <= longest + on_the_way, "{head}: {taken:?} bytes");
    }
}
