//! A host's SSH identity is in the user's known_hosts.

use std::time::Duration;

use super::renewed;
use crate::contract::bmc::{self, FlashMark};
use crate::contract::controller::{EditKnownHosts, KnownHostLines};
use crate::contract::{Asked, Contract, Controller, KnownHostsState, node};
use crate::engine::resource::{Applied, Renewal, Resource};
use crate::engine::{Act, Look};
use crate::ids::{BoardName, Label, NodeName, Slot, Span, Target};
use crate::run::change::{Change, Diff, Reason};
use crate::run::fault::{Cause, Fault};
use crate::run::hazard::Hazard;
use crate::sabotage::Guard;
use crate::text::known_hosts::{HostKey, host_pattern};

/// A machine that is dialled over SSH.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Host {
    /// A node.
    Node(NodeName),
    /// A BMC.
    Bmc(BoardName),
}

impl Host {
    /// It, among all targets.
    fn target(&self) -> Target {
        match self {
            Self::Node(node) => node.target(),
            Self::Bmc(board) => board.target(),
        }
    }

    fn questions(&self) -> Vec<Asked> {
        match self {
            Self::Node(node) => vec![node.asks(node::Addresses {}), node.asks(node::HostKeys {})],
            Self::Bmc(board) => vec![board.asks(bmc::Addresses {}), board.asks(bmc::HostKeys {})],
        }
    }

    /// The keys that it shows now.
    async fn keys(&self, look: &Look<'_>) -> Result<Vec<HostKey>, Fault> {
        match self {
            Self::Node(node) => look.ask(node, node::HostKeys {}).await,
            Self::Bmc(board) => look.ask(board, bmc::HostKeys {}).await,
        }
    }

    async fn addresses(&self, look: &Look<'_>) -> Result<Vec<String>, Fault> {
        match self {
            Self::Node(node) => look.ask(node, node::Addresses {}).await,
            Self::Bmc(board) => look.ask(board, bmc::Addresses {}).await,
        }
    }
}

/// A host whose keys are recorded under its name and its addresses.
#[derive(Clone, Debug)]
pub struct KnownHost {
    /// Whether it is the control plane, without which nobody can speak to the cluster.
    pub leads_to_cluster: bool,
    /// Whose identity it is.
    pub owner: Host,
    /// The name it is dialled by.
    pub host: String,
    /// Its SSH port.
    pub port: u16,
    /// The user's known_hosts file.
    pub file: String,
    /// Fingerprints that the site pins.
    pub pinned: Vec<String>,
    /// Where its BMC tells which key was made for it when it was flashed.
    pub made_at: Option<(BoardName, Slot)>,
    /// A changed key may replace the recorded one.
    pub accept_changed: bool,
}

/// What a look finds.
#[derive(Debug)]
pub struct Seen {
    /// The host's names in known_hosts: the one it is dialled by first.
    names: Vec<String>,
    recorded: KnownHostsState,
    /// What the host shows; `None` where it will be made anew and its key with it.
    shown: Option<Vec<HostKey>>,
    /// The key that was made for it when it was flashed.
    made: Option<HostKey>,
}

/// A host's names in known_hosts: the one it is dialled by, then its addresses.
pub(super) fn names(host: &str, port: u16, addresses: &[String]) -> Vec<String> {
    let mut names = vec![host_pattern(host, port)];
    for address in addresses {
        let name = host_pattern(address, port);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Whether a recorded key is not the host's any more. A host shows one key and may have others of other kinds, which
/// were recorded with the one that it shows; where none of them is shown, it is another host.
fn is_stale(key: &HostKey, recorded: &[HostKey], shown: &[HostKey]) -> bool {
    let same_host = recorded.iter().any(|key| shown.contains(key));
    !shown.contains(key) && (!same_host || shown.iter().any(|other| other.kind == key.kind))
}

/// Makes these keys stand for these names, and takes away those that are stale by them. Looks anew before each try: others write the file too.
pub(super) async fn record(act: &Act<'_>, file: &str, names: &[String], keys: &[HostKey]) -> Result<(), Fault> {
    const TRIES: u32 = 6;
    for attempt in 1.. {
        let question = KnownHostLines { path: file.to_owned(), names: names.to_vec() };
        let recorded = act.look().ask(&Controller, question).await?;
        let mut remove = Vec::new();
        let mut add = Vec::new();
        for name in names {
            let present = recorded.keys.get(name).map(Vec::as_slice).unwrap_or_default();
            let stays: Vec<&HostKey> = present.iter().filter(|key| !is_stale(key, present, keys)).collect();
            if stays.len() < present.len() {
                remove.push(name.clone());
                add.extend(stays.iter().map(|key| (name.clone(), (*key).clone())));
            }
            add.extend(keys.iter().filter(|key| !stays.contains(key)).map(|key| (name.clone(), key.clone())));
        }
        if remove.is_empty() && add.is_empty() {
            return Ok(());
        }
        let expect = act.guards().hold(Guard::KnownHostsWriter).then_some(recorded.version);
        match act.act(&Controller, EditKnownHosts { path: file.to_owned(), remove, add, expect }).await {
            Err(fault) if fault.cause == Cause::Stale && attempt < TRIES => {}
            result => return result,
        }
    }
    Ok(())
}

fn fingerprints(keys: &[HostKey]) -> String {
    keys.iter().map(HostKey::fingerprint).collect::<Vec<_>>().join(", ")
}

impl KnownHost {
    /// Whether one of these keys is vouched for: by the site, or because it was made for the host when it was flashed.
    fn vouched_for(&self, seen: &Seen, shown: &[HostKey]) -> bool {
        let pinned = shown.iter().any(|key| self.pinned.contains(&key.fingerprint()));
        pinned || seen.made.as_ref().is_some_and(|made| shown.contains(made))
    }

    /// Whether what is shown may replace what is recorded.
    fn refusal(&self, seen: &Seen, shown: &[HostKey]) -> Option<Reason> {
        if !self.pinned.is_empty() && !shown.iter().any(|key| self.pinned.contains(&key.fingerprint())) {
            return Some(Reason::new(
                format!("{} shows {}; the site pins {}", self.host, fingerprints(shown), self.pinned.join(", ")),
                "find out who answers there; if the key is right, pin it in ssh_host_key_fingerprints",
            ));
        }
        let recorded = seen.standing()?;
        let same = recorded.1.iter().any(|key| shown.contains(key));
        if same || self.vouched_for(seen, shown) || self.accept_changed {
            return None;
        }
        Some(Reason::new(
            format!(
                "the host key of {} changed: known_hosts has {} for {}, it shows {}",
                self.host,
                fingerprints(recorded.1),
                recorded.0,
                fingerprints(shown)
            ),
            "find out why; if it is the right machine, run again with --accept-changed-host-keys",
        ))
    }

    /// The keys that would be believed although nobody vouches for them and known_hosts does not have them.
    fn unknown<'a>(&self, seen: &'a Seen) -> impl Iterator<Item = &'a HostKey> {
        let shown = seen.shown.as_deref().unwrap_or_default();
        let known = seen.standing().is_some_and(|(_, recorded)| recorded.iter().any(|key| shown.contains(key)));
        let believed = known || self.vouched_for(seen, shown);
        shown.iter().filter(move |_| !believed)
    }
}

impl Seen {
    /// What known_hosts says of the host: of the name that it is dialled by, else of its first address that has an
    /// entry.
    fn standing(&self) -> Option<(&str, &[HostKey])> {
        self.names.iter().find_map(|name| {
            let keys = self.recorded.keys.get(name).filter(|keys| !keys.is_empty())?;
            Some((name.as_str(), keys.as_slice()))
        })
    }
}

impl Resource for KnownHost {
    type State = Seen;

    fn label(&self) -> Label {
        Label::of(self.owner.target(), "known_host")
    }

    fn target(&self) -> Target {
        Target::Controller
    }

    fn questions(&self) -> Vec<Asked> {
        self.owner.questions()
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Seen, Fault> {
        let (addresses, shown) = match self.owner.keys(look).await {
            Ok(keys) => (self.owner.addresses(look).await?, Some(keys)),
            Err(fault) if fault.cause == Cause::NotYet => (Vec::new(), None),
            // The question never reached it.
            Err(fault) if fault.cause == Cause::Unasked => return Err(fault),
            Err(fault) => {
                return Err(fault.next(format!("check that {} is on, and its name and address", self.host)));
            }
        };
        let names = names(&self.host, self.port, &addresses);
        let question = KnownHostLines { path: self.file.clone(), names: names.clone() };
        let recorded = look.ask(&Controller, question).await?;
        let made = match &self.made_at {
            // Only a changed key makes it matter; a BMC that does not answer then leaves the change refused.
            Some((board, slot)) if shown.is_some() => look
                .ask(board, FlashMark { slot: *slot })
                .await
                .ok()
                .flatten()
                .filter(|mark| Host::Node(mark.node.clone()) == self.owner)
                .and_then(|mark| mark.host_key),
            _ => None,
        };
        Ok(Seen { names, recorded, shown, made })
    }

    fn diff(&self, seen: &Seen) -> Diff {
        let Some(shown) = &seen.shown else { return Diff::InSync };
        if shown.is_empty() {
            return Diff::Blocked(Reason::new(
                format!("{} shows no host key", self.host),
                "see whether its sshd is up",
            ));
        }
        if let Some(reason) = self.refusal(seen, shown) {
            return Diff::Blocked(reason);
        }
        let mut changes = Vec::new();
        for name in &seen.names {
            let recorded = seen.recorded.keys.get(name).map(Vec::as_slice).unwrap_or_default();
            let stale = recorded.iter().any(|key| is_stale(key, recorded, shown));
            let missing = shown.iter().any(|key| !recorded.contains(key));
            if stale || missing {
                let from = (!recorded.is_empty()).then(|| fingerprints(recorded));
                changes.push(Change { field: format!("host key of {name}"), from, to: fingerprints(shown) });
            }
        }
        Diff::of(changes)
    }

    fn hazards(&self, seen: Option<&Seen>) -> Vec<Hazard> {
        let keys = seen.into_iter().flat_map(|seen| self.unknown(seen));
        keys.map(|key| Hazard::TrustKey { host: self.owner.target(), fingerprint: key.fingerprint() }).collect()
    }

    fn span(&self, _: &Seen) -> Option<Span> {
        Some(Span::KnownHosts)
    }

    fn renews(&self, seen: Option<&Seen>) -> Vec<Renewal> {
        let known = seen.is_some_and(|seen| {
            let recorded = seen.recorded.keys.get(&seen.names[0]).map(Vec::as_slice).unwrap_or_default();
            seen.shown.iter().flatten().any(|key| recorded.contains(key))
        });
        if known {
            return Vec::new();
        }
        // The cluster is asked with what the control plane gives to those whom it lets in.
        let cluster = self.leads_to_cluster.then(|| renewed::introduced(Target::Cluster));
        [Some(renewed::introduced(self.owner.target())), cluster].into_iter().flatten().collect()
    }

    async fn apply(&self, seen: &Seen, act: &Act<'_>) -> Result<Applied, Fault> {
        let shown = seen.shown.as_deref().unwrap_or_default();
        record(act, &self.file, &seen.names, shown).await?;
        Ok(Applied::Changed)
    }

    fn estimate(&self) -> Duration {
        Duration::from_secs(1)
    }
}

#[cfg(test)]
mod tests;
