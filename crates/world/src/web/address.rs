//! Where a file comes from.

use std::path::PathBuf;

use hyper::Uri;

use super::error::WebError;

/// A source of bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Address {
    /// On the web.
    Web(Uri),
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
        if let Some(rest) = text.strip_prefix("file://") {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            if !path.starts_with('/') {
                return Err(odd("a file on another machine"));
            }
            let path = decoded(path).ok_or_else(|| odd("a % in it that is no escape"))?;
            return Ok(Self::File(PathBuf::from(path)));
        }
        let uri: Uri = text.parse().map_err(|error| odd(&format!("no address ({error})")))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http" | "https"), Some(host)) if !host.is_empty() => Ok(Self::Web(uri)),
            _ => Err(odd("no address that can be fetched from")),
        }
    }

    /// Whether nobody on the network can replace what is there: it has TLS, which no redirection gives up, or is on a disk.
    pub fn is_tamper_proof(&self) -> bool {
        match self {
            Self::Web(uri) => uri.scheme_str() == Some("https"),
            Self::File(_) => true,
        }
    }
}

/// Where a redirection leads. One that would give up TLS is not followed.
pub(super) fn redirected(from: &Uri, location: &str) -> Result<Uri, WebError> {
    let odd = || WebError::Address(format!("{from} leads to {location}, which is not followed"));
    let to: Uri = if location.contains("://") {
        location.parse().map_err(|_| odd())?
    } else {
        let path = match location.starts_with('/') {
            true => location.to_owned(),
            false => format!("{}/{location}", from.path().rsplit_once('/').map_or("", |(directory, _)| directory)),
        };
        let (scheme, authority) = (from.scheme_str().unwrap_or("https"), from.authority().map_or("", |it| it.as_str()));
        if location.starts_with("//") {
            format!("{scheme}:{location}").parse().map_err(|_| odd())?
        } else {
            format!("{scheme}://{authority}{path}").parse().map_err(|_| odd())?
        }
    };
    let keeps_tls = from.scheme_str() != Some("https") || to.scheme_str() == Some("https");
    match to.scheme_str() {
        Some("http" | "https") if keeps_tls && to.host().is_some() => Ok(to),
        _ => Err(odd()),
    }
}

/// A path with its `%20` and the like read.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(more.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &more[2..];
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    String::from_utf8(bytes).ok()
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
        for odd in ["file://nas/x", "ftp://example.net/x", "images/x.img", "https://", "file:///%zz", ""] {
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

    #[test]
    fn redirections() {
        let to =
            |from: &str, location: &str| redirected(&from.parse().unwrap(), location).ok().map(|to| to.to_string());
        let said = |text: &str| Some(text.to_owned());
        assert_eq!(to("https://a.example/x/y", "https://b.example/z?q=1"), said("https://b.example/z?q=1"));
        assert_eq!(to("https://a.example/x/y", "/z"), said("https://a.example/z"));
        assert_eq!(to("https://a.example:8443/x/y", "z"), said("https://a.example:8443/x/z"));
        assert_eq!(to("https://a.example/x", "//b.example/z"), said("https://b.example/z"));
        assert_eq!(to("http://a.example/x", "https://a.example/x"), said("https://a.example/x"));
        assert_eq!(to("https://a.example/x", "http://a.example/x"), None);
        assert_eq!(to("https://a.example/x", "file:///etc/passwd"), None);
    }
}
