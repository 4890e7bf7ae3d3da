//! Takes access to a cluster out of a kubeconfig, and refuses what else is in it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{ApiServer, ClusterAccess, Identity};
use crate::text::document::{Document, Malformed};
use crate::text::secret::Secret;

/// Why a kubeconfig is not used. It names fields and places, and shows nothing of what is in them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It is not YAML, or more of it than is read.
    Yaml(Malformed),
    /// A field that is not taken over: with it the file would say something else than without.
    Field {
        /// Where: `users[0].user.exec`.
        path: String,
    },
    /// A field that Kubernetes does not know.
    UnknownField {
        /// In what.
        path: String,
    },
    /// A field that has to be there.
    Missing {
        /// Where.
        path: String,
    },
    /// A field with another value than it may have.
    Invalid {
        /// Where.
        path: String,
        /// What it may be.
        expected: &'static str,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yaml(malformed) => malformed.fmt(f),
            Self::Field { path } => write!(f, "unsupported field `{path}`"),
            Self::UnknownField { path } if path.is_empty() => f.write_str("unknown field at the top level"),
            Self::UnknownField { path } => write!(f, "unknown field in `{path}`"),
            Self::Missing { path } => write!(f, "missing field `{path}`"),
            Self::Invalid { path, expected } if path.is_empty() => write!(f, "not a kubeconfig: expected {expected}"),
            Self::Invalid { path, expected } => write!(f, "invalid `{path}`: expected {expected}"),
        }
    }
}

impl std::error::Error for Refused {}

impl From<Malformed> for Refused {
    fn from(malformed: Malformed) -> Self {
        Self::Yaml(malformed)
    }
}

/// Fields that kubectl knows, which can therefore be named; any other name may be part of a secret out of its place.
const KNOWN: [&str; 40] = [
    "apiVersion",
    "as",
    "as-groups",
    "as-uid",
    "as-user-extra",
    "auth-provider",
    "certificate-authority",
    "certificate-authority-data",
    "client-certificate",
    "client-certificate-data",
    "client-key",
    "client-key-data",
    "cluster",
    "clusters",
    "colors",
    "context",
    "contexts",
    "current-context",
    "disable-compression",
    "exec",
    "extensions",
    "impersonate",
    "impersonate-groups",
    "impersonate-uid",
    "impersonate-user-extra",
    "insecure-skip-tls-verify",
    "kind",
    "name",
    "namespace",
    "password",
    "preferences",
    "proxy-url",
    "server",
    "tls-server-name",
    "token",
    "tokenFile",
    "token-file",
    "user",
    "username",
    "users",
];

impl ClusterAccess {
    /// Takes it out of the kubeconfig that k3s wrote for its administrator.
    ///
    /// # Errors
    /// When anything is in it beyond one cluster with its authority and one user with a certificate or a token.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let root = Document::of_target(text)?.unwrap_or(Document::Map(Vec::new()));
        let config = Fields::of(&root, String::new())?;
        config.only(&["apiVersion", "kind", "preferences", "clusters", "contexts", "users", "current-context"])?;
        config.is("apiVersion", "v1", "v1")?;
        config.is("kind", "Config", "Config")?;
        if let Some(preferences) = config.get("preferences").filter(|preferences| !preferences.is_null()) {
            Fields::of(preferences, "preferences".to_owned())?.only(&[])?;
        }
        let (cluster_name, cluster) = config.one("clusters", "cluster")?;
        let (user_name, user) = config.one("users", "user")?;
        let (context_name, context) = config.one("contexts", "context")?;
        // Which namespace is meant where none is named matters to nobody who gets this.
        context.only(&["cluster", "user", "namespace"])?;
        context.is("cluster", cluster_name, "the name of the cluster")?;
        context.is("user", user_name, "the name of the user")?;
        config.is("current-context", context_name, "the name of the context")?;
        Self::of_fields(&cluster, &user)
    }

    /// Of an entry's `cluster` and `user`.
    pub(super) fn of_entry(cluster: &Document, user: &Document) -> Result<Self, Refused> {
        Self::of_fields(&Fields::of(cluster, "cluster".to_owned())?, &Fields::of(user, "user".to_owned())?)
    }

    fn of_fields(cluster: &Fields<'_>, user: &Fields<'_>) -> Result<Self, Refused> {
        cluster.only(&["server", "certificate-authority-data"])?;
        user.only(&["client-certificate-data", "client-key-data", "token"])?;
        let server =
            ApiServer::parse(cluster.text("server")?).map_err(|_| cluster.invalid("server", "https://HOST:PORT"))?;
        let authority = cluster.pem("certificate-authority-data", "CERTIFICATE")?.to_owned();
        let has = |name| user.get(name).is_some();
        let identity = match (has("client-certificate-data") || has("client-key-data"), has("token")) {
            (true, true) => return Err(user.invalid("token", "either a client certificate or a token")),
            (false, true) => Identity::Token(Secret::new(token(user)?)),
            (_, false) => Identity::Certificate {
                certificate: user.pem("client-certificate-data", "CERTIFICATE")?.to_owned(),
                key: Secret::new(user.pem("client-key-data", "PRIVATE KEY")?),
            },
        };
        Ok(Self { server, authority, identity })
    }
}

/// A bearer token: it becomes part of an HTTP header.
fn token<'a>(user: &Fields<'a>) -> Result<&'a str, Refused> {
    let token = user.text("token")?;
    if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(token);
    }
    Err(user.invalid("token", "printable characters without spaces"))
}

/// A map of a kubeconfig, and where it is.
struct Fields<'a> {
    path: String,
    entries: &'a [(String, Document)],
}

impl<'a> Fields<'a> {
    fn of(document: &'a Document, path: String) -> Result<Self, Refused> {
        match document {
            Document::Map(entries) => Ok(Self { path, entries }),
            _ => Err(Refused::Invalid { path, expected: "a map" }),
        }
    }

    fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn invalid(&self, name: &str, expected: &'static str) -> Refused {
        Refused::Invalid { path: self.path(name), expected }
    }

    fn get(&self, name: &str) -> Option<&'a Document> {
        self.entries.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Refuses any field but these.
    fn only(&self, names: &[&str]) -> Result<(), Refused> {
        match self.entries.iter().find(|(key, _)| !names.contains(&key.as_str())) {
            None => Ok(()),
            Some((key, _)) if KNOWN.contains(&key.as_str()) => Err(Refused::Field { path: self.path(key) }),
            Some(_) => Err(Refused::UnknownField { path: self.path.clone() }),
        }
    }

    fn text(&self, name: &str) -> Result<&'a str, Refused> {
        let value = self.get(name).ok_or_else(|| Refused::Missing { path: self.path(name) })?;
        value.as_text().ok_or_else(|| self.invalid(name, "a string"))
    }

    /// Refuses a field with another text.
    fn is(&self, name: &str, wanted: &str, expected: &'static str) -> Result<(), Refused> {
        if self.text(name)? == wanted { Ok(()) } else { Err(self.invalid(name, expected)) }
    }

    /// The one entry of a list: its name and what it holds.
    fn one(&self, list: &str, field: &str) -> Result<(&'a str, Fields<'a>), Refused> {
        let value = self.get(list).ok_or_else(|| Refused::Missing { path: self.path(list) })?;
        let Document::List(items) = value else { return Err(self.invalid(list, "a list")) };
        let [item] = items.as_slice() else { return Err(self.invalid(list, "a list of one entry")) };
        let entry = Fields::of(item, self.path(&format!("{list}[0]")))?;
        entry.only(&["name", field])?;
        let inner = entry.get(field).ok_or_else(|| Refused::Missing { path: entry.path(field) })?;
        Ok((entry.text("name")?, Fields::of(inner, entry.path(field))?))
    }

    /// A field that holds PEM of this kind in base64.
    fn pem(&self, name: &str, kind: &str) -> Result<&'a str, Refused> {
        let data = self.text(name)?;
        let bytes = STANDARD.decode(data).map_err(|_| self.invalid(name, "PEM in base64"))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| self.invalid(name, "PEM in base64"))?;
        let begins = text.lines().any(|line| {
            let label = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.trim_end().strip_suffix("-----"));
            label.is_some_and(|label| label == kind || label.ends_with(&format!(" {kind}")))
        });
        if begins { Ok(data) } else { Err(self.invalid(name, "PEM in base64")) }
    }
}
