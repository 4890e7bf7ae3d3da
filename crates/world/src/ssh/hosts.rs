//! The connections of a run: one a host, opened when it is first needed and again when it was lost.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bringup_core::ids::Target;
use bringup_core::site::{Connection, Site};
use bringup_core::text::known_hosts::{HostKey, KnownHosts, host_pattern};

use super::session::{Route, Session};
use super::{ClientConfig, Failure, HostConfig, Logins, resolve};
use crate::files::known_hosts_file;

type Place = Arc<tokio::sync::Mutex<Option<Arc<Session>>>>;

/// The hosts of a site as SSH reaches them.
#[derive(Debug)]
pub(crate) struct Hosts {
    site: Arc<Site>,
    config: ClientConfig,
    logins: Logins,
    places: Mutex<BTreeMap<Target, Place>>,
    /// Who showed a host key first.
    shown: Mutex<BTreeMap<String, Target>>,
}

impl Hosts {
    pub fn new(site: Arc<Site>, config: ClientConfig, logins: Logins) -> Self {
        Self { site, config, logins, places: Mutex::default(), shown: Mutex::default() }
    }

    /// How the site has a host reached.
    pub fn connection(&self, target: &Target) -> Option<&Connection> {
        match target {
            Target::Node(node) => self.site.node(node).map(|node| &node.connection),
            Target::Bmc(board) => {
                self.site.boards.iter().find(|other| other.name == *board).map(|board| &board.connection)
            }
            Target::Controller | Target::Cluster => None,
        }
    }

    /// The addresses of a host, of the name that is dialled in the end. A name that only a jump host knows stands for
    /// itself.
    pub async fn addresses(&self, connection: &Connection) -> Result<Vec<String>, Failure> {
        let route = self.route(connection);
        if route.via.is_none() {
            return resolve::addresses(&route.host, route.port).await;
        }
        // A name that the jump host knows need not be one here.
        let found = resolve::addresses(&route.host, route.port).await.unwrap_or_default();
        Ok(if found.is_empty() { vec![route.host] } else { found })
    }

    /// Whether a host's SSH server speaks, wherever it is dialled. Behind a jump host it is spoken to by a connection of
    /// its own: one that is open says nothing of a host whose power was cut a moment ago.
    ///
    /// # Errors
    /// Nobody got as far as the host.
    pub async fn answers(&self, connection: &Connection) -> Result<bool, Failure> {
        let route = self.route(connection);
        if route.via.is_none() {
            return resolve::banner(&route.host, route.port).await;
        }
        match Session::open(route, &self.known_hosts()?, &self.logins).await {
            Ok(_) => Ok(true),
            Err(failure) => failure.life(),
        }
    }

    fn known_hosts(&self) -> Result<KnownHosts, Failure> {
        let path = &self.site.settings.known_hosts;
        known_hosts_file::read(path).map_err(|error| Failure::Local(format!("{path} cannot be read: {error}")))
    }

    /// The connection to a host: the one that is open, or a new one.
    pub async fn session(&self, target: &Target, connection: &Connection) -> Result<Arc<Session>, Failure> {
        let place = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(places.entry(target.clone()).or_default())
        };
        // Whoever else wants this host waits for the one connection that is being opened.
        let mut place = place.lock().await;
        if let Some(session) = place.as_ref().filter(|session| !session.is_closed()) {
            return Ok(Arc::clone(session));
        }
        *place = None;
        let known = self.known_hosts()?;
        let session = Session::open(self.route(connection), &known, &self.logins).await;
        let key = session.as_ref().map_or_else(Failure::shown, |session| Some(session.host_key()));
        if let Some(other) = key.and_then(|key| self.twin(target, key)) {
            return Err(Failure::Twin(other.to_string()));
        }
        let session = Arc::new(session?);
        *place = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Another host of this site that shows the same key: the same machine under two names, most likely.
    fn twin(&self, target: &Target, key: &HostKey) -> Option<Target> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let first = shown.entry(key.to_string()).or_insert_with(|| target.clone());
        (first != target).then(|| first.clone())
    }

    /// Gives a connection up: what comes next opens another one.
    pub async fn forget(&self, target: &Target) {
        let place = self.places.lock().unwrap_or_else(PoisonError::into_inner).get(target).map(Arc::clone);
        if let Some(place) = place
            && let Some(session) = place.lock().await.take()
        {
            session.close().await;
        }
    }

    /// What of the user's SSH configuration is not done as it says, for the hosts of the site.
    pub fn not_followed(&self) -> BTreeSet<String> {
        let nodes = self.site.nodes.iter().map(|node| &node.connection);
        let all = nodes.chain(self.site.boards.iter().map(|board| &board.connection));
        let mut not_followed = BTreeSet::new();
        for connection in all.filter(|connection| !connection.local) {
            let config = self.config.of(&connection.host, &connection.user.value);
            for jump in config.proxy_jump.iter().flatten() {
                let (user, host, _) = destination(jump);
                let config = self.config.of(host, user.unwrap_or_default());
                if config.proxy_jump.is_some_and(|jumps| !jumps.is_empty()) {
                    not_followed.insert(format!("{host}: a jump host's own ProxyJump is not followed"));
                }
                not_followed.extend(config.not_followed);
            }
            not_followed.extend(config.not_followed);
        }
        not_followed
    }

    fn route(&self, connection: &Connection) -> Route {
        let config = self.config.of(&connection.host, &connection.user.value);
        let user = config.user.as_ref().filter(|_| !connection.user.stated).unwrap_or(&connection.user.value);
        let port = connection.port.stated.then_some(connection.port.value);
        let mut route = self.route_of(&connection.host, port, user, &config);
        route.key_files.splice(0..0, connection.private_key_file.iter().map(PathBuf::from));
        route.password = connection.password.clone().or_else(|| self.logins.password.clone());
        route.become_password = connection.become_password.clone().or_else(|| self.logins.become_password.clone());
        let mut via = None;
        for jump in config.proxy_jump.unwrap_or_default() {
            let (user, host, port) = destination(&jump);
            let config = self.config.of(host, user.unwrap_or_default());
            let user = user.map(str::to_owned).or_else(|| config.user.clone()).or_else(|| std::env::var("USER").ok());
            let route = self.route_of(host, port, &user.unwrap_or_default(), &config);
            via = Some(Box::new(Route { via, ..route }));
        }
        Route { via, ..route }
    }

    fn route_of(&self, host: &str, port: Option<u16>, user: &str, config: &HostConfig) -> Route {
        let dialled = config.host_name.clone().unwrap_or_else(|| host.to_owned());
        let to = port.or(config.port).unwrap_or(22);
        let mut names = vec![host_pattern(host, port.unwrap_or(22)), host_pattern(&dialled, to)];
        names.extend(config.host_key_alias.iter().map(|alias| alias.to_ascii_lowercase()));
        names.dedup();
        Route {
            host: dialled,
            port: to,
            user: user.to_owned(),
            names,
            known_hosts: config.known_hosts.clone(),
            key_files: config.identity_files.clone(),
            only_key_files: config.identities_only,
            agent: match config.identity_agent.as_deref() {
                None | Some("SSH_AUTH_SOCK") => self.logins.agent.clone(),
                Some("none") => None,
                Some(path) => Some(path.into()),
            },
            password: None,
            become_password: None,
            via: None,
        }
    }
}

/// `user@host:port`, of which only the host has to be there, with or without `ssh://` before it.
fn destination(text: &str) -> (Option<&str>, &str, Option<u16>) {
    let text = text.strip_prefix("ssh://").unwrap_or(text);
    let (user, rest) = match text.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, text),
    };
    match rest.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (user, host, port.parse().ok()),
        _ => (user, rest, None),
    }
}

#[cfg(test)]
mod tests {
    use super::destination;

    #[test]
    fn a_jump_host_may_have_a_user_and_a_port() {
        for (text, parts) in [
            ("jump", (None, "jump", None)),
            ("me@jump:2222", (Some("me"), "jump", Some(2222))),
            ("ssh://jump:22", (None, "jump", Some(22))),
            ("me@[fd00::1]:2222", (Some("me"), "[fd00::1]", Some(2222))),
            ("fd00::1", (None, "fd00::1", None)),
        ] {
            assert_eq!(destination(text), parts, "{text}");
        }
    }
}
