//! Who we are: keys from an agent or from files, or a password.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bringup_core::text::known_hosts::HostKey;
use bringup_core::text::secret::Secret;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg};

use super::Failure;
use super::host_key::HostKeyVerifier;
use crate::files::site_files;

/// How many keys are offered: sshd closes a connection after six attempts (`MaxAuthTries`).
const KEYS_OFFERED: usize = 5;

/// Asks the operator for the passphrase of a key file; `None` where nobody can be asked.
pub type AskPassphrase = Box<dyn Fn(&Path) -> Option<Secret> + Send + Sync>;

/// What a run may log in with, beside what the site says of a host.
pub struct Logins {
    /// Password for all hosts that the site gives none (`-k`).
    pub password: Option<Secret>,
    /// Password for sudo on all hosts that the site gives none (`-K`).
    pub become_password: Option<Secret>,
    /// The agent's socket.
    pub agent: Option<PathBuf>,
    /// Key files that are tried if they are there.
    pub usual_keys: Vec<PathBuf>,
    /// Asks for a passphrase.
    pub ask_passphrase: AskPassphrase,
    /// Keys that have been read, so that no passphrase is asked for twice.
    read: Mutex<BTreeMap<PathBuf, Option<Arc<PrivateKey>>>>,
}

impl std::fmt::Debug for Logins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logins").finish_non_exhaustive()
    }
}

impl Logins {
    /// Those of a user: the agent that the environment names, the usual files below `~/.ssh`.
    pub fn of_user(home: &str, agent: Option<String>, ask_passphrase: AskPassphrase) -> Self {
        let file = |name: &str| Path::new(home).join(".ssh").join(name);
        Self {
            password: None,
            become_password: None,
            agent: agent.filter(|path| !path.is_empty()).map(PathBuf::from),
            usual_keys: ["id_ed25519", "id_ecdsa", "id_rsa"].map(file).into(),
            ask_passphrase,
            read: Mutex::default(),
        }
    }

    /// Reads a key file, asking for its passphrase if it has one.
    fn key(&self, path: &Path) -> Result<Option<Arc<PrivateKey>>, String> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = read.get(path) {
            return Ok(key.clone());
        }
        let text = site_files::read_text(path).map_err(|error| error.to_string())?;
        let key = match russh::keys::decode_secret_key(&text, None) {
            Ok(key) => Some(key),
            Err(russh::keys::Error::KeyIsEncrypted) => match (self.ask_passphrase)(path) {
                Some(passphrase) => Some(
                    russh::keys::decode_secret_key(&text, Some(passphrase.expose()))
                        .map_err(|_| "its passphrase is another one".to_owned())?,
                ),
                None => None,
            },
            Err(error) => return Err(error.to_string()),
        };
        let key = key.map(Arc::new);
        read.insert(path.to_owned(), key.clone());
        Ok(key)
    }
}

/// What is tried on one host, in this order: the key file that its site or configuration names, the agent's keys, the
/// usual files, the password.
pub(super) struct Identity<'a> {
    pub user: &'a str,
    pub named_keys: &'a [PathBuf],
    pub agent: Option<&'a Path>,
    pub only_named: bool,
    pub password: Option<&'a Secret>,
}

/// Logs in.
pub(super) async fn log_in(
    handle: &mut Handle<HostKeyVerifier>,
    identity: &Identity<'_>,
    logins: &Logins,
    shown: &HostKey,
) -> Result<(), Failure> {
    let mut attempt = Attempt { handle, user: identity.user, offered: Vec::new(), tried: Vec::new() };
    let has_password = identity.password.is_some();
    for path in identity.named_keys {
        if attempt.file(path, logins, true).await? {
            return Ok(());
        }
    }
    if let Some(agent) = identity.agent.filter(|_| !identity.only_named)
        && attempt.agent(agent).await?
    {
        return Ok(());
    }
    // As OpenSSH has it: where no file is named, the usual ones are meant.
    for path in logins.usual_keys.iter().filter(|_| !identity.only_named || identity.named_keys.is_empty()) {
        if path.exists() && attempt.file(path, logins, !has_password).await? {
            return Ok(());
        }
    }
    if let Some(password) = identity.password
        && attempt.password(password).await?
    {
        return Ok(());
    }
    let mut tried = attempt.tried;
    if tried.is_empty() {
        tried.push("there is no key to try: no agent, no key file".to_owned());
    }
    Err(Failure::Denied { shown: shown.clone(), user: identity.user.to_owned(), tried })
}

struct Attempt<'a> {
    handle: &'a mut Handle<HostKeyVerifier>,
    user: &'a str,
    /// Public keys that were offered, each once.
    offered: Vec<String>,
    tried: Vec<String>,
}

fn lost(error: &russh::Error) -> Failure {
    Failure::Lost(format!("while logging in: {error}"))
}

impl Attempt<'_> {
    /// Whether this key is to be offered: not twice, and not so many that the server hangs up.
    fn may_offer(&mut self, public: &russh::keys::PublicKey, what: &str) -> bool {
        let Ok(text) = public.to_openssh() else { return false };
        let text: String = text.split(' ').take(2).collect::<Vec<_>>().join(" ");
        if self.offered.contains(&text) {
            return false;
        }
        if self.offered.len() >= KEYS_OFFERED {
            self.tried.push(format!("{what}: not tried, {KEYS_OFFERED} keys were before it"));
            return false;
        }
        self.offered.push(text);
        true
    }

    /// What came of one attempt. sshd refuses a key that it does not know with a word; it closes the connection after one
    /// that it takes, when PAM keeps the account out.
    fn let_in(&mut self, result: &AuthResult, what: &str) -> Result<bool, Failure> {
        if result.success() {
            return Ok(true);
        }
        if self.handle.is_closed() {
            self.tried.push(format!("{what}: the connection was closed"));
            return Err(Failure::TurnedAway { user: self.user.to_owned(), tried: std::mem::take(&mut self.tried) });
        }
        self.tried.push(format!("{what}: not accepted"));
        Ok(false)
    }

    async fn hash(&self, public: &russh::keys::PublicKey) -> Option<HashAlg> {
        if !public.algorithm().is_rsa() {
            return None;
        }
        // A server that does not say which hashes it takes is an old one, and takes SHA-256 if any.
        self.handle.best_supported_rsa_hash().await.ok().flatten().unwrap_or(Some(HashAlg::Sha256))
    }

    async fn file(&mut self, path: &Path, logins: &Logins, told: bool) -> Result<bool, Failure> {
        let what = path.display().to_string();
        let key = match logins.key(path) {
            Ok(Some(key)) => key,
            Ok(None) => {
                self.tried.push(format!("{what}: has a passphrase, and nobody could be asked for it"));
                return Ok(false);
            }
            Err(why) => {
                if told {
                    self.tried.push(format!("{what}: {why}"));
                }
                return Ok(false);
            }
        };
        if !self.may_offer(key.public_key(), &what) {
            return Ok(false);
        }
        let hash = self.hash(key.public_key()).await;
        let key = PrivateKeyWithHashAlg::new(key, hash);
        let result = self.handle.authenticate_publickey(self.user, key).await.map_err(|error| lost(&error))?;
        self.let_in(&result, &what)
    }

    async fn agent(&mut self, socket: &Path) -> Result<bool, Failure> {
        let identities = async {
            let mut agent = AgentClient::connect_uds(socket).await?;
            let identities = agent.request_identities().await?;
            Ok::<_, russh::keys::Error>((agent, identities))
        };
        let (mut agent, identities) = match identities.await {
            Ok(found) => found,
            Err(error) => {
                self.tried.push(format!("agent {}: {error}", socket.display()));
                return Ok(false);
            }
        };
        if identities.is_empty() {
            self.tried.push("agent: holds no key".to_owned());
        }
        for identity in identities {
            let AgentIdentity::PublicKey { key, comment } = identity else { continue };
            let what = format!("agent, {comment}");
            if !self.may_offer(&key, &what) {
                continue;
            }
            let hash = self.hash(&key).await;
            match self.handle.authenticate_publickey_with(self.user, key, hash, &mut agent).await {
                Ok(result) => {
                    if self.let_in(&result, &what)? {
                        return Ok(true);
                    }
                }
                Err(error) => self.tried.push(format!("{what}: the agent does not sign: {error}")),
            }
        }
        Ok(false)
    }

    async fn password(&mut self, password: &Secret) -> Result<bool, Failure> {
        let result =
            self.handle.authenticate_password(self.user, password.expose()).await.map_err(|error| lost(&error))?;
        self.let_in(&result, "password")
    }
}
