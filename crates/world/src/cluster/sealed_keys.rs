//! sealed-secrets' keys: what the cluster has, a backup of it that only its owners can read, and putting it back.
//!
//! A backup is a file `sealed-secrets-keys-SUM.age` and, beside it, `sealed-secrets-keys.json`, which tells the last
//! backup's file and the names in it. Decrypted it is a List that `kubectl apply -f` takes, too.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::Path;

use age::x25519;
use bringup_core::contract::controller::Content;
use bringup_core::contract::{SealedKeysBackupState, SealedKeysState};
use bringup_core::ids::{Sha256, Target};
use bringup_core::run::fault::{Cause, Fault};
use bringup_core::text::secret::{Mask, Secret};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::nodes::{items, name};
use super::session::{FIELD_MANAGER, Sent, Session};
use crate::files::local_files;

/// The label of the keys, whatever its value: one that is not used to seal any more still unseals.
const KEYS: &str = "/api/v1/secrets?labelSelector=sealedsecrets.bitnami.com%2Fsealed-secrets-key";
const INDEX: &str = "sealed-secrets-keys.json";

#[derive(Serialize, Deserialize)]
struct Index {
    file: String,
    names: BTreeSet<String>,
}

fn namespace(secret: &Value) -> &str {
    secret.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default()
}

fn full_name(secret: &Value) -> String {
    format!("{}/{}", namespace(secret), name(secret))
}

/// The keys without what the API knows of them, in the order of their names.
async fn keys(session: &Session) -> Result<Vec<Value>, ApiError> {
    let list = session.get(KEYS).await?;
    let mut keys: Vec<Value> = items(&list)
        .map(|secret| {
            json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": name(secret),
                    "namespace": namespace(secret),
                    "labels": secret["metadata"]["labels"],
                },
                "type": secret["type"],
                "data": secret["data"],
            })
        })
        .collect();
    keys.sort_by_key(full_name);
    Ok(keys)
}

fn state(keys: &[Value]) -> SealedKeysState {
    let mut whole = json!(keys);
    whole.sort_all_objects();
    let sha256 = Sha256::of(whole.to_string());
    SealedKeysState { names: keys.iter().map(full_name).collect(), sha256 }
}

/// Which there are.
pub(super) async fn present(session: &Session) -> Result<SealedKeysState, ApiError> {
    keys(session).await.map(|keys| state(&keys))
}

/// The last backup in a directory.
pub(crate) fn backup(directory: &Path) -> std::io::Result<Option<SealedKeysBackupState>> {
    let text = match std::fs::read_to_string(directory.join(INDEX)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let index: Index = serde_json::from_str(&text)?;
    let path = directory.join(index.file).to_string_lossy().into_owned();
    Ok(Some(SealedKeysBackupState { path, names: index.names }))
}

/// Writes the keys to a directory, for these recipients.
pub(super) async fn back_up(session: &Session, to: &Path, recipients: &[String], doing: &str) -> Result<(), Fault> {
    let keys = keys(session).await.map_err(|trouble| trouble.fault(doing))?;
    let state = state(&keys);
    let text = json!({"apiVersion": "v1", "kind": "List", "items": keys}).to_string();
    let sealed = encrypt(&text, recipients).map_err(|said| {
        Fault::new(Cause::Failed, Target::Controller, doing)
            .said(said)
            .next("fix sealed_secrets_recipients in the site: `age-keygen -y` prints what belongs there")
    })?;
    let file = state.file();
    let index = serde_json::to_string(&Index { file: file.clone(), names: state.names }).unwrap_or_default();
    let write = |name: &str, text: &str| {
        let content = Content::Hidden(Secret::new(text));
        local_files::write(&to.join(name), &content, 0o600).map_err(|error| disk(&error, &to.join(name), doing))
    };
    std::fs::create_dir_all(to).map_err(|error| disk(&error, to, doing))?;
    write(&file, &sealed)?;
    write(INDEX, &index)
}

fn disk(error: &std::io::Error, path: &Path, doing: &str) -> Fault {
    Fault::new(Cause::Failed, Target::Controller, doing)
        .said(format!("{}: {error}", path.display()))
        .next("see whether the path is right and yours, and whether the disk has room")
}

fn encrypt(text: &str, recipients: &[String]) -> Result<String, String> {
    let parsed: Result<Vec<x25519::Recipient>, String> =
        recipients.iter().map(|recipient| recipient.parse().map_err(|error| format!("{recipient}: {error}"))).collect();
    let parsed = parsed?;
    let all = parsed.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(all).map_err(|error| error.to_string())?;
    let mut sealed = Vec::new();
    let armor = age::armor::ArmoredWriter::wrap_output(&mut sealed, age::armor::Format::AsciiArmor);
    let armored = |error: std::io::Error| error.to_string();
    let mut writer = encryptor.wrap_output(armor.map_err(armored)?).map_err(armored)?;
    writer.write_all(text.as_bytes()).map_err(armored)?;
    writer.finish().and_then(age::armor::ArmoredWriter::finish).map_err(armored)?;
    String::from_utf8(sealed).map_err(|error| error.to_string())
}

fn decrypt(sealed: &[u8], identity: &Path) -> Result<String, String> {
    let path = identity.to_string_lossy().into_owned();
    let file = age::IdentityFile::from_file(path).map_err(|error| format!("{}: {error}", identity.display()))?;
    let identities = file.into_identities().map_err(|error| format!("{}: {error}", identity.display()))?;
    let decryptor = age::Decryptor::new(age::armor::ArmoredReader::new(sealed)).map_err(|error| error.to_string())?;
    let mut reader = decryptor
        .decrypt(identities.iter().map(|identity| identity.as_ref() as &dyn age::Identity))
        .map_err(|error| error.to_string())?;
    let mut text = String::new();
    reader.read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

/// Puts the keys of a backup into the cluster; those that are there stay as they are.
pub(super) async fn restore(session: &Session, from: &Path, identity: &Path, doing: &str) -> Result<(), Fault> {
    let sealed = std::fs::read(from).map_err(|error| disk(&error, from, doing))?;
    let text = decrypt(&sealed, identity).map_err(|said| {
        Fault::new(Cause::Failed, Target::Controller, doing)
            .said(said)
            .likely("it was encrypted to others than this identity")
            .next("let sealed_secrets_identity name the file with the identity of one of its recipients")
    })?;
    let list: Value = serde_json::from_str(&text).map_err(|error| disk(&std::io::Error::other(error), from, doing))?;
    // An API server may repeat what it refuses.
    let mask = mask(&list);
    for secret in items(&list) {
        let namespace = namespace(secret);
        let made = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        make(session, "/api/v1/namespaces", made).await.map_err(|trouble| trouble.fault(doing))?;
        let all = format!("/api/v1/namespaces/{namespace}/secrets");
        make(session, &all, secret.clone()).await.map_err(|trouble| trouble.fault(doing).masked(&mask))?;
    }
    Ok(())
}

/// Hides the data of these secrets.
fn mask(list: &Value) -> Mask {
    let data = items(list).filter_map(|secret| secret["data"].as_object()).flat_map(Map::values);
    let secrets: Vec<Secret> = data.filter_map(Value::as_str).map(Secret::new).collect();
    secrets.iter().collect()
}

/// Makes an object, unless it is there.
async fn make(session: &Session, all: &str, object: Value) -> Result<(), ApiError> {
    match session.send(Method::POST, &format!("{all}?fieldManager={FIELD_MANAGER}"), Sent::Object(object)).await {
        Err(trouble) if trouble.is_conflict() => Ok(()),
        result => result.map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use age::secrecy::ExposeSecret;

    use super::{decrypt, encrypt, mask};

    #[test]
    fn what_an_api_server_repeats_of_a_restored_key_is_hidden() {
        let list = serde_json::json!({"items": [{"data": {"tls.key": "LS0tLS1CRUdJTg=="}}, {"metadata": {}}]});
        assert_eq!(mask(&list).hide_in("refused: LS0tLS1CRUdJTg=="), "refused: (secret)");
    }

    #[test]
    fn only_a_recipient_reads_a_backup() {
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (age::x25519::Identity::generate(), age::x25519::Identity::generate());
        let file = |name: &str, identity: &age::x25519::Identity| {
            let path = directory.path().join(name);
            std::fs::write(&path, identity.to_string().expose_secret()).unwrap();
            path
        };
        let sealed = encrypt("the keys", &[one.to_public().to_string()]).unwrap();
        assert!(sealed.starts_with("-----BEGIN AGE ENCRYPTED FILE-----") && !sealed.contains("the keys"));
        assert_eq!(decrypt(sealed.as_bytes(), &file("one", &one)).unwrap(), "the keys");
        assert!(decrypt(sealed.as_bytes(), &file("other", &other)).is_err());
        assert!(encrypt("the keys", &["age1nonsense".to_owned()]).is_err());
    }
}
