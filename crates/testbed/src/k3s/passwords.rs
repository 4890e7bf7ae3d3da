//! Nodes' passwords: whoever comes first under a name sets it, and whoever comes later must know it.

use std::collections::BTreeMap;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::client::Client;
use super::{Minor, network, token};

/// The secrets in the cluster that hold them.
pub struct Passwords {
    /// The API server, as its administrator.
    pub api: Client,
    /// Which release's they are: those of today have a type of their own and belong to their Nodes.
    pub minor: Minor,
}

/// What there is to know of a Node, by whose name it is found.
pub struct Known {
    /// Its uid.
    pub uid: String,
    /// When it was made. Times of this form are in order as texts, too.
    pub made: String,
}

/// Nodes by their names.
pub type Nodes = BTreeMap<String, Known>;

/// Where a node's is.
fn path(node: &str) -> String {
    format!("{SECRETS}/{node}.node-password.k3s")
}

const SECRETS: &str = "/api/v1/namespaces/kube-system/secrets";

impl Passwords {
    /// Whether this is the node's password. One that has none yet has it from now on.
    pub async fn check(&self, node: &str, password: &str) -> Result<bool, String> {
        if node.is_empty() || password.is_empty() {
            return Ok(false);
        }
        let found = self.api.ask("GET", &path(node), &[], "").await?;
        match found.status {
            200 => {
                let secret: serde_json::Value =
                    serde_json::from_slice(&found.body).map_err(|error| error.to_string())?;
                Ok(secret["data"]["hash"].as_str().and_then(decoded).is_some_and(|hash| is_of(&hash, password)))
            }
            404 => {
                let kind = if self.minor < Minor::OF_TODAY { "Opaque" } else { "k3s.cattle.io/node-password" };
                let secret = json!({
                    "apiVersion": "v1", "kind": "Secret", "type": kind, "immutable": true,
                    "metadata": {"name": format!("{node}.node-password.k3s"), "namespace": "kube-system"},
                    "stringData": {"hash": hash(password, &token::random()?)},
                });
                let made = self.api.send("POST", SECRETS, "application/json", &secret).await?;
                match made.status {
                    201 => Ok(true),
                    status => Err(format!("create the node password secret: {status}")),
                }
            }
            status => Err(format!("read the node password secret: {status}")),
        }
    }

    /// Removes the passwords of Nodes that are gone, and has the others belong to theirs if that is what the release does.
    /// A node that is joining has a password before it has a Node. That one has no owner yet, and stays: it is younger than
    /// any Node of that name which was there at the look before.
    pub async fn keep(&self, now: &Nodes, before: &Nodes) -> Result<(), String> {
        let owned = self.minor >= Minor::OF_TODAY;
        let secrets = self.api.get(SECRETS).await?;
        for secret in secrets["items"].as_array().into_iter().flatten() {
            let metadata = &secret["metadata"];
            let Some(node) = metadata["name"].as_str().and_then(|name| name.strip_suffix(".node-password.k3s")) else {
                continue;
            };
            let owner = metadata["ownerReferences"][0]["uid"].as_str();
            let made = metadata["creationTimestamp"].as_str().unwrap_or_default();
            match now.get(node) {
                None if owner.is_some() || before.get(node).is_some_and(|gone| made <= gone.made.as_str()) => {
                    self.forget(node).await?;
                }
                Some(known) if owned && owner != Some(&known.uid) => self.give(node, &known.uid).await?,
                _ => {}
            }
        }
        Ok(())
    }

    async fn give(&self, node: &str, uid: &str) -> Result<(), String> {
        let owner = json!([{"$patch": "replace"}, {"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid}]);
        network::patch(&self.api, &path(node), &json!({"metadata": {"ownerReferences": owner}})).await
    }

    async fn forget(&self, node: &str) -> Result<(), String> {
        match self.api.ask("DELETE", &path(node), &[], "").await?.status {
            200 | 202 | 404 => Ok(()),
            status => Err(format!("delete {}: {status}", path(node))),
        }
    }
}

fn decoded(text: &str) -> Option<String> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
    String::from_utf8(bytes).ok()
}

/// The real one takes scrypt; a password of 128 random bits loses nothing by less.
fn hash(password: &str, salt: &str) -> String {
    format!("$1:{salt}:{}", hex::encode(Sha256::digest(format!("{salt}:{password}"))))
}

fn is_of(known: &str, password: &str) -> bool {
    let salt = known.split(':').nth(1).unwrap_or_default();
    hash(password, salt) == known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_of_its_password_alone() {
        let known = hash("one", "salt");
        assert!(is_of(&known, "one") && !is_of(&known, "two") && !is_of("", ""));
    }
}
