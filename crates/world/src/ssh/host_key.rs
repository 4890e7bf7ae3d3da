//! Whether a host is who known_hosts says it is.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bringup_core::known_hosts::{HostKey, KnownHosts};

use russh::client;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKeyOrCertificate};

/// What known_hosts says of a host's names.
#[derive(Clone, Debug, Default)]
pub(super) struct Trust {
    /// The keys recorded for any of them.
    pub recorded: Vec<HostKey>,
    /// Keys that nobody is to believe any more.
    pub revoked: Vec<HostKey>,
}

/// What became of a host's key.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    Trusted(HostKey),
    Unknown(HostKey),
    Changed(HostKey),
}

impl Trust {
    /// What the run's known_hosts, and these files that may be there, say of some names.
    pub fn of(known: &KnownHosts, files: &[PathBuf], names: &[String]) -> Self {
        let mut trust = Self::default();
        trust.add(known, names);
        for text in files.iter().filter_map(|file| std::fs::read_to_string(file).ok()) {
            trust.add(&KnownHosts::parse(&text), names);
        }
        trust
    }

    fn add(&mut self, known: &KnownHosts, names: &[String]) {
        self.recorded.extend(names.iter().flat_map(|name| known.keys_for(name)));
        self.revoked.extend(known.revoked_keys());
    }

    fn judge(&self, shown: HostKey) -> Verdict {
        if self.revoked.contains(&shown) {
            Verdict::Changed(shown)
        } else if self.recorded.contains(&shown) {
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

/// Looks at the key that a host shows; lets in only who is trusted.
pub(super) struct Doorkeeper {
    pub trust: Trust,
    pub verdict: Arc<OnceLock<Verdict>>,
}

impl client::Handler for Doorkeeper {
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
        assert!(matches!(trust(&["node02.lan"]).judge(two), Verdict::Changed(_)), "revoked for everyone");
    }

    #[test]
    fn what_is_recorded_is_asked_for_first() {
        let rsa = HostKey { kind: "ssh-rsa".to_owned(), base64: String::new() };
        let trust = Trust { recorded: vec![rsa], revoked: Vec::new() };
        let names: Vec<String> = trust.algorithms().iter().map(ToString::to_string).collect();
        assert_eq!(names[..3], ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]);
    }
}
