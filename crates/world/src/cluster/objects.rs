//! Objects: what they are, what applying them would make of them, and applying them.

use std::time::Duration;

use bringup_core::contract::cluster::ForeseenObject;
use bringup_core::contract::{FieldConflict, ForeseenState, ObjectId, ObjectState};
use bringup_core::ids::Target;
use bringup_core::run::fault::{Cause, Fault};
use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::error::{ApiError, Refusal};
use super::nodes::is_true;
use super::session::{FIELD_MANAGER, Sent, Session};

/// The name of a kind in paths. Of the kinds that we apply none needs more than English does.
fn plural(kind: &str) -> String {
    let kind = kind.to_lowercase();
    if kind.ends_with('s') { format!("{kind}es") } else { format!("{kind}s") }
}

/// The group of a kind that is defined by a custom resource definition; those of Kubernetes itself have none.
fn custom_group(api_version: &str) -> Option<&str> {
    let (group, _) = api_version.split_once('/')?;
    let own = !group.contains('.') || group.ends_with(".k8s.io");
    (!own).then_some(group)
}

fn path(id: &ObjectId) -> String {
    let root = if id.api_version.contains('/') { "/apis" } else { "/api" };
    format!("{root}/{}/namespaces/{}/{}/{}", id.api_version, id.namespace, plural(&id.kind), id.name)
}

/// When an object of ours last changed by our doing, in seconds. One that we never wrote did not: who runs with it has
/// seen it as it is.
fn modified(object: &Value) -> u64 {
    let managers = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    managers
        .into_iter()
        .flatten()
        .filter(|entry| entry["manager"] == FIELD_MANAGER)
        .filter_map(|entry| seconds(entry["time"].as_str()?))
        .max()
        .unwrap_or(0)
}

/// A time of the API's.
pub(super) fn seconds(time: &str) -> Option<u64> {
    let time: jiff::Timestamp = time.parse().ok()?;
    u64::try_from(time.as_second()).ok()
}

/// Reads an object.
pub(super) async fn object(session: &Session, id: &ObjectId) -> Result<Option<ObjectState>, ApiError> {
    let object = session.get_if_any(&path(id)).await?;
    Ok(object.map(|value| ObjectState { modified: modified(&value), value }))
}

/// The fields with what names the object.
fn whole(id: &ObjectId, fields: &Value) -> Value {
    let mut object = fields.clone();
    object["apiVersion"] = json!(id.api_version);
    object["kind"] = json!(id.kind);
    object["metadata"]["namespace"] = json!(id.namespace);
    object["metadata"]["name"] = json!(id.name);
    object
}

fn apply_path(id: &ObjectId, force: bool, dry_run: bool) -> String {
    let dry_run = if dry_run { "&dryRun=All" } else { "" };
    format!("{}?fieldManager={FIELD_MANAGER}&force={force}{dry_run}", path(id))
}

/// What applying an object would make of it: told by the API itself, which is asked to do everything but to keep it.
pub(super) async fn foresee(session: &Session, question: &ForeseenObject) -> Result<ForeseenState, ApiError> {
    let id = &question.id;
    let present = session.get_if_any(&path(id)).await?;
    let mut defaults = question.defaults.value();
    let mut kept = Vec::new();
    loop {
        let mut fields = question.fields.value();
        merge(&mut fields, &defaults);
        let applied = Sent::Apply(whole(id, &fields));
        let mut conflicts = match session.send(Method::PATCH, &apply_path(id, question.force, true), applied).await {
            Ok(after) => {
                return Ok(ForeseenState { present, after: Some(after), fields, conflicts: Vec::new(), kept });
            }
            // Its kind or its namespace comes with an earlier step.
            Err(trouble) if trouble.is_absence() => {
                return Ok(ForeseenState { present, after: None, fields, conflicts: Vec::new(), kept });
            }
            Err(ApiError::Refused(refusal)) if refusal.code == 409 && !conflicts(&refusal).is_empty() => {
                conflicts(&refusal)
            }
            Err(trouble) => return Err(trouble),
        };
        // What is only our default gives way.
        let given_up: Vec<FieldConflict> =
            conflicts.extract_if(.., |conflict| take_out(&mut defaults, &conflict.field)).collect();
        if !conflicts.is_empty() || given_up.is_empty() {
            kept.extend(given_up);
            return Ok(ForeseenState { present, after: None, fields, conflicts, kept });
        }
        kept.extend(given_up);
    }
}

/// Who owns what, as a refusal tells it.
fn conflicts(refusal: &Refusal) -> Vec<FieldConflict> {
    let mut found: Vec<FieldConflict> = Vec::new();
    for cause in refusal.causes.iter().filter(|cause| cause.reason == "FieldManagerConflict") {
        // `conflict with "kubectl" using v1`
        let manager = cause.message.split('"').nth(1).unwrap_or(&cause.message);
        match found.iter_mut().find(|conflict| conflict.field == cause.field) {
            Some(conflict) => conflict.managers = format!("{} and {manager}", conflict.managers),
            None => found.push(FieldConflict { field: cause.field.clone(), managers: manager.to_owned() }),
        }
    }
    found
}

/// Takes a field out, named as the API names it; whether it was there. Keys may have dots in them.
fn take_out(value: &mut Value, field: &str) -> bool {
    let Some(fields) = value.as_object_mut() else { return false };
    let mut found = None;
    for (key, inner) in fields.iter_mut() {
        let Some(rest) = field.strip_prefix('.').and_then(|field| field.strip_prefix(key.as_str())) else { continue };
        // A list is given up as a whole, whichever of its places is meant.
        let here = rest.is_empty() || rest.starts_with('[') || (rest.starts_with('.') && !inner.is_object());
        if here || take_out(inner, rest) {
            let empty = inner.as_object().is_some_and(serde_json::Map::is_empty);
            found = Some((key.clone(), here || empty));
            break;
        }
    }
    match found {
        Some((key, true)) => fields.remove(&key).is_some(),
        Some((_, false)) => true,
        None => false,
    }
}

/// Fields, and those of the others that are not among them.
fn merge(into: &mut Value, others: &Value) {
    match (into, others) {
        (Value::Object(into), Value::Object(others)) => {
            for (key, other) in others {
                match into.get_mut(key) {
                    Some(inner) => merge(inner, other),
                    None => {
                        into.insert(key.clone(), other.clone());
                    }
                }
            }
        }
        (into @ Value::Null, others) => *into = others.clone(),
        _ => {}
    }
}

/// Applies an object. One of a kind that is still to be defined waits until that is so.
pub(super) async fn apply(
    session: &Session,
    id: &ObjectId,
    fields: &Value,
    force: bool,
    within: Duration,
    doing: &str,
) -> Result<(), Fault> {
    let began = Instant::now();
    loop {
        let applied = Sent::Apply(whole(id, fields));
        let trouble = match session.send(Method::PATCH, &apply_path(id, force, false), applied).await {
            Ok(_) => return Ok(()),
            Err(trouble) => trouble,
        };
        if let ApiError::Refused(refusal) = &trouble {
            let owned = conflicts(refusal);
            if refusal.code == 409 && !owned.is_empty() {
                let owned: Vec<String> =
                    owned.iter().map(|one| format!("{} belongs to {}", one.field, one.managers)).collect();
                return Err(Fault::new(Cause::Refused, Target::Cluster, doing)
                    .said(owned.join("\n"))
                    .likely("somebody took it over since it was looked at")
                    .next("take it over with --force-conflicts, or give the site the value that it has"));
            }
        }
        if !trouble.is_absence() {
            return Err(trouble.fault(doing));
        }
        let missing = missing(session, id).await.map_err(|trouble| trouble.fault(doing))?;
        if began.elapsed() >= within {
            return Err(trouble.fault(doing).said(missing.said).likely(missing.likely).next(missing.next));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// What an object waits for.
struct Missing {
    said: String,
    likely: String,
    next: String,
}

async fn missing(session: &Session, id: &ObjectId) -> Result<Missing, ApiError> {
    if let Some(group) = custom_group(&id.api_version) {
        let name = format!("{}.{group}", plural(&id.kind));
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
        let definition = session.get_if_any(&path).await?;
        let established = definition.as_ref().is_some_and(|definition| is_true(definition, "Established"));
        if !established {
            let state = if definition.is_some() { "not established yet" } else { "not there" };
            return Ok(Missing {
                said: format!("the custom resource definition {name} is {state}"),
                likely: "the chart was told not to bring its definitions, or somebody deleted them".to_owned(),
                next: "let argocd_values say `crds: {install: true}`, or install them by hand; then run again"
                    .to_owned(),
            });
        }
    }
    Ok(Missing {
        said: format!("the namespace {} is not there, or the kind {} of {}", id.namespace, id.kind, id.api_version),
        likely: "the release that makes it was uninstalled".to_owned(),
        next: "run again: the stage cluster installs it".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use bringup_core::contract::ObjectId;
    use serde_json::json;

    use super::{custom_group, path, take_out};

    #[test]
    fn where_objects_are() {
        for (api_version, kind, expected) in [
            ("v1", "ConfigMap", "/api/v1/namespaces/n/configmaps/x"),
            ("argoproj.io/v1alpha1", "AppProject", "/apis/argoproj.io/v1alpha1/namespaces/n/appprojects/x"),
            ("networking.k8s.io/v1", "Ingress", "/apis/networking.k8s.io/v1/namespaces/n/ingresses/x"),
        ] {
            assert_eq!(
                path(&ObjectId {
                    api_version: api_version.into(),
                    kind: kind.into(),
                    namespace: "n".into(),
                    name: "x".into()
                }),
                expected
            );
        }
        assert_eq!(custom_group("argoproj.io/v1alpha1"), Some("argoproj.io"));
        assert_eq!(custom_group("networking.k8s.io/v1"), None);
        assert_eq!(custom_group("apps/v1"), None);
    }

    #[test]
    fn a_field_is_taken_out_by_the_name_that_the_api_gives_it() {
        for (field, left) in [
            (".spec.retry.limit", json!({"spec": {"retry": {"every": 1}, "list": [{"a": 1}]}, "data": {"a.b": "c"}})),
            (".spec.list[0].a", json!({"spec": {"retry": {"limit": 3, "every": 1}}, "data": {"a.b": "c"}})),
            (".data.a.b", json!({"spec": {"retry": {"limit": 3, "every": 1}, "list": [{"a": 1}]}})),
        ] {
            let mut value =
                json!({"spec": {"retry": {"limit": 3, "every": 1}, "list": [{"a": 1}]}, "data": {"a.b": "c"}});
            assert!(take_out(&mut value, field), "{field}");
            assert_eq!(value, left);
            assert!(!take_out(&mut value, ".spec.nothing"));
        }
    }
}
