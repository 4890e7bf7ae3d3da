//! Helm releases as Helm itself keeps them: in secrets, one a revision, base64 around gzip around JSON.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bringup_core::contract::ReleaseState;
use bringup_core::resources::UNINSTALLED;
use bringup_core::text::value_sums::value_sums;
use bringup_core::version::Version;
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::Value;

use super::error::ApiError;
use super::nodes::{items, name};
use super::session::Session;

/// What our own calls of helm are described with, before the name of the run that forced them.
pub(super) const DESCRIPTION: &str = "bringup run ";

/// A revision of a release.
#[derive(Debug, Deserialize)]
pub(super) struct Release {
    info: Info,
    chart: Chart,
    /// The user's values.
    #[serde(default)]
    config: Value,
    /// What was made, as YAML.
    #[serde(default)]
    pub manifest: String,
}

#[derive(Debug, Deserialize)]
struct Info {
    status: String,
    #[serde(default)]
    description: String,
}

#[derive(Debug, Deserialize)]
struct Chart {
    metadata: ChartMetadata,
}

#[derive(Debug, Deserialize)]
struct ChartMetadata {
    version: Version,
}

impl Release {
    /// The values to install it with. Helm adds those of before to a release that is there, not to one that was uninstalled.
    pub fn values_for(&self, ours: &Value) -> Value {
        let mut values = if self.info.status == UNINSTALLED { self.config.clone() } else { Value::Null };
        merge(&mut values, ours);
        values
    }

    pub fn state(&self) -> ReleaseState {
        let run = self.info.description.strip_prefix(DESCRIPTION);
        ReleaseState {
            version: self.chart.metadata.version.clone(),
            status: self.info.status.clone(),
            values: value_sums(&self.config),
            run: run.map(str::to_owned),
        }
    }
}

/// Puts values over others, as Helm does: maps are merged, all else is replaced.
fn merge(below: &mut Value, over: &Value) {
    match (below.as_object_mut(), over.as_object()) {
        (Some(below), Some(over)) => {
            for (key, value) in over {
                merge(below.entry(key).or_insert(Value::Null), value);
            }
        }
        _ => *below = over.clone(),
    }
}

/// Unpacks what a secret holds.
pub(super) fn decode(secret: &Value) -> Result<Release, String> {
    let outer = secret.pointer("/data/release").and_then(Value::as_str).ok_or("it holds no release")?;
    // Once for the secret, once for Helm.
    let inner = STANDARD.decode(outer).map_err(|error| error.to_string())?;
    let packed = STANDARD.decode(&inner).map_err(|error| error.to_string())?;
    let mut text = Vec::new();
    if packed.starts_with(&[0x1f, 0x8b]) {
        // A secret holds a megabyte at most; charts unpack to some ten times what they pack to.
        GzDecoder::new(&packed[..]).take(64 << 20).read_to_end(&mut text).map_err(|error| error.to_string())?;
    } else {
        text = packed;
    }
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

/// The last revision of a release.
pub(super) async fn release(session: &Session, namespace: &str, release: &str) -> Result<Option<Release>, ApiError> {
    let all = format!("/api/v1/namespaces/{namespace}/secrets");
    let selected = format!("{all}?labelSelector=owner%3Dhelm,name%3D{release}");
    let list = session.list_names(&selected).await?;
    let revision = |secret: &Value| -> u64 {
        let label = secret["metadata"]["labels"]["version"].as_str();
        label.and_then(|label| label.parse().ok()).unwrap_or(0)
    };
    let Some(last) = items(&list).max_by_key(|secret| revision(secret)) else { return Ok(None) };
    let Some(secret) = session.get_if_any(&format!("{all}/{}", name(last))).await? else { return Ok(None) };
    let odd = |said| ApiError::Odd(format!("secret {namespace}/{} is no release of Helm's: {said}", name(last)));
    decode(&secret).map(Some).map_err(odd)
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::{Value, json};

    use super::decode;

    /// Packs a release as Helm does.
    pub(in crate::cluster) fn encode(release: &Value) -> String {
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(release.to_string().as_bytes()).unwrap();
        STANDARD.encode(STANDARD.encode(packer.finish().unwrap()))
    }

    #[test]
    fn a_release_is_unpacked() {
        let release = json!({
            "name": "argocd", "namespace": "argo-cd", "version": 3, "manifest": "---\n",
            "info": {"status": "deployed", "description": "bringup run apply-1", "notes": "x"},
            "chart": {"metadata": {"name": "argo-cd", "version": "7.8.3"}},
            "config": {"server": {"replicas": 2}},
        });
        let state = decode(&json!({"data": {"release": encode(&release)}})).unwrap().state();
        assert_eq!((state.version.as_str(), state.status.as_str()), ("7.8.3", "deployed"));
        assert_eq!(state.run.as_deref(), Some("apply-1"));
        assert_eq!(state.values.keys().collect::<Vec<_>>(), ["server.replicas"]);
        assert!(decode(&json!({"data": {"release": "bm8="}})).is_err());
    }

    #[test]
    fn what_was_uninstalled_comes_back_with_its_values() {
        let ours = json!({"server": {"ingress": {"enabled": true}}});
        let values = |status: &str| {
            let release = json!({
                "info": {"status": status},
                "chart": {"metadata": {"version": "7.8.3"}},
                "config": {"dex": {"enabled": false}, "server": {"replicas": 2, "ingress": {"enabled": false, "host": "a"}}},
            });
            decode(&json!({"data": {"release": encode(&release)}})).unwrap().values_for(&ours)
        };
        assert_eq!(values("deployed"), ours);
        let both =
            json!({"dex": {"enabled": false}, "server": {"replicas": 2, "ingress": {"enabled": true, "host": "a"}}});
        assert_eq!(values("uninstalled"), both);
    }
}
