//! Nodes' passwords: whoever comes first under a name sets it, and whoever comes later must know it.

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

    /// Has a node's password belong to its Node, if that is what its release does.
    pub async fn give(&self, node: &str, uid: &str) -> Result<(), String> {
        if self.minor < Minor::OF_TODAY {
            return Ok(());
        }
        let owner = json!([{"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid}]);
        network::patch(&self.api, &path(node), &json!({"metadata": {"ownerReferences": owner}})).await
    }

    /// A node is gone, and its password with it.
    pub async fn forget(&self, node: &str) -> Result<(), String> {
        self.api.ask("DELETE", &path(node), &[], "").await.map(drop)
    }
}

fn decoded(text: &str) -> Option<String> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
    String::from_utf8(bytes).ok()
}

/// The real one takes scrypt; a password of 128 random bits loses nothing by less.
fn hash(password: &str, salt: &str) -> String {
    format!("$1:{salt}:{}", token::hex(&Sha256::digest(format!("{salt}:{password}"))))
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
