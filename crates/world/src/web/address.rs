//! Where a file comes from.

use std::path::PathBuf;

use reqwest::Url;

use super::error::WebError;

/// A source of bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Address {
    /// On the web.
    Web(Url),
    /// On the controller.
    File(PathBuf),
}

impl Address {
    /// Reads `https://…`, `http://…`, `file://…` or an absolute path.
    pub fn parse(text: &str) -> Result<Self, WebError> {
        let odd = |why: &str| WebError::Address(format!("{text}: {why}"));
        if text.starts_with('/') {
            return Ok(Self::File(PathBuf::from(text)));
        }
        let url = Url::parse(text).map_err(|error| odd(&format!("not an address ({error})")))?;
        match url.scheme() {
            "file" => url.to_file_path().map(Self::File).map_err(|()| odd("a file on another machine")),
            // It would be shown wherever the address is, in plans and journals.
            "http" | "https" if !url.username().is_empty() || url.password().is_some() => {
                Err(WebError::Address("an address with an account or a password in it is not fetched from".to_owned()))
            }
            "http" | "https" if url.has_host() => Ok(Self::Web(url)),
            _ => Err(odd("not an address that can be fetched from")),
        }
    }

    /// Whether nobody on the network can replace what is there: it has TLS, which no redirection gives up, or is on a disk.
    pub fn is_tamper_proof(&self) -> bool {
        match self {
            Self::Web(url) => url.scheme() == "https",
            Self::File(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let file = |path: &str| Some(Address::File(PathBuf::from(path)));
        assert_eq!(Address::parse("/srv/a b.img").ok(), file("/srv/a b.img"));
        assert_eq!(Address::parse("file:///srv/a%20b.img").ok(), file("/srv/a b.img"));
        assert_eq!(Address::parse("file://localhost/srv/x").ok(), file("/srv/x"));
        assert!(matches!(Address::parse("https://example.net/x?y=1"), Ok(Address::Web(_))));
        let with_password = Address::parse("https://me:hush@example.net/x").unwrap_err();
        assert!(matches!(&with_password, WebError::Address(said) if !said.contains("hush")), "{with_password:?}");
        for odd in ["file://nas/x", "ftp://example.net/x", "images/x.img", "https://", ""] {
            assert!(matches!(Address::parse(odd), Err(WebError::Address(_))), "{odd}");
        }
    }

    #[test]
    fn tls_and_disks_are_tamper_proof() {
        for (address, tamper_proof) in [
            ("https://example.net/x", true),
            ("HTTPS://example.net/x", true),
            ("http://example.net/x", false),
            ("file:///srv/x", true),
            ("/srv/x", true),
        ] {
            assert_eq!(Address::parse(address).unwrap().is_tamper_proof(), tamper_proof, "{address}");
        }
    }
}
