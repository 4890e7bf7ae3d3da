//! An SSH host key, made before the host is.

use bringup_core::contract::controller::HostKeyPair;
use bringup_core::text::known_hosts::HostKey;
use bringup_core::text::secret::Secret;
use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey};

/// A new Ed25519 key.
///
/// # Errors
/// In words: the system gives no random bytes.
pub(crate) fn new(comment: &str) -> Result<HostKeyPair, String> {
    let failed = |error: russh::keys::ssh_key::Error| format!("no key can be made: {error}");
    let mut key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).map_err(failed)?;
    key.set_comment(comment);
    let public = key.public_key().to_openssh().map_err(failed)?;
    let public = HostKey::parse(&public).ok_or_else(|| format!("{public} is not a key"))?;
    let private = Secret::new(key.to_openssh(LineEnding::LF).map_err(failed)?.as_str());
    Ok(HostKeyPair { private, public })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openssh_reads_it_and_no_two_are_the_same() {
        use std::os::unix::fs::PermissionsExt;
        let HostKeyPair { private, public } = new("node01").unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, private.expose()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let output = std::process::Command::new("ssh-keygen").arg("-y").arg("-f").arg(&path).output().unwrap();
        assert_eq!(HostKey::parse(&String::from_utf8(output.stdout).unwrap()), Some(public.clone()));
        assert_ne!(new("node01").unwrap().public, public);
        assert!(!format!("{private:?}").contains("PRIVATE"));
    }
}
