//! Downloads that are run, as root or as the operator: nobody on the network may be able to replace them. They come over
//! TLS or from a disk, or the site states their SHA-256.
//!
//! A list of sums next to a file proves nothing if both come over plain http: whoever replaces one replaces the other.

use serde_json::Value;

use super::fields::{Fields, Found};
use crate::ids::Sha256;

/// The two variables of a download.
pub(crate) struct DownloadVariables<'a> {
    /// The variable of its address.
    pub url: &'a str,
    /// The variable of its SHA-256.
    pub sha256: &'a str,
    /// What that sum is taken of, as the error says it.
    pub sum_of: &'a str,
}

/// A download as the site states it. `Sum` is `Option<Sha256>`, or `Vec<Sha256>` where several files may be meant.
pub(crate) struct Download<Sum> {
    /// Its address; `None`: the default, which has TLS.
    pub url: Option<String>,
    /// Its sum.
    pub sha256: Sum,
}

impl DownloadVariables<'_> {
    /// Reads a download that is one file. An address that needs a sum and has none is an error.
    pub fn read(&self, fields: &Fields<'_>, found: &mut Found) -> Download<Option<Sha256>> {
        let (url, sha256) = (self.address(fields, found), sum(fields, self.sha256, found));
        self.check(url.as_deref(), sha256.is_some(), fields, found);
        Download { url, sha256 }
    }

    /// Reads a download that may be any of several files, such as one for each version or architecture: `sha256` is a
    /// text or a list. An address that needs a sum and has none is an error.
    pub fn read_several(&self, fields: &Fields<'_>, found: &mut Found) -> Download<Vec<Sha256>> {
        let url = self.address(fields, found);
        let sums = fields.with(self.sha256, "a SHA-256 in hex or a list of them", found, |value| match value {
            Value::Array(items) => items.iter().map(parse_sum).collect(),
            one => parse_sum(one).map(|sum| vec![sum]),
        });
        let sha256: Vec<Sha256> = sums.unwrap_or_default();
        self.check(url.as_deref(), !sha256.is_empty(), fields, found);
        Download { url, sha256 }
    }

    /// An empty one is how many sites say that they have none.
    fn address(&self, fields: &Fields<'_>, found: &mut Found) -> Option<String> {
        fields.text(self.url, found).filter(|url| !url.is_empty())
    }

    fn check(&self, url: Option<&str>, has_sum: bool, fields: &Fields<'_>, found: &mut Found) {
        let Some(url) = url.filter(|url| !has_sum && !is_tamper_proof(url)) else { return };
        // A malformed sum is a problem of its own; that it is missing would be misleading.
        if fields.value(self.sha256, found).is_some_and(|stated| stated.as_array().is_none_or(|sums| !sums.is_empty()))
        {
            return;
        }
        let Some(place) = fields.origin(self.url) else { return };
        let scheme = if has_scheme(url, "http://") { "uses plain http" } else { "does not use https" };
        let message = format!(
            "`{}` {scheme} and `{}` is not set: anyone on the network could replace what is run from there",
            self.url, self.sha256
        );
        let help = format!(
            "use an https:// address, a file:// address or a path, or set {} to the SHA-256 of {}",
            self.sha256, self.sum_of
        );
        found.push(place.error(message, Some(help)));
    }
}

/// The sum that the site states for a file.
pub(crate) fn sum(fields: &Fields<'_>, name: &str, found: &mut Found) -> Option<Sha256> {
    fields.with(name, "a SHA-256 in hex", found, parse_sum)
}

fn parse_sum(value: &Value) -> Option<Sha256> {
    Sha256::parse(value.as_str()?)
}

/// Whether nobody on the network can replace what is at an address: it has TLS, or is on a disk.
fn is_tamper_proof(url: &str) -> bool {
    url.starts_with('/') || has_scheme(url, "https://") || url.starts_with("file://")
}

/// Schemes may be written in upper case.
fn has_scheme(url: &str, scheme: &str) -> bool {
    url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

#[cfg(test)]
mod tests {
    use super::is_tamper_proof;

    #[test]
    fn only_tls_and_a_disk_are_tamper_proof() {
        for (url, tamper_proof) in [
            ("https://a.example/x", true),
            ("HTTPS://a.example/x", true),
            ("file:///srv/x", true),
            ("/srv/x", true),
            // It would be fetched by nobody.
            ("FILE:///srv/x", false),
            ("http://a.example/x", false),
            ("HTTP://a.example/x", false),
            // curl takes an address without a scheme for http.
            ("a.example/x", false),
            ("ftp://a.example/x", false),
            (" https://a.example/x", false),
            ("http", false),
            ("", false),
        ] {
            assert_eq!(is_tamper_proof(url), tamper_proof, "{url}");
        }
    }
}
