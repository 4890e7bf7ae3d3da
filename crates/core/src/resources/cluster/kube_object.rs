//! An object of the cluster has the fields that we give it.

use serde_json::Value;

use crate::contract::cluster::{ApplyObject, ForeseenObject};
use crate::contract::{Asked, Cluster, Contract, FieldConflict, Fields, ForeseenState, ObjectId};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, Target};
use crate::run::change::{Change, Diff, Reason};
use crate::run::event::Notice;
use crate::run::fault::Fault;

/// An object, applied server side: only the fields given are ours.
#[derive(Debug)]
pub struct AppliedObject {
    /// Which.
    pub id: ObjectId,
    /// The fields.
    pub fields: Value,
    /// More fields, which give way to another value that somebody else gives them.
    pub defaults: Value,
    /// Fields that others own are taken over.
    pub force: bool,
}

impl AppliedObject {
    fn question(&self) -> ForeseenObject {
        let (fields, defaults) = (Fields::new(&self.fields), Fields::new(&self.defaults));
        ForeseenObject { id: self.id.clone(), fields, defaults, force: self.force }
    }
}

impl Resource for AppliedObject {
    type State = ForeseenState;

    fn label(&self) -> Label {
        Label::of("cluster", format_args!("{}-{}", self.id.kind.to_lowercase(), self.id.name))
    }

    fn target(&self) -> Target {
        Target::Cluster
    }

    fn questions(&self) -> Vec<Asked> {
        vec![Cluster.asks(self.question())]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<ForeseenState, Fault> {
        look.ask(&Cluster, self.question()).await
    }

    fn diff(&self, seen: &ForeseenState) -> Diff {
        if !seen.conflicts.is_empty() {
            return Diff::Blocked(Reason::new(
                format!("{}: {}", self.id, in_words_all(&seen.conflicts)),
                "take them over with --force-conflicts, or give the site the values that they have",
            ));
        }
        match (&seen.present, &seen.after) {
            (None, _) => Diff::Change(vec![Change::add(self.id.to_string(), "made")]),
            (Some(present), Some(after)) => {
                let mut changes = Vec::new();
                compare(Some(present), Some(after), &mut Vec::new(), &mut changes);
                Diff::of(changes)
            }
            (Some(_), None) => Diff::Blocked(Reason::new(
                format!("what would become of {} cannot be told", self.id),
                "see whether the kind is still known to the cluster: kubectl get crds",
            )),
        }
    }

    fn notices(&self, seen: &ForeseenState) -> Vec<Notice> {
        if seen.kept.is_empty() {
            return Vec::new();
        }
        vec![Notice::FieldsKept { id: self.id.clone(), fields: seen.kept.clone() }]
    }

    async fn apply(&self, seen: &ForeseenState, act: &Act<'_>) -> Result<Applied, Fault> {
        let (id, fields) = (self.id.clone(), seen.fields.clone());
        act.act(&Cluster, ApplyObject { id, fields, force: self.force }).await?;
        Ok(Applied::Changed)
    }
}

fn in_words_all(conflicts: &[FieldConflict]) -> String {
    conflicts.iter().map(FieldConflict::to_string).collect::<Vec<_>>().join(", ")
}

/// What the API keeps of its own about an object: no difference that anyone made.
fn is_bookkeeping(path: &[&str]) -> bool {
    const METADATA: [&str; 5] = ["managedFields", "resourceVersion", "generation", "creationTimestamp", "uid"];
    match path {
        ["status" | "apiVersion" | "kind"] => true,
        ["metadata", field] => METADATA.contains(field),
        _ => false,
    }
}

/// The fields that would be other ones. Lists are compared whole.
fn compare<'a>(
    present: Option<&'a Value>,
    after: Option<&'a Value>,
    path: &mut Vec<&'a str>,
    changes: &mut Vec<Change>,
) {
    if is_bookkeeping(path) {
        return;
    }
    match (present, after) {
        (Some(Value::Object(present)), Some(Value::Object(after))) => {
            let gone = present.keys().filter(|key| !after.contains_key(*key));
            for key in after.keys().chain(gone) {
                path.push(key);
                compare(present.get(key), after.get(key), path, changes);
                path.pop();
            }
        }
        (Some(present), Some(after)) if present == after => {}
        (Some(present), Some(after)) => {
            changes.push(Change::new(path.join("."), in_words(present), in_words(after)));
        }
        (None, Some(after)) => changes.push(Change::add(path.join("."), in_words(after))),
        (Some(present), None) => changes.push(Change::new(path.join("."), in_words(present), "(taken away)")),
        (None, None) => {}
    }
}

fn in_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
