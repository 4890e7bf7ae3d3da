//! Ansible's vault, versions 1.1 and 1.2: AES-256 in counter mode, its keys derived by PBKDF2 and its text proved by
//! HMAC-SHA256. The format is described in Ansible's user guide under "Vault format".

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aes::Aes256;
use aes::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, Mac};
use pbkdf2::pbkdf2_hmac;
use sha2::Sha256;

use crate::text::problem::Problem;
use crate::text::secret::Secret;
use crate::text::yaml::Origin;

/// Whether a text is sealed.
pub(crate) fn is_sealed(text: &str) -> bool {
    text.starts_with("$ANSIBLE_VAULT;")
}

/// How many different values of a site may be sealed. Each takes 10,000 rounds of a hash to open.
const MOST: usize = 1000;

/// Opens what a site has sealed: each value once, however many hosts share it.
#[derive(Clone, Debug)]
pub(crate) struct Vault {
    password: Option<Secret>,
    opened: Arc<Mutex<BTreeMap<String, Result<Secret, VaultError>>>>,
}

impl Vault {
    /// With this password; without one, nothing can be opened.
    pub fn new(password: Option<Secret>) -> Self {
        Self { password, opened: Arc::default() }
    }

    /// Opens what stands at `origin`.
    pub fn open_at(&self, sealed: &str, origin: &Origin) -> Result<String, Problem> {
        let Some(password) = &self.password else {
            let help = "give --vault-password-file or -J, or set vault_password_file in ansible.cfg".to_owned();
            return Err(origin.error("this is sealed and there is no vault password", Some(help)));
        };
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let result = match opened.get(sealed) {
            Some(result) => result.clone(),
            None if opened.len() >= MOST => Err(VaultError::TooMany),
            None => {
                let result = open(sealed, password).map(Secret::new);
                opened.insert(sealed.to_owned(), result.clone());
                result
            }
        };
        result.map(|text| text.expose().to_owned()).map_err(|error| match error {
            VaultError::Format => origin.error("this is not in the vault's format (1.1 or 1.2)", None),
            VaultError::Password => {
                let help = "another password sealed it".to_owned();
                origin.error("the vault password does not open this", Some(help))
            }
            VaultError::TooMany => {
                let help = "seal a whole file instead of each value in it".to_owned();
                origin.error(format!("more than {MOST} different values are sealed"), Some(help))
            }
        })
    }
}

/// Why a value could not be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum VaultError {
    /// Not in the vault's format.
    Format,
    /// Sealed with another password, or damaged.
    Password,
    /// There are more of them than are opened.
    TooMany,
}

const ROUNDS: u32 = 10_000;

/// Opens a value.
fn open(sealed: &str, password: &Secret) -> Result<String, VaultError> {
    let mut lines = sealed.trim().lines().map(str::trim);
    let header: Vec<&str> = lines.next().unwrap_or_default().split(';').collect();
    if !matches!(header.as_slice(), ["$ANSIBLE_VAULT", "1.1" | "1.2", "AES256", ..]) {
        return Err(VaultError::Format);
    }
    let body = unhex(&lines.collect::<String>()).ok_or(VaultError::Format)?;
    let body = String::from_utf8(body).map_err(|_| VaultError::Format)?;
    let parts: Vec<Vec<u8>> = body.lines().map(unhex).collect::<Option<_>>().ok_or(VaultError::Format)?;
    let [salt, proof, sealed] = parts.as_slice() else { return Err(VaultError::Format) };
    let mut keys = [0; 80];
    pbkdf2_hmac::<Sha256>(password.expose().as_bytes(), salt, ROUNDS, &mut keys);
    let (cipher_key, rest) = keys.split_at(32);
    let (proof_key, nonce) = rest.split_at(32);
    let mut mac = Hmac::<Sha256>::new_from_slice(proof_key).map_err(|_| VaultError::Format)?;
    mac.update(sealed);
    mac.verify_slice(proof).map_err(|_| VaultError::Password)?;
    let mut text = sealed.clone();
    let mut cipher = ctr::Ctr128BE::<Aes256>::new_from_slices(cipher_key, nonce).map_err(|_| VaultError::Format)?;
    cipher.apply_keystream(&mut text);
    let padding = usize::from(*text.last().ok_or(VaultError::Format)?);
    let length = text.len().checked_sub(padding).ok_or(VaultError::Format)?;
    text.truncate(length);
    String::from_utf8(text).map_err(|_| VaultError::Format)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    digits.chunks(2).map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::yaml::{FileText, Origin};

    #[test]
    fn a_value_is_opened_once_and_there_may_be_so_many_different_ones() {
        let origin = Origin::file(&FileText::new("hosts.yml", ""));
        let vault = Vault::new(Some(Secret::new("open sesame")));
        let sealed = |number: usize| format!("$ANSIBLE_VAULT;1.1;AES256\n{number}");
        for _ in 0..3 {
            let problem = vault.open_at(&sealed(0), &origin).unwrap_err();
            assert!(problem.message.contains("format"), "{}", problem.message);
        }
        assert_eq!(vault.opened.lock().unwrap().len(), 1);
        for number in 1..MOST + 5 {
            let _ = vault.clone().open_at(&sealed(number), &origin);
        }
        assert_eq!(vault.opened.lock().unwrap().len(), MOST);
        let problem = vault.open_at(&sealed(MOST + 5), &origin).unwrap_err();
        assert!(problem.message.contains("more than 1000"), "{}", problem.message);
        assert!(!format!("{vault:?}").contains("open sesame"));
    }
}
