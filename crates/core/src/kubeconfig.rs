//! What lets somebody in to a cluster, out of a kubeconfig.

use serde_json::{Map, Value, json};

use crate::resources::values_sha256;
use crate::site::Severity;
use crate::site::yaml::{FileText, Raw, RawValue, parse};

/// The access that a kubeconfig gives: how the cluster is known, and as whom one comes.
#[derive(Clone, PartialEq)]
pub struct Access {
    /// Its `cluster`, without `server`.
    pub cluster: Value,
    /// Its `user`.
    pub user: Value,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(crate::secret::HIDDEN)
    }
}

impl Access {
    /// Of an entry's `cluster` and `user`.
    pub fn new(mut cluster: Value, user: Value) -> Self {
        if let Some(cluster) = cluster.as_object_mut() {
            cluster.remove("server");
        }
        Self { cluster, user }
    }

    /// The one access in the kubeconfig that k3s wrote for its administrator.
    ///
    /// # Errors
    /// In words that show nothing of it, when it is none.
    pub fn of_administrator(text: &str) -> Result<Self, &'static str> {
        let mut problems = Vec::new();
        let root = parse(&FileText::sealed("k3s.yaml"), text, &mut problems);
        if problems.iter().any(|problem| problem.severity == Severity::Error) {
            return Err("it is no YAML");
        }
        let root = root.map_or(Value::Null, |root| value(&root));
        let first = |list: &str, entry: &str| root.get(list)?.get(0)?.get(entry).cloned();
        let cluster = first("clusters", "cluster").ok_or("it names no cluster")?;
        let user = first("users", "user").ok_or("it names no user")?;
        Ok(Self::new(cluster, user))
    }

    /// SHA-256 of it, in hex: another one means other credentials or another authority.
    pub fn sha256(&self) -> String {
        values_sha256(&json!([self.cluster, self.user]))
    }
}

fn value(raw: &Raw) -> Value {
    match &raw.value {
        RawValue::Null => Value::Null,
        RawValue::Bool(value) => json!(value),
        RawValue::Int(value) => json!(value),
        RawValue::Float(value) => json!(value),
        RawValue::Text(text) | RawValue::Unsafe(text) | RawValue::Vault(text) => json!(text),
        RawValue::List(items) => Value::Array(items.iter().map(value).collect()),
        RawValue::Map(entries) => {
            Value::Object(entries.iter().map(|(key, raw)| (key.text.clone(), value(raw))).collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As k3s writes it.
    const K3S: &str = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: Y2E=\n    \
                       server: https://127.0.0.1:6443\n  name: default\ncontexts:\n- context:\n    cluster: default\n    \
                       user: default\n  name: default\ncurrent-context: default\nkind: Config\npreferences: {}\nusers:\n\
                       - name: default\n  user:\n    client-certificate-data: Y2VydA==\n    client-key-data: a2V5\n";

    #[test]
    fn the_administrators_access_is_known_by_its_sum_whatever_the_address() {
        let access = Access::of_administrator(K3S).unwrap();
        assert_eq!(access.cluster, json!({"certificate-authority-data": "Y2E="}));
        let moved = Access::of_administrator(&K3S.replace("127.0.0.1", "10.0.0.1")).unwrap();
        assert_eq!(access.sha256(), moved.sha256());
        let renewed = Access::of_administrator(&K3S.replace("a2V5", "a2V6")).unwrap();
        assert_ne!(access.sha256(), renewed.sha256());
        let written = Access::new(
            json!({"server": "https://x", "certificate-authority-data": "Y2E="}),
            json!({"client-key-data": "a2V5", "client-certificate-data": "Y2VydA=="}),
        );
        assert_eq!(access.sha256(), written.sha256(), "the order of keys says nothing");
        assert_eq!(format!("{access:?}"), "(secret)");
    }

    #[test]
    fn what_is_none_is_refused_without_showing_it() {
        for text in ["", "clusters: []\n", "a: [\n", "clusters:\n- cluster: {}\n"] {
            assert!(Access::of_administrator(text).is_err(), "{text:?}");
        }
    }
}
