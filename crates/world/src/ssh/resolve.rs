//! From a name to an open stream.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};
use rustix::io::Errno;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Failure;

/// How long the resolver may take.
const RESOLVE_BOUND: Duration = Duration::from_secs(10);
/// How long one address may take to take a connection.
const CONNECT_BOUND: Duration = Duration::from_secs(5);
/// How long an SSH server may take to say what it is.
const BANNER_BOUND: Duration = Duration::from_secs(3);

/// The addresses of a name, as the operating system resolves it, each once.
///
/// # Errors
/// `Unresolved` where there is no such name; `Local` where nobody could tell.
pub(crate) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let plain = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = plain.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let unresolved = |said: String| Failure::Unresolved { host: plain.to_owned(), said };
    let untold = |said: String| Failure::Local(format!("{plain} cannot be looked up: {said}"));
    let name = plain.to_owned();
    let looking = tokio::task::spawn_blocking(move || look_up(&name, port));
    let addresses = match timeout(RESOLVE_BOUND, looking).await {
        Ok(Ok(Ok(addresses))) => addresses,
        Ok(Ok(Err(Unknown::NoSuchName(said)))) => return Err(unresolved(said)),
        Ok(Ok(Err(Unknown::NoAnswer(said)))) if is_multicast(plain) => return Err(unresolved(said)),
        Ok(Ok(Err(Unknown::NoAnswer(said) | Unknown::NotAsked(said)))) => return Err(untold(said)),
        Ok(Err(error)) => return Err(untold(error.to_string())),
        Err(_) => {
            let said = format!("no answer within {} s", RESOLVE_BOUND.as_secs());
            return Err(if is_multicast(plain) { unresolved(said) } else { untold(said) });
        }
    };
    if addresses.is_empty() { Err(unresolved("no address".to_owned())) } else { Ok(addresses) }
}

/// In multicast DNS nobody says no: silence is the answer (RFC 6762).
fn is_multicast(name: &str) -> bool {
    name.trim_end_matches('.').to_ascii_lowercase().ends_with(".local")
}

/// Why there is no address.
enum Unknown {
    NoSuchName(String),
    NoAnswer(String),
    NotAsked(String),
}

fn look_up(name: &str, port: u16) -> Result<Vec<SocketAddr>, Unknown> {
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = getaddrinfo(Some(name), None, Some(hints)).map_err(|error| {
        let kind = error.kind();
        let said = std::io::Error::from(error).to_string();
        match kind {
            LookupErrorKind::NoName | LookupErrorKind::NoData => Unknown::NoSuchName(said),
            LookupErrorKind::Again => Unknown::NoAnswer(said),
            _ => Unknown::NotAsked(said),
        }
    })?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for mut address in found.flatten().map(|found| found.sockaddr) {
        address.set_port(port);
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// The addresses of a name as text; none if there is no such name.
///
/// # Errors
/// `Local` where nobody could tell.
pub(crate) async fn addresses(host: &str, port: u16) -> Result<Vec<String>, Failure> {
    match resolve(host, port).await {
        Ok(found) => Ok(found.into_iter().map(|address| address.ip().to_string()).collect()),
        Err(Failure::Unresolved { .. }) => Ok(Vec::new()),
        Err(failure) => Err(failure),
    }
}

/// A stream to the first address that takes one.
pub(super) async fn connect(host: &str, port: u16) -> Result<TcpStream, Failure> {
    let (mut said, mut only_ours) = (Vec::new(), true);
    for address in resolve(host, port).await? {
        match timeout(CONNECT_BOUND, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Questions are small and wait for their answer; only speed is lost without it.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => {
                only_ours &= is_ours(&error);
                said.push(format!("{address}: {error}"));
            }
            Err(_) => {
                only_ours = false;
                said.push(format!("{address}: no answer within {} s", CONNECT_BOUND.as_secs()));
            }
        }
    }
    // A machine without IPv6 reaches nobody's: the host's other addresses tell.
    Err(if only_ours { Failure::Local(said.join("; ")) } else { Failure::Unreachable(said.join("; ")) })
}

/// Whether an error of a connection is this machine's own: nothing was sent, so it says nothing of the other side.
pub(crate) fn is_ours(error: &std::io::Error) -> bool {
    // From socket(2) and connect(2): no descriptors, ports or memory are left, a rule of ours forbids it, or there is no
    // network.
    const OURS: [Errno; 9] = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::ADDRNOTAVAIL,
        Errno::ACCESS,
        Errno::PERM,
        Errno::NETDOWN,
        Errno::NETUNREACH,
    ];
    Errno::from_io_error(error).is_some_and(|errno| OURS.contains(&errno))
}

/// Whether an SSH server speaks at any of a name's addresses. A host that refuses the connection, or closes it without a
/// word, is there: its SSH server may be on its way up, or be restarted by cloud-init, and is asked again meanwhile.
///
/// # Errors
/// `Local` where nobody could be asked.
pub(crate) async fn banner(host: &str, port: u16) -> Result<bool, Failure> {
    let addresses = match resolve(host, port).await {
        Ok(addresses) => addresses,
        Err(Failure::Unresolved { .. }) => return Ok(false),
        Err(failure) => return Err(failure),
    };
    let mut not_asked = Some(Vec::new());
    for address in addresses {
        let asking = async {
            loop {
                match hello(address).await {
                    Ok(begin) => return Ok(&begin == b"SSH-"),
                    Err(error) if is_ours(&error) => return Err(format!("{address}: {error}")),
                    Err(error) if AGAIN.contains(&error.kind()) => tokio::time::sleep(BANNER_PAUSE).await,
                    Err(_) => return Ok(false),
                }
            }
        };
        match timeout(BANNER_BOUND, asking).await {
            Ok(Ok(true)) => return Ok(true),
            Ok(Err(why)) => {
                if let Some(all) = &mut not_asked {
                    all.push(why);
                }
            }
            Ok(Ok(false)) | Err(_) => not_asked = None,
        }
    }
    match not_asked {
        Some(all) => Err(Failure::Local(all.join("; "))),
        None => Ok(false),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_and_what_the_other_side_says() {
        let of = |errno: Errno| is_ours(&std::io::Error::from(errno));
        for errno in [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NETUNREACH, Errno::PERM] {
            assert!(of(errno), "{errno}");
        }
        for errno in [Errno::CONNREFUSED, Errno::HOSTUNREACH, Errno::TIMEDOUT, Errno::CONNRESET] {
            assert!(!of(errno), "{errno}");
        }
        assert!(!is_ours(&std::io::Error::from(ErrorKind::UnexpectedEof)));
    }

    #[tokio::test]
    async fn a_name_that_there_is_not_has_no_address_and_an_address_needs_no_resolver() {
        // RFC 6761: the resolver itself says that there is none.
        assert_eq!(addresses("nowhere.invalid", 22).await.ok(), Some(Vec::new()));
        assert_eq!(resolve("[::1]", 2222).await.ok(), Some(vec!["[::1]:2222".parse().unwrap()]));
        assert_eq!(banner("nowhere.invalid", 22).await.ok(), Some(false));
    }

    #[test]
    fn multicast_names() {
        for (name, multicast) in [("a.local", true), ("A.LOCAL.", true), ("local", false), ("a.local.lan", false)] {
            assert_eq!(is_multicast(name), multicast, "{name}");
        }
    }
}
