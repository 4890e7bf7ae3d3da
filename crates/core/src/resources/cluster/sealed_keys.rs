//! The keys of sealed-secrets outlive the control plane: without them nothing that was sealed for this cluster can be read.

use std::collections::BTreeSet;

use crate::contract::cluster::{BackUpSealedKeys, RestoreSealedKeys, SealedSecretsKeys};
use crate::contract::controller::{Content, File, MakeDirectory, SealedKeysBackup, WriteFile};
use crate::contract::node::K3s;
use crate::contract::{Asked, Cluster, Contract, Controller, SealedKeysBackupState, SealedKeysState};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, NodeName, Target};
use crate::run::change::{Change, Diff, Reason};
use crate::run::fault::{Cause, Fault};
use crate::run::hazard::Hazard;

/// Before k3s is taken from the control plane the keys are on the controller, encrypted, or given up with approval.
#[derive(Debug)]
pub struct SealedKeysKept {
    /// The control plane.
    pub control_plane: NodeName,
    /// Directory on the controller.
    pub directory: String,
    /// age recipients.
    pub recipients: Vec<String>,
}

/// What a look finds.
#[derive(Debug)]
pub enum Kept {
    /// No keys are lost: there are none, or nothing is uninstalled by this run any more.
    NothingToLose,
    /// Keys that are not in the file where they would be kept.
    Keys(SealedKeysState),
    /// They may be there, but the cluster does not answer.
    Unread,
    /// They are on the controller, or were given up with approval.
    SeenTo,
}

impl SealedKeysKept {
    /// Where it is noted that these keys were given up.
    fn note(&self, what: &str) -> String {
        format!("{}/sealed-secrets-keys-{what}.given-up", self.directory)
    }

    async fn exists(&self, path: String, look: &Look<'_>) -> Result<bool, Fault> {
        Ok(look.ask(&Controller, File { path }).await?.is_some())
    }
}

fn in_words(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

impl Resource for SealedKeysKept {
    type State = Kept;

    fn label(&self) -> Label {
        Label::of(&self.control_plane, "sealed_keys")
    }

    fn target(&self) -> Target {
        Target::Cluster
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Kept, Fault> {
        let k3s = look.ask(&self.control_plane, K3s {}).await?;
        if k3s.is_none_or(|k3s| k3s.run.as_deref() == Some(look.run())) {
            return Ok(Kept::NothingToLose);
        }
        let keys = match look.ask(&Cluster, SealedSecretsKeys {}).await {
            Ok(keys) if keys.names.is_empty() => return Ok(Kept::NothingToLose),
            Ok(keys) => keys,
            // A control plane is forced because it is broken, as likely as not.
            Err(fault) if matches!(fault.cause, Cause::Unreachable | Cause::Unresolved | Cause::Silent) => {
                let noted = self.exists(self.note(look.run()), look).await?;
                return Ok(if noted { Kept::SeenTo } else { Kept::Unread });
            }
            Err(fault) => return Err(fault),
        };
        let path = match self.recipients.is_empty() {
            true => self.note(&keys.sha256.short()),
            false => format!("{}/{}", self.directory, keys.file()),
        };
        Ok(if self.exists(path, look).await? { Kept::SeenTo } else { Kept::Keys(keys) })
    }

    fn diff(&self, seen: &Kept) -> Diff {
        let to = match seen {
            Kept::NothingToLose | Kept::SeenTo => return Diff::InSync,
            Kept::Unread => "given up: the cluster does not answer".to_owned(),
            Kept::Keys(_) if self.recipients.is_empty() => {
                "given up: sealed_secrets_recipients names nobody".to_owned()
            }
            Kept::Keys(keys) => format!("kept in {}/{}", self.directory, keys.file()),
        };
        Diff::Change(vec![Change::new("sealed-secrets' keys", "in the cluster only", to)])
    }

    fn hazards(&self, seen: Option<&Kept>) -> Vec<Hazard> {
        match seen {
            Some(Kept::Unread) => vec![Hazard::LoseSealedKeys { keys: None }],
            Some(Kept::Keys(keys)) if self.recipients.is_empty() => {
                vec![Hazard::LoseSealedKeys { keys: Some(in_words(&keys.names)) }]
            }
            _ => Vec::new(),
        }
    }

    async fn apply(&self, seen: &Kept, act: &Act<'_>) -> Result<Applied, Fault> {
        let to = self.directory.clone();
        let note = match seen {
            Kept::NothingToLose | Kept::SeenTo => return Ok(Applied::Changed),
            Kept::Keys(_) if !self.recipients.is_empty() => {
                let recipients = self.recipients.clone();
                act.act(&Cluster, BackUpSealedKeys { to, recipients }).await?;
                return Ok(Applied::Changed);
            }
            Kept::Keys(keys) => (self.note(&keys.sha256.short()), in_words(&keys.names)),
            Kept::Unread => (self.note(act.run()), "(the cluster did not answer)".to_owned()),
        };
        let (path, names) = note;
        act.act(&Controller, MakeDirectory { path: to }).await?;
        let content = Content::Plain(format!("given up by {}: {names}\n", act.run()));
        act.act(&Controller, WriteFile { path, content, mode: 0o600 }).await?;
        Ok(Applied::Changed)
    }
}

/// Keys that were kept are in the cluster, before what reads them starts.
#[derive(Debug)]
pub struct SealedKeysRestored {
    /// Directory on the controller.
    pub directory: String,
    /// File on the controller with an age identity.
    pub identity: Option<String>,
}

/// What a look finds.
#[derive(Debug)]
pub struct Missing {
    backup: Option<SealedKeysBackupState>,
    names: BTreeSet<String>,
}

impl Resource for SealedKeysRestored {
    type State = Missing;

    fn label(&self) -> Label {
        Label::of("cluster", "sealed_keys")
    }

    fn target(&self) -> Target {
        Target::Cluster
    }

    fn questions(&self) -> Vec<Asked> {
        vec![Controller.asks(SealedKeysBackup { directory: self.directory.clone() })]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Missing, Fault> {
        let question = SealedKeysBackup { directory: self.directory.clone() };
        let backup = look.ask(&Controller, question).await?;
        let Some(kept) = &backup else { return Ok(Missing { backup, names: BTreeSet::new() }) };
        let present = look.ask(&Cluster, SealedSecretsKeys {}).await?;
        let names = kept.names.difference(&present.names).cloned().collect();
        Ok(Missing { backup, names })
    }

    fn diff(&self, seen: &Missing) -> Diff {
        let Some(backup) = seen.backup.as_ref().filter(|_| !seen.names.is_empty()) else { return Diff::InSync };
        if self.identity.is_none() {
            return Diff::Blocked(Reason::new(
                format!("{} has keys of sealed-secrets that the cluster lacks: {}", backup.path, in_words(&seen.names)),
                "let sealed_secrets_identity name the file with an age identity that can read it, or take the backup away \
                 to go on without",
            ));
        }
        Diff::of(seen.names.iter().map(|name| Change::add(format!("Secret {name}"), "put back")).collect())
    }

    async fn apply(&self, seen: &Missing, act: &Act<'_>) -> Result<Applied, Fault> {
        if let (Some(backup), Some(identity)) = (&seen.backup, &self.identity) {
            let (from, identity) = (backup.path.clone(), identity.clone());
            act.act(&Cluster, RestoreSealedKeys { from, identity }).await?;
        }
        Ok(Applied::Changed)
    }
}

#[cfg(test)]
mod tests;
