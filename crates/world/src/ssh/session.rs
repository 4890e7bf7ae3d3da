//! A connection to one host, and commands over its channels.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bringup_core::text::known_hosts::{HostKey, KnownHosts};
use bringup_core::text::secret::Secret;
use russh::client::{self, Handle};
use russh::{ChannelMsg, ChannelOpenFailure, Disconnect, Preferred, cipher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Failure;
use super::host_key::{HostKeyVerifier, Trust, Verdict};
use super::login::{Identity, Logins, log_in};
use super::resolve;

/// How many channels one connection has at once: sshd takes ten (`MaxSessions`), and others may share it.
const CHANNELS: usize = 8;
/// From an open stream to the end of the key exchange.
const HANDSHAKE_BOUND: Duration = Duration::from_secs(20);
/// For all ways to log in together; PAM may ask a directory server.
const LOGIN_BOUND: Duration = Duration::from_secs(30);
/// A host that says nothing for this long is asked whether it is there; three times, then the connection is over.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Output beyond this is not for us: our questions print a few kilobytes.
const MOST_OUTPUT: usize = 4 << 20;
const WINDOW: u32 = 16 << 20;
/// The one that processors do themselves comes first: images go through it.
const CIPHERS: [cipher::Name; 6] = [
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// What a connection is spoken over.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// How scripts run as root on a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sudo {
    /// The account is root.
    Root,
    /// sudo asks nothing.
    Free,
    /// sudo asks for a password.
    Password,
    /// sudo asks for another password than we have. It is not tried again: some systems lock an account for that.
    Refused,
}

/// How a host is dialled.
#[derive(Clone, Debug)]
pub struct Route {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Account.
    pub user: String,
    /// Names under which known_hosts may have its key.
    pub names: Vec<String>,
    /// Files of known hosts beside the run's own.
    pub known_hosts: Vec<PathBuf>,
    /// Key files that are meant for it.
    pub key_files: Vec<PathBuf>,
    /// No other keys are offered.
    pub only_key_files: bool,
    /// The agent's socket.
    pub agent: Option<PathBuf>,
    /// The host that it is reached through.
    pub via: Option<Box<Route>>,
    /// Login password.
    pub password: Option<Secret>,
    /// Password for sudo.
    pub become_password: Option<Secret>,
}

/// What a command printed, and how it ended.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// Standard output.
    pub out: Vec<u8>,
    /// Standard error.
    pub err: Vec<u8>,
    /// Exit status; none if it came to no end that was told.
    pub status: Option<u32>,
}

/// A connection that is logged in.
pub struct Session {
    handle: Handle<HostKeyVerifier>,
    channels: Semaphore,
    host_key: HostKey,
    pub(super) route: Route,
    /// How root is come by, once that is known.
    pub(super) sudo: OnceLock<Sudo>,
    /// The connection that this one goes through; it lasts as long.
    _via: Option<Box<Session>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("host", &self.route.host).finish_non_exhaustive()
    }
}

impl Session {
    /// Connects and logs in. `known` is the run's own known_hosts.
    ///
    /// # Errors
    /// What kept us from it; nothing has run there then.
    pub async fn open(mut route: Route, known: &KnownHosts, logins: &Logins) -> Result<Self, Failure> {
        let (stream, via): (Box<dyn Stream>, _) = match route.via.take() {
            None => (Box::new(resolve::connect(&route.host, route.port).await?), None),
            Some(jump) => {
                let name = jump.host.clone();
                let session = Box::pin(Self::open(*jump, known, logins)).await;
                let session = session.map_err(|failure| failure.at_jump(&name))?;
                let stream = session.forward(&route.host, route.port).await;
                let stream = stream.map_err(|failure| match failure {
                    Failure::Unreachable(said) => Failure::Unreachable(format!("jump host {name}: {said}")),
                    other => other.at_jump(&name),
                })?;
                (Box::new(stream), Some(Box::new(session)))
            }
        };
        let trust = Trust::of(known, &route.known_hosts, &route.names);
        let recorded = trust.recorded.clone();
        let config = Arc::new(client::Config {
            preferred: Preferred { key: trust.algorithms(), cipher: Cow::Borrowed(&CIPHERS), ..Preferred::default() },
            keepalive_interval: Some(KEEP_ALIVE),
            window_size: WINDOW,
            nodelay: true,
            ..client::Config::default()
        });
        let verdict = Arc::new(OnceLock::new());
        let verifier = HostKeyVerifier { trust, verdict: Arc::clone(&verdict) };
        let shaken = timeout(HANDSHAKE_BOUND, client::connect_stream(config, stream, verifier)).await;
        let host_key = match verdict.get() {
            Some(Verdict::Trusted(shown)) => shown.clone(),
            Some(Verdict::Unknown(shown)) => return Err(Failure::UnknownKey(shown.clone())),
            Some(Verdict::Contradicted(shown, by)) => {
                return Err(Failure::Contradicted { shown: shown.clone(), by: by.clone() });
            }
            Some(Verdict::Changed(shown)) => return Err(Failure::ChangedKey { shown: shown.clone(), recorded }),
            None => {
                return Err(match shaken {
                    Ok(Err(russh::Error::Disconnect | russh::Error::HUP | russh::Error::IO(_))) => {
                        Failure::Unreachable("it closes the connection at once".to_owned())
                    }
                    Ok(Err(error)) => Failure::Odd(error.to_string()),
                    Ok(Ok(_)) => Failure::Odd("it shows no host key".to_owned()),
                    Err(_) => Failure::Unreachable(format!(
                        "it takes connections, but says nothing for {} s",
                        HANDSHAKE_BOUND.as_secs()
                    )),
                });
            }
        };
        let mut handle = match shaken {
            Ok(Ok(handle)) => handle,
            Ok(Err(error)) => return Err(Failure::Lost(format!("while keys were exchanged: {error}"))),
            Err(_) => {
                return Err(Failure::Lost(format!(
                    "no end of the key exchange within {} s",
                    HANDSHAKE_BOUND.as_secs()
                )));
            }
        };
        let identity = Identity {
            user: &route.user,
            named_keys: &route.key_files,
            agent: route.agent.as_deref(),
            only_named: route.only_key_files,
            password: route.password.as_ref(),
        };
        match timeout(LOGIN_BOUND, log_in(&mut handle, &identity, logins, &host_key)).await {
            Ok(result) => result?,
            Err(_) => return Err(Failure::Lost(format!("no login within {} s", LOGIN_BOUND.as_secs()))),
        }
        let channels = Semaphore::new(CHANNELS);
        Ok(Self { handle, channels, host_key, route, sudo: OnceLock::new(), _via: via })
    }

    /// The key that the host showed.
    pub fn host_key(&self) -> &HostKey {
        &self.host_key
    }

    /// Whether it is over.
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Says goodbye.
    pub async fn close(&self) {
        // Who is gone need not be told.
        let _ = self.handle.disconnect(Disconnect::ByApplication, "", "en").await;
    }

    /// Opens a channel that a command runs on.
    pub(super) async fn start(&self, command: &str) -> Result<Running<'_>, Failure> {
        let permit = self.channels.acquire().await.map_err(|error| Failure::Lost(error.to_string()))?;
        let channel = self.handle.channel_open_session().await.map_err(|error| lost(&error))?;
        channel.exec(true, command).await.map_err(|error| lost(&error))?;
        let (read, write) = channel.split();
        Ok(Running { read, write, _permit: permit })
    }

    /// Runs a command to its end, with this on its standard input.
    pub async fn run(&self, command: &str, input: &[u8]) -> Result<Output, Failure> {
        let mut running = self.start(command).await?;
        let Running { read, write, .. } = &mut running;
        let sending = async {
            // One that has ended does not take what is left; its status says enough.
            if write.data(input).await.is_ok() {
                let _ = write.eof().await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            output = collect(read) => output,
            () = sending => Err(Failure::Lost("the connection was closed".to_owned())),
        }
    }

    /// A stream to a port as the far side reaches it.
    pub async fn forward(&self, host: &str, port: u16) -> Result<russh::ChannelStream<client::Msg>, Failure> {
        let channel =
            self.handle.channel_open_direct_tcpip(host, port.into(), "127.0.0.1", 0).await.map_err(|error| {
                let said = format!("{host}:{port} cannot be reached from there: {error}");
                match error {
                    // RFC 4254, 5.1: it was tried, and nobody took the connection.
                    russh::Error::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed) => Failure::Unreachable(said),
                    _ => Failure::Refused(said),
                }
            })?;
        Ok(channel.into_stream())
    }
}

/// A command under way.
pub(super) struct Running<'a> {
    pub read: russh::ChannelReadHalf,
    pub write: russh::ChannelWriteHalf<client::Msg>,
    _permit: tokio::sync::SemaphorePermit<'a>,
}

pub(super) fn lost(error: &russh::Error) -> Failure {
    Failure::Lost(error.to_string())
}

/// Everything up to a command's end.
pub(super) async fn collect(read: &mut russh::ChannelReadHalf) -> Result<Output, Failure> {
    let mut output = Output::default();
    let mut ended = false;
    while let Some(message) = read.wait().await {
        match message {
            ChannelMsg::Data { data } => keep(&mut output.out, &data),
            ChannelMsg::ExtendedData { data, ext: 1 } => keep(&mut output.err, &data),
            ChannelMsg::ExitStatus { exit_status } => output.status = Some(exit_status),
            ChannelMsg::ExitSignal { signal_name, .. } => {
                keep(&mut output.err, format!("ended by signal {signal_name:?}").as_bytes());
            }
            ChannelMsg::Failure => return Err(Failure::Refused("its SSH server runs no command for us".to_owned())),
            ChannelMsg::Close => {
                ended = true;
                break;
            }
            _ => {}
        }
    }
    if ended || output.status.is_some() {
        Ok(output)
    } else {
        Err(Failure::Lost("the connection was closed".to_owned()))
    }
}

pub(super) fn keep(all: &mut Vec<u8>, more: &[u8]) {
    let room = MOST_OUTPUT.saturating_sub(all.len());
    all.extend_from_slice(&more[..more.len().min(room)]);
}
