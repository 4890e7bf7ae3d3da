//! A host: how one action reaches it, and what is asked of it from outside.

use std::sync::Arc;

use bringup_core::ids::Target;
use bringup_core::run::fault::{Cause, Fault};
use bringup_core::site::Connection;
use bringup_core::text::known_hosts::HostKey;

use crate::local_shell;
use crate::shell::{Script, Section};
use crate::ssh::{Failure, Hosts, Session};

/// A target that the site does not name cannot be reached.
pub(crate) fn unknown(target: &Target, doing: impl Into<String>) -> Fault {
    Fault::new(Cause::Failed, target.clone(), doing)
        .said("the site does not say how it is reached")
        .next("add it to the inventory")
}

/// A node, as one action reaches it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub hosts: &'a Hosts,
    pub target: &'a Target,
    pub connection: &'a Connection,
    /// The action, in words.
    pub doing: &'a str,
}

impl Place<'_> {
    /// Runs one piece of script as root to a good end.
    pub async fn piece(self, piece: &str) -> Result<Section, Fault> {
        let Self { hosts, target, connection, doing } = self;
        let mut script = Script::new();
        script.add(piece);
        let sections = run(hosts, target, connection, &script).await.map_err(|failure| failure.fault(target, doing))?;
        let lost =
            || Fault::new(Cause::Lost, target.clone(), doing).said("the connection was closed before the end was told");
        let section = sections.into_iter().flatten().next().ok_or_else(lost)?;
        if section.status == 0 {
            return Ok(section);
        }
        let said = if section.err.is_empty() { section.out } else { section.err };
        Err(Fault::new(Cause::Failed, target.clone(), doing)
            .said(tail(&said))
            .said(format!("exit status {}", section.status))
            .next("fix what the last lines say, then run again"))
    }

    /// The connection to it.
    pub async fn session(self) -> Result<Arc<Session>, Fault> {
        let session = self.hosts.session(self.target, self.connection).await;
        session.map_err(|failure| failure.fault(self.target, self.doing))
    }
}

/// The last lines, which say why.
pub(crate) fn tail(said: &str) -> String {
    const LINES: usize = 12;
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// A host as it is seen without a login.
#[derive(Clone, Copy)]
pub(crate) struct Outside<'a> {
    pub hosts: &'a Hosts,
    pub target: &'a Target,
    pub connection: &'a Connection,
}

impl Outside<'_> {
    /// What its name resolves to.
    pub async fn addresses(self) -> Result<Vec<String>, Fault> {
        if self.connection.local {
            return Ok(vec!["127.0.0.1".to_owned()]);
        }
        let found = self.hosts.addresses(self.connection).await;
        found.map_err(|failure| failure.fault(self.target, "find its addresses"))
    }

    /// Whether its SSH server answers. An open connection says nothing of a host whose power was cut a moment ago.
    pub async fn answers(self) -> Result<bool, Fault> {
        if self.connection.local {
            return Ok(true);
        }
        let answers = self.hosts.answers(self.connection).await;
        answers.map_err(|failure| failure.fault(self.target, "see whether it answers"))
    }

    /// The keys that its SSH server shows.
    pub async fn host_keys(self) -> Result<Vec<HostKey>, Fault> {
        match self.hosts.session(self.target, self.connection).await {
            Ok(session) => Ok(vec![session.host_key().clone()]),
            Err(failure) => match failure.shown() {
                Some(shown) => Ok(vec![shown.clone()]),
                None => Err(failure.fault(self.target, "see its host key")),
            },
        }
    }
}

/// Runs a script as root on a host.
pub(crate) async fn run(
    hosts: &Hosts,
    target: &Target,
    connection: &Connection,
    script: &Script,
) -> Result<Vec<Option<Section>>, Failure> {
    if connection.local {
        return local_shell::script(script).await;
    }
    let session = hosts.session(target, connection).await?;
    let result = session.script(script).await;
    if matches!(result, Err(Failure::Lost(_))) {
        hosts.forget(target).await;
    }
    result
}
