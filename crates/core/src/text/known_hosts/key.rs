//! A host's public key.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

const ED25519: &str = "ssh-ed25519";

/// A host's public key as OpenSSH writes it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HostKey {
    /// The kind of key: `ssh-ed25519`.
    pub kind: String,
    /// The key in Base64.
    pub base64: String,
}

impl HostKey {
    /// Reads `kind base64 [comment]`, the text of a `.pub` file or the end of a `known_hosts` line. `None`
    /// if it is no key, or one of another kind than it says.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split([' ', '\t', '\r', '\n']).filter(|field| !field.is_empty());
        let (kind, base64) = (fields.next()?, fields.next()?);
        let blob = STANDARD.decode(base64).ok()?;
        let inner = blob.get(4..)?.get(..kind.len())?;
        let length = u32::try_from(kind.len()).ok()?.to_be_bytes();
        (blob.starts_with(&length) && inner == kind.as_bytes())
            .then(|| Self { kind: kind.to_owned(), base64: base64.to_owned() })
    }

    /// The key whose Ed25519 public half is `public`.
    pub fn ed25519(public: &[u8; 32]) -> Self {
        let mut blob = Vec::with_capacity(51);
        for field in [ED25519.as_bytes(), public] {
            // Both lengths fit a byte, the last of the four that the wire format gives them.
            blob.extend([0, 0, 0, field.len() as u8]);
            blob.extend(field);
        }
        Self { kind: ED25519.to_owned(), base64: STANDARD.encode(blob) }
    }

    /// The fingerprint as `ssh-keygen -l` prints it: `SHA256:` and unpadded Base64.
    pub fn fingerprint(&self) -> String {
        // The fields are public, so a key can be put together that `parse` would have refused.
        STANDARD.decode(&self.base64).map_or_else(
            |_| format!("(not a key: {self})"),
            |blob| format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob))),
        )
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.base64)
    }
}

impl Serialize for HostKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not an SSH public key"))
    }
}
