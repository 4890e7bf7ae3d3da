//! An SSH server that plays a node: a test decides what it prints for each question, and it keeps what it was sent.
//!
//! OpenSSH's server cannot do this: it reports real exit statuses, and sudo asks root for no password. This one needs neither
//! root nor sshd.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bringup_core::text::known_hosts::HostKey;
use russh::keys::key::safe_rng;
use russh::keys::{Algorithm, PrivateKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, run_stream};
use russh::{Channel, ChannelMsg};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// What a piece of script printed on a real host.
#[derive(Clone, Deserialize, Debug)]
pub struct Printed {
    pub out: String,
    pub err: String,
    pub status: i32,
}

#[derive(Deserialize)]
struct Exchange {
    shell: String,
    #[serde(flatten)]
    printed: Printed,
}

/// What an honest host prints: the recordings of real ones, in the states that are asked for, and what a test adds.
pub struct Honest {
    recorded: BTreeMap<String, Printed>,
    /// By words that a piece has in it; the last that fits counts.
    added: Vec<(&'static str, Printed)>,
}

impl Honest {
    pub fn of(states: &[&str]) -> Self {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../world/src/shell/recordings");
        let text = |state: &&str| std::fs::read_to_string(directory.join(format!("{state}.json"))).unwrap();
        let exchanges = states.iter().map(text).flat_map(|text| serde_json::from_str::<Vec<Exchange>>(&text).unwrap());
        let recorded = exchanges.map(|exchange| (exchange.shell, exchange.printed)).collect();
        Self { recorded, added: Vec::new() }
    }

    /// Prints this for a piece that has these words in it.
    #[must_use]
    pub fn with(mut self, words: &'static str, out: impl Into<String>, status: i32) -> Self {
        self.added.push((words, Printed { out: out.into(), err: String::new(), status }));
        self
    }

    /// What it prints for a piece. What was not recorded is answered with "there is none", and an action is done.
    fn printed(&self, piece: &str) -> Printed {
        let printed = |out: String, status| Printed { out, err: String::new(), status };
        if let Some((_, added)) = self.added.iter().rfind(|(words, _)| piece.contains(words)) {
            return added.clone();
        }
        if let Some(recorded) = self.recorded.get(piece) {
            return recorded.clone();
        }
        match piece.strip_prefix("dpkg-query -W -f='${Package} ${db:Status-Abbrev}\\n' ") {
            // Whatever package is asked for is installed.
            Some(names) => {
                let names = names.split(' ').take_while(|name| !name.starts_with("2>"));
                printed(names.map(|name| format!("{} ii \n", name.trim_matches('\''))).collect(), 0)
            }
            None if piece.contains("exit 44") => printed(String::new(), 44),
            None => printed(String::new(), 0),
        }
    }
}

/// A script as it came: its mark and its pieces.
pub struct Script {
    pub mark: String,
    pub pieces: Vec<String>,
}

impl Script {
    /// Takes one apart; `None` where it is none of ours.
    fn of(text: &str) -> Option<Self> {
        let mark = text.split("printf '\\n%s %s\\n' ").nth(1)?.split(' ').next()?.to_owned();
        let pieces = text.split("\n(:\n").skip(1).map(|rest| rest.split("\n) </dev/null\n").next().unwrap_or(rest));
        Some(Self { mark, pieces: pieces.map(str::to_owned).collect() })
    }

    /// What a shell prints for it.
    pub fn printed(&self, pieces: &[Printed]) -> Reply {
        let (mut out, mut err) = (String::new(), String::new());
        for (index, piece) in pieces.iter().enumerate() {
            out += &format!("\n{0} {index}\n{1}\n{0} end {2}\n", self.mark, piece.out, piece.status);
            err += &format!("\n{} {index}\n{}", self.mark, piece.err);
        }
        Reply::Ends { out: out.into_bytes(), err: err.into_bytes(), status: Some(0) }
    }
}

/// What comes back on a channel.
pub enum Reply {
    /// This, and then the end: with a status, or without one.
    Ends { out: Vec<u8>, err: Vec<u8>, status: Option<u32> },
    /// This again and again, for as long as anybody reads.
    Endless(&'static [u8]),
    /// Nothing, and no end.
    Nothing,
}

/// What a node was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// What came on its standard input, the password that sudo asked for excepted.
    pub input: String,
    /// The passwords that were sent so far, for the login and to sudo.
    pub passwords: Vec<String>,
}

/// How a node answers what it is sent; given what an honest one prints for each piece.
pub type Way = dyn Fn(&Sent, &Script, &[Printed]) -> Reply + Send + Sync;

/// How a node answers: what an honest one says.
pub fn honestly(_: &Sent, script: &Script, honest: &[Printed]) -> Reply {
    script.printed(honest)
}

/// What sudo does there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sudo {
    /// It asks nothing.
    Free,
    /// It asks for a password.
    Asks,
    /// It asks for it, and then again, and never takes it.
    AsksAgain,
    /// It asks once, and ends without having taken it, as with `passwd_tries=1`.
    AsksOnce,
}

struct Shared {
    honest: Honest,
    way: Box<Way>,
    sudo: Sudo,
    passwords: Mutex<Vec<String>>,
    sent: Mutex<Vec<Sent>>,
}

/// A node that listens on loopback until it is dropped.
pub struct Node {
    pub port: u16,
    pub host_key: HostKey,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

impl Node {
    /// One that answers this way, given what an honest one would.
    pub fn start(
        honest: Honest,
        sudo: Sudo,
        way: impl Fn(&Sent, &Script, &[Printed]) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
        let host_key = HostKey::parse(&key.public_key().to_openssh().unwrap()).unwrap();
        let config = Arc::new(Config { keys: vec![key], ..Config::default() });
        let shared =
            Arc::new(Shared { honest, way: Box::new(way), sudo, passwords: Mutex::default(), sent: Mutex::default() });
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let guests = Arc::clone(&shared);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (config, guest) = (Arc::clone(&config), Guest(Arc::clone(&guests)));
                tokio::spawn(async move {
                    if let Ok(session) = run_stream(config, stream, guest).await {
                        // Whoever hangs up ends it.
                        let _ = session.await;
                    }
                });
            }
        });
        Self { port, host_key, shared, _runtime: runtime }
    }

    /// The passwords that it was sent.
    pub fn passwords(&self) -> Vec<String> {
        self.shared.passwords.lock().unwrap().clone()
    }

    /// All that it was sent.
    pub fn sent(&self) -> Vec<Sent> {
        self.shared.sent.lock().unwrap().clone()
    }

    /// Its line of known_hosts.
    pub fn known_hosts_line(&self) -> String {
        format!("[127.0.0.1]:{} {}\n", self.port, self.host_key)
    }
}

/// A connection.
struct Guest(Arc<Shared>);

impl Handler for Guest {
    type Error = russh::Error;

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, russh::Error> {
        self.0.passwords.lock().unwrap().push(password.to_owned());
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            // One that is closed in the middle is not answered any more.
            let _ = shared.serve(channel).await;
        });
        Ok(())
    }
}

impl Shared {
    async fn serve(&self, mut channel: Channel<Msg>) -> Result<(), russh::Error> {
        let (mut input, mut asked) = (Vec::new(), None::<String>);
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Exec { command: bytes, .. } => {
                    let command = String::from_utf8_lossy(&bytes).into_owned();
                    if self.sudo != Sudo::Free && command.starts_with("sudo -n ") {
                        let err = b"sudo: a password is required\n".to_vec();
                        return send(&channel, Reply::Ends { out: Vec::new(), err, status: Some(1) }).await;
                    }
                    if let Some(prompt) = command.strip_prefix("sudo -k -S -p ") {
                        let prompt = prompt.split(' ').next().unwrap_or_default().to_owned();
                        channel.extended_data_bytes(1, prompt.clone().into_bytes()).await?;
                        asked = Some(prompt);
                    }
                }
                ChannelMsg::Data { data } => {
                    input.extend_from_slice(&data);
                    if let Some(end) = input.iter().position(|byte| *byte == b'\n').filter(|_| asked.is_some()) {
                        let rest = input.split_off(end + 1);
                        input.pop();
                        self.passwords.lock().unwrap().push(String::from_utf8_lossy(&input).into_owned());
                        input = rest;
                        if self.sudo == Sudo::AsksOnce {
                            let err = b"sudo: 1 incorrect password attempt\n".to_vec();
                            return send(&channel, Reply::Ends { out: Vec::new(), err, status: Some(1) }).await;
                        }
                        match asked.take().filter(|_| self.sudo == Sudo::AsksAgain) {
                            Some(prompt) => {
                                channel.extended_data_bytes(1, prompt.clone().into_bytes()).await?;
                                asked = Some(prompt);
                            }
                            None => channel.data_bytes(&b"bringup-is-root\n"[..]).await?,
                        }
                    }
                }
                ChannelMsg::Eof => break,
                _ => {}
            }
        }
        let reply = self.reply(&input);
        send(&channel, reply).await
    }

    fn reply(&self, input: &[u8]) -> Reply {
        let input = String::from_utf8_lossy(input).into_owned();
        let sent = Sent { input, passwords: self.passwords.lock().unwrap().clone() };
        self.sent.lock().unwrap().push(sent.clone());
        let script = Script::of(&sent.input).unwrap_or(Script { mark: String::new(), pieces: Vec::new() });
        let honest: Vec<Printed> = script.pieces.iter().map(|piece| self.honest.printed(piece)).collect();
        (self.way)(&sent, &script, &honest)
    }
}

async fn send(channel: &Channel<Msg>, reply: Reply) -> Result<(), russh::Error> {
    match reply {
        Reply::Ends { out, err, status } => {
            channel.data_bytes(out).await?;
            channel.extended_data_bytes(1, err).await?;
            if let Some(status) = status {
                channel.exit_status(status).await?;
            }
            channel.eof().await?;
            channel.close().await
        }
        Reply::Endless(piece) => loop {
            channel.data_bytes(piece).await?;
        },
        Reply::Nothing => std::future::pending().await,
    }
}
