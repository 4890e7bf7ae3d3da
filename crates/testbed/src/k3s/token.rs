//! Tokens: `K10` with the hash of the cluster's CA, an account and a secret; or a secret alone.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::say;

/// How long a file with a token may be on its way.
const BOUND: Duration = Duration::from_secs(240);

/// What a token says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// The hash of the CA that the server must have.
    pub ca_hash: Option<String>,
    /// Who one is.
    pub account: String,
    /// What proves it.
    pub secret: String,
}

impl Token {
    /// Reads one. What begins as a long one and is none is refused.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let Some(long) = text.strip_prefix("K10") else {
            return Ok(Self { ca_hash: None, account: "node".to_owned(), secret: text.to_owned() });
        };
        let (hash, rest) = long.split_once("::").ok_or("invalid token format")?;
        if hash.len() != 64 {
            return Err("invalid token CA hash length".to_owned());
        }
        let (account, secret) = rest.split_once(':').ok_or("invalid token format")?;
        Ok(Self { ca_hash: Some(hash.to_owned()), account: account.to_owned(), secret: secret.to_owned() })
    }

    /// As a server writes it down.
    pub fn long(ca_hash: &str, account: &str, secret: &str) -> String {
        format!("K10{ca_hash}::{account}:{secret}\n")
    }
}

/// The hash of a CA as tokens have it: of its one certificate as it is sent.
pub fn hash_of(ca: &[u8]) -> String {
    hex::encode(Sha256::digest(ca))
}

/// 32 hex digits that nobody guesses.
pub fn random() -> Result<String, String> {
    let mut bytes = [0_u8; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| error.to_string())?;
    Ok(hex::encode(bytes))
}

/// A token's file, waited for if it is not there yet.
pub fn from_file(path: &Path) -> Result<String, String> {
    let begun = Instant::now();
    while begun.elapsed() < BOUND {
        match fs::read_to_string(path) {
            Ok(text) => return Ok(text.trim().to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                say::info(&format!("Waiting for file \"{}\" to be created\n", path.display()));
                thread::sleep(Duration::from_secs(2));
            }
            Err(error) => return Err(format!("open {}: {error}", path.display())),
        }
    }
    Err("Timeout while trying to read the file".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let hash = "a".repeat(64);
        let long = Token::parse(&Token::long(&hash, "server", "s")).unwrap();
        assert_eq!(long, Token { ca_hash: Some(hash), account: "server".to_owned(), secret: "s".to_owned() });
        let short = Token::parse("s\n").unwrap();
        assert_eq!(short, Token { ca_hash: None, account: "node".to_owned(), secret: "s".to_owned() });
        assert!(Token::parse("K10abc::server:s").is_err() && Token::parse("K10").is_err());
    }
}
