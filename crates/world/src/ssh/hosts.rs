//! The connections of a run: one a host, opened when it is first needed and again when it was lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bringup_core::known_hosts::host_pattern;
use bringup_core::names::Target;
use bringup_core::site::{Connection, Site};

use super::session::{Route, Session};
use super::{Failure, Logins};
use crate::known_hosts_file;

type Place = Arc<tokio::sync::Mutex<Option<Arc<Session>>>>;

/// The hosts of a site as SSH reaches them.
#[derive(Debug)]
pub(crate) struct Hosts {
    site: Arc<Site>,
    logins: Logins,
    places: Mutex<BTreeMap<Target, Place>>,
}

impl Hosts {
    pub fn new(site: Arc<Site>, logins: Logins) -> Self {
        Self { site, logins, places: Mutex::default() }
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
        let known = known_hosts_file::read(&self.site.settings.known_hosts)
            .map_err(|error| Failure::Unreachable(format!("known_hosts cannot be read: {error}")))?;
        let session = Arc::new(Session::open(self.route(connection), &[known], &self.logins).await?);
        *place = Some(Arc::clone(&session));
        Ok(session)
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

    fn route(&self, connection: &Connection) -> Route {
        Route {
            host: connection.host.clone(),
            port: connection.port,
            user: connection.user.clone(),
            names: vec![host_pattern(&connection.host, connection.port)],
            key_files: connection.private_key_file.iter().map(Into::into).collect(),
            password: connection.password.clone(),
            become_password: connection.become_password.clone().or_else(|| self.logins.become_password.clone()),
        }
    }
}
