//! From a name to an open stream.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::Failure;

/// How long the resolver may take.
const RESOLVE_BOUND: Duration = Duration::from_secs(10);
/// How long one address may take to take a connection.
const CONNECT_BOUND: Duration = Duration::from_secs(5);
/// How long an SSH server may take to say what it is.
const BANNER_BOUND: Duration = Duration::from_secs(3);

/// The addresses of a name, as the operating system resolves it, each once.
pub(crate) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let plain = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
    let unresolved = |said: String| Failure::Unresolved { host: plain.to_owned(), said };
    let found = match timeout(RESOLVE_BOUND, lookup_host((plain, port))).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return Err(unresolved(error.to_string())),
        Err(_) => return Err(unresolved(format!("no answer within {} s", RESOLVE_BOUND.as_secs()))),
    };
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Err(unresolved("no address".to_owned())) } else { Ok(addresses) }
}

/// The addresses of a name as text; none if it does not resolve.
pub(crate) async fn addresses(host: &str, port: u16) -> Vec<String> {
    let found = resolve(host, port).await.unwrap_or_default();
    found.into_iter().map(|address| address.ip().to_string()).collect()
}

/// A stream to the first address that takes one.
pub(super) async fn connect(host: &str, port: u16) -> Result<TcpStream, Failure> {
    let mut said = Vec::new();
    for address in resolve(host, port).await? {
        match timeout(CONNECT_BOUND, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Questions are small and wait for their answer; only speed is lost without it.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => said.push(format!("{address}: {error}")),
            Err(_) => said.push(format!("{address}: no answer within {} s", CONNECT_BOUND.as_secs())),
        }
    }
    Err(Failure::Unreachable(said.join("; ")))
}

/// Whether an SSH server speaks at any of a name's addresses. A host that refuses the connection, or closes it without a
/// word, is there: its SSH server may be on its way up, or be restarted by cloud-init, and is asked again meanwhile.
pub(crate) async fn banner(host: &str, port: u16) -> bool {
    let Ok(addresses) = resolve(host, port).await else { return false };
    for address in addresses {
        let asking = async {
            loop {
                match hello(address).await {
                    Ok(begin) => return &begin == b"SSH-",
                    Err(error) if AGAIN.contains(&error.kind()) => tokio::time::sleep(BANNER_PAUSE).await,
                    Err(_) => return false,
                }
            }
        };
        if timeout(BANNER_BOUND, asking).await == Ok(true) {
            return true;
        }
    }
    false
}

/// What a host says of which only the SSH server is missing.
const AGAIN: [ErrorKind; 3] = [ErrorKind::ConnectionRefused, ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof];
const BANNER_PAUSE: Duration = Duration::from_millis(200);

async fn hello(address: SocketAddr) -> std::io::Result<[u8; 4]> {
    let mut stream = TcpStream::connect(address).await?;
    let mut begin = [0; 4];
    stream.read_exact(&mut begin).await?;
    Ok(begin)
}
