//! An object of the cluster has the fields that we give it.

use serde_json::Value;

use crate::change::{Change, Diff};
use crate::deed::Deed;
use crate::engine::{Act, Look};
use crate::fault::Fault;
use crate::names::{Label, Target};
use crate::probe::{KubeObject, ObjectId, ObjectState, Probe};
use crate::resource::{Applied, Resource};

/// An object, applied server side: only the fields given are ours.
#[derive(Debug)]
pub struct AppliedObject {
    /// Which.
    pub id: ObjectId,
    /// The fields.
    pub fields: Value,
}

impl Resource for AppliedObject {
    type State = Option<ObjectState>;

    fn label(&self) -> Label {
        Label::of("cluster", format_args!("{}-{}", self.id.kind.to_lowercase(), self.id.name))
    }

    fn target(&self) -> Target {
        Target::Cluster
    }

    fn questions(&self) -> Vec<(Target, Probe)> {
        vec![(Target::Cluster, KubeObject { id: self.id.clone() }.into())]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Option<ObjectState>, Fault> {
        look.ask(&Target::Cluster, KubeObject { id: self.id.clone() }).await
    }

    fn diff(&self, seen: &Option<ObjectState>) -> Diff {
        let Some(seen) = seen else {
            return Diff::Change(vec![Change::add(self.id.to_string(), "made")]);
        };
        let mut changes = Vec::new();
        compare(&self.fields, &seen.value, "", &mut changes);
        Diff::of(changes)
    }

    async fn apply(&self, _: &Option<ObjectState>, act: &Act<'_>) -> Result<Applied, Fault> {
        let (id, fields) = (self.id.clone(), self.fields.clone());
        act.act(&Target::Cluster, Deed::ApplyObject { id, fields }).await?;
        Ok(Applied::Changed)
    }
}

/// The fields that are wanted and not so. Lists are compared whole; fields that nobody wants are left alone.
fn compare(wanted: &Value, seen: &Value, path: &str, changes: &mut Vec<Change>) {
    if let Value::Object(wanted) = wanted {
        for (key, wanted) in wanted {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match seen.get(key) {
                Some(seen) => compare(wanted, seen, &path, changes),
                None => changes.push(Change::add(path, in_words(wanted))),
            }
        }
    } else if wanted != seen {
        changes.push(Change::new(path, in_words(seen), in_words(wanted)));
    }
}

fn in_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::compare;
    use crate::change::Change;

    #[test]
    fn only_wanted_fields_are_compared() {
        let mut changes = Vec::new();
        let wanted = json!({"spec": {"path": "a", "sources": [1], "new": true}});
        let seen = json!({"spec": {"path": "b", "sources": [1], "theirs": 1}, "status": {}});
        compare(&wanted, &seen, "", &mut changes);
        assert_eq!(changes, vec![Change::new("spec.path", "b", "a"), Change::add("spec.new", "true")]);
    }
}
