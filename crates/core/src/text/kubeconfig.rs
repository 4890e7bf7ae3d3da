//! What gives access to a cluster, out of a kubeconfig.
//!
//! A kubeconfig can run programs, send files of the controller and lead through proxies. One of a target is therefore
//! never handed on: [`ClusterAccess`] takes over what is needed and refuses the rest, and all that `kube`, helm and the
//! user's kubectl get is made from it.

mod read;
mod users;

use std::fmt;
use std::net::Ipv6Addr;

use serde_json::{Value, json};

pub use self::read::Refused;
pub use self::users::{Entry, NotAKubeconfig, UserConfig};
use crate::ids::Sha256;
use crate::text::document::Document;
use crate::text::secret::Secret;
use crate::text::value_sums::values_sha256;

/// Where an API server is: `https://HOST:PORT`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiServer {
    host: String,
    port: u16,
}

impl ApiServer {
    /// Reads `https://HOST:PORT`.
    ///
    /// # Errors
    /// When it is anything else: another scheme, a login, a path, no port.
    pub fn parse(url: &str) -> Result<Self, InvalidServer> {
        let rest = url.strip_prefix("https://").ok_or(InvalidServer)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = rest.rsplit_once(':').ok_or(InvalidServer)?;
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port > 0).ok_or(InvalidServer)?;
        let host = match host.strip_prefix('[') {
            Some(host) => host.strip_suffix(']').filter(|host| host.parse::<Ipv6Addr>().is_ok()),
            None => Some(host).filter(|host| is_name(host)),
        };
        Ok(Self { host: host.ok_or(InvalidServer)?.to_owned(), port })
    }

    /// The same port of another host: a name or an address.
    ///
    /// # Errors
    /// When it is neither.
    pub fn at(&self, host: &str) -> Result<Self, InvalidServer> {
        if !is_name(host) && host.parse::<Ipv6Addr>().is_err() {
            return Err(InvalidServer);
        }
        Ok(Self { host: host.to_owned(), port: self.port })
    }
}

/// A DNS name or an IPv4 address.
fn is_name(host: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !host.is_empty() && host.len() <= 253 && !host.starts_with(['-', '.']) && host.bytes().all(good)
}

impl fmt::Display for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "https://[{host}]:{port}") } else { write!(f, "https://{host}:{port}") }
    }
}

/// It is not `https://HOST:PORT`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidServer;

impl fmt::Display for InvalidServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected https://HOST:PORT")
    }
}

impl std::error::Error for InvalidServer {}

/// As whom one comes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Identity {
    /// With a certificate. Both are PEM in base64, as they stand in a kubeconfig.
    Certificate {
        /// The certificate.
        certificate: String,
        /// Its private key.
        key: Secret,
    },
    /// With a bearer token.
    Token(Secret),
}

impl Identity {
    /// It as fields of a kubeconfig's user: secrets in the clear.
    pub fn fields(&self) -> Value {
        match self {
            Self::Certificate { certificate, key } => {
                json!({"client-certificate-data": certificate, "client-key-data": key.expose()})
            }
            Self::Token(token) => json!({"token": token.expose()}),
        }
    }
}

/// What gives access to a cluster: where it is, how it is known, and as whom one comes. Nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClusterAccess {
    server: ApiServer,
    /// Certificates that vouch for the server: PEM in base64.
    authority: String,
    identity: Identity,
}

impl ClusterAccess {
    /// Where it is.
    pub fn server(&self) -> &ApiServer {
        &self.server
    }

    /// The certificates that vouch for the server: PEM in base64.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// As whom one comes.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The same, at another host.
    ///
    /// # Errors
    /// When it is neither a name nor an address.
    pub fn at(self, host: &str) -> Result<Self, InvalidServer> {
        Ok(Self { server: self.server.at(host)?, ..self })
    }

    /// Sum of authority and identity: another one means another cluster or other credentials.
    pub fn sha256(&self) -> Sha256 {
        values_sha256(&json!([{"certificate-authority-data": self.authority}, self.identity.fields()]))
    }

    /// A kubeconfig with this and nothing else.
    pub fn to_kubeconfig(&self) -> Secret {
        const NAME: &str = "default";
        let cluster = json!({"server": self.server.to_string(), "certificate-authority-data": self.authority});
        Secret::new(
            json!({
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": NAME, "cluster": cluster}],
                "users": [{"name": NAME, "user": self.identity.fields()}],
                "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
                "current-context": NAME,
            })
            .to_string(),
        )
    }

    /// The `cluster` of a kubeconfig's entry.
    fn cluster(&self) -> Document {
        Document::Map(vec![
            ("certificate-authority-data".to_owned(), Document::text(&self.authority)),
            ("server".to_owned(), Document::text(self.server.to_string())),
        ])
    }

    /// The `user` of a kubeconfig's entry.
    fn user(&self) -> Document {
        let field = |name: &str, value: &str| (name.to_owned(), Document::text(value));
        Document::Map(match &self.identity {
            Identity::Certificate { certificate, key } => {
                vec![field("client-certificate-data", certificate), field("client-key-data", key.expose())]
            }
            Identity::Token(token) => vec![field("token", token.expose())],
        })
    }
}

#[cfg(test)]
mod tests;
