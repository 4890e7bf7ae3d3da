//! Whether a host is who known_hosts says it is.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bringup_core::text::known_hosts::{HostKey, KnownHosts};
use russh::client;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKeyOrCertificate};

use super::wildcard::list_matches;
use crate::files::site_files;

/// What known_hosts says of a host's names.
#[derive(Clone, Debug, Default)]
pub(super) struct Trust {
    /// The keys recorded for any of them.
    pub recorded: Vec<HostKey>,
    /// The keys that stand for them where the stage known_hosts does not look, each with where that is.
    pub elsewhere: Vec<(HostKey, String)>,
    /// Keys that nobody is to believe any more.
    pub revoked: Vec<HostKey>,
}

/// What became of a host's key.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    Trusted(HostKey),
    Unknown(HostKey),
    Changed(HostKey),
    /// With what speaks against it.
    Contradicted(HostKey, String),
}

impl Trust {
    /// What the run's known_hosts, and these files that may be there, say of some names. The stage known_hosts writes
    /// the first name and the host's addresses, in the run's own file.
    pub fn of(known: &KnownHosts, files: &[PathBuf], names: &[String]) -> Self {
        let mut trust = Self::default();
        trust.revoked.extend(known.revoked_keys());
        for (at, name) in names.iter().enumerate() {
            let keys = known.keys_for(name);
            if at > 0 && !is_address(name) {
                trust
                    .elsewhere
                    .extend(keys.iter().map(|key| (key.clone(), format!("known_hosts has another for {name}"))));
            }
            trust.recorded.extend(keys);
        }
        trust.add_patterns(known, "known_hosts", names);
        for file in files {
            let Ok(text) = site_files::read_text(file) else { continue };
            let (known, place) = (KnownHosts::parse(&text), file.display().to_string());
            for name in names {
                let keys = known.keys_for(name);
                trust.elsewhere.extend(keys.iter().map(|key| (key.clone(), format!("{place} has another for {name}"))));
                trust.recorded.extend(keys);
            }
            trust.add_patterns(&known, &place, names);
            trust.revoked.extend(known.revoked_keys());
        }
        trust
    }

    /// Lines with wildcards are not believed, but what they say against a key counts.
    fn add_patterns(&mut self, known: &KnownHosts, place: &str, names: &[String]) {
        for (patterns, key) in known.pattern_lines() {
            if names.iter().any(|name| list_matches(patterns.split(','), name)) {
                self.elsewhere.push((key, format!("{place} has another for {patterns}")));
            }
        }
    }

    fn judge(&self, shown: HostKey) -> Verdict {
        if self.revoked.contains(&shown) {
            return Verdict::Contradicted(shown, "that key is revoked".to_owned());
        }
        // A host may have a key of each kind: only one of the same kind contradicts what it shows.
        let against = self.elsewhere.iter().find(|(key, _)| key.kind == shown.kind && *key != shown);
        if let Some((_, by)) = against.filter(|_| !self.elsewhere.iter().any(|(key, _)| *key == shown)) {
            return Verdict::Contradicted(shown, by.clone());
        }
        if self.recorded.contains(&shown) {
            Verdict::Trusted(shown)
        } else if self.recorded.is_empty() {
            Verdict::Unknown(shown)
        } else {
            Verdict::Changed(shown)
        }
    }

    /// The host key algorithms to offer: those of recorded keys first, so that a host which has several shows one that
    /// can be compared. SHA-1 is not among them.
    pub fn algorithms(&self) -> Cow<'static, [Algorithm]> {
        let ecdsa = |curve| Algorithm::Ecdsa { curve };
        let rsa = |hash| Algorithm::Rsa { hash: Some(hash) };
        let mut all = vec![
            Algorithm::Ed25519,
            ecdsa(EcdsaCurve::NistP256),
            ecdsa(EcdsaCurve::NistP384),
            ecdsa(EcdsaCurve::NistP521),
            rsa(HashAlg::Sha512),
            rsa(HashAlg::Sha256),
        ];
        let is_recorded = |algorithm: &Algorithm| {
            let kind = match algorithm {
                Algorithm::Rsa { .. } => "ssh-rsa",
                other => other.as_str(),
            };
            self.recorded.iter().any(|key| key.kind == kind)
        };
        all.sort_by_key(|algorithm| !is_recorded(algorithm));
        Cow::Owned(all)
    }
}

/// Whether a name in known_hosts is an address, with or without a port.
fn is_address(name: &str) -> bool {
    let plain = name.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(name, |(host, _)| host);
    plain.parse::<std::net::IpAddr>().is_ok()
}

/// Looks at the key that a host shows; lets in only who is trusted.
pub(super) struct HostKeyVerifier {
    pub trust: Trust,
    pub verdict: Arc<OnceLock<Verdict>>,
}

impl client::Handler for HostKeyVerifier {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        let Some(shown) = key.to_openssh().ok().and_then(|text| HostKey::parse(&text)) else { return Ok(false) };
        let verdict = self.trust.judge(shown);
        let trusted = matches!(verdict, Verdict::Trusted(_));
        // A key exchange later in the connection finds it set.
        let _ = self.verdict.set(verdict);
        Ok(trusted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_trusted_unknown_or_changed() {
        let (one, two) = (HostKey::ed25519(&[1; 32]), HostKey::ed25519(&[2; 32]));
        let known = KnownHosts::parse(&format!("node01.lan {one}\n@revoked * {two}\n"));
        let trust =
            |names: &[&str]| Trust::of(&known, &[], &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert!(matches!(trust(&["node01.lan"]).judge(one.clone()), Verdict::Trusted(_)));
        assert!(matches!(trust(&["10.0.0.1", "node01.lan"]).judge(one.clone()), Verdict::Trusted(_)));
        assert!(matches!(trust(&["node02.lan"]).judge(one), Verdict::Unknown(_)));
        assert!(matches!(trust(&["node01.lan"]).judge(HostKey::ed25519(&[3; 32])), Verdict::Changed(_)));
        assert!(matches!(trust(&["node02.lan"]).judge(two), Verdict::Contradicted(..)), "revoked for everyone");
    }

    #[test]
    fn what_stands_elsewhere_speaks_against_a_key() {
        let (one, two) = (HostKey::ed25519(&[1; 32]), HostKey::ed25519(&[2; 32]));
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("known");
        std::fs::write(&file, format!("n1.lan {one}\n")).unwrap();
        let names = ["n1.lan", "10.0.0.1", "alias"].map(str::to_owned);
        for (run, files, shown, refused) in [
            (format!("10.0.0.* {one}\n"), vec![], &two, true),
            (format!("10.0.0.* {one}\n"), vec![], &one, false),
            (format!("alias {one}\n"), vec![], &two, true),
            (format!("10.0.0.1 {one}\n"), vec![], &two, false),
            (String::new(), vec![file], &two, true),
            (format!("* !10.0.0.1,!n1.lan,!alias {one}\n"), vec![], &two, false),
        ] {
            let verdict = Trust::of(&KnownHosts::parse(&run), &files, &names).judge(shown.clone());
            assert_eq!(matches!(verdict, Verdict::Contradicted(..)), refused, "{run}: {verdict:?}");
        }
    }

    #[test]
    fn what_is_recorded_is_asked_for_first() {
        let rsa = HostKey { kind: "ssh-rsa".to_owned(), base64: String::new() };
        let trust = Trust { recorded: vec![rsa], ..Trust::default() };
        let names: Vec<String> = trust.algorithms().iter().map(ToString::to_string).collect();
        assert_eq!(names[..3], ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]);
    }
}
