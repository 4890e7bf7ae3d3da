//! A version of something that is released.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A version as it is written, such as `3.20.0` or `v1.33.6+k3s1`.
///
/// It may come from a target or from the web and becomes part of URLs and of file names: nothing but letters, digits,
/// `.`, `-` and `+` is in it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Version {
    text: Arc<str>,
    number: semver::Version,
}

impl Version {
    /// No version is longer, in bytes.
    const LONGEST: usize = 64;

    /// One of three numbers, such as `3.20.0`.
    pub fn of(major: u64, minor: u64, patch: u64) -> Self {
        let number = semver::Version::new(major, minor, patch);
        Self { text: number.to_string().into(), number }
    }

    /// One of k3s', such as `v1.33.6+k3s1`.
    pub fn of_k3s(major: u64, minor: u64, patch: u64, build: u64) -> Self {
        let mut number = semver::Version::new(major, minor, patch);
        // Letters and digits are always good.
        number.build = semver::BuildMetadata::new(&format!("k3s{build}")).unwrap_or(semver::BuildMetadata::EMPTY);
        Self { text: format!("v{number}").into(), number }
    }

    /// Reads one, with or without `v` before it. `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > Self::LONGEST {
            return None;
        }
        let number = semver::Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()?;
        Some(Self { text: text.into(), number })
    }

    /// It as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// It without `v` before it.
    #[must_use]
    pub fn without_v(&self) -> Self {
        Self { text: self.text.strip_prefix('v').unwrap_or(&self.text).into(), number: self.number.clone() }
    }

    /// Its first two numbers.
    pub fn minor(&self) -> (u64, u64) {
        (self.number.major, self.number.minor)
    }

    /// Whether it is one of k3s', which always begin with `v`.
    pub fn is_of_k3s(&self) -> bool {
        self.text.starts_with('v') && self.number.build.starts_with("k3s")
    }

    /// Which build of k3s for one release of Kubernetes it is: semantic versions do not order these.
    fn k3s_build(&self) -> u64 {
        self.number.build.strip_prefix("k3s").and_then(|build| build.parse().ok()).unwrap_or(0)
    }

    /// Whether another is newer. Builds of one release that are not k3s' are equally new.
    pub fn is_older_than(&self, other: &Self) -> bool {
        let order = self.number.cmp_precedence(&other.number).then(self.k3s_build().cmp(&other.k3s_build()));
        order == Ordering::Less
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a version"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_one_and_what_is_none() {
        for text in ["3.20.0", "v1.33.6+k3s1", "1.2.3-rc.1", "v1.30.0-rc1+k3s2"] {
            assert_eq!(Version::parse(text).unwrap().to_string(), text);
        }
        let long = format!("1.2.{}", "3".repeat(80));
        for text in
            ["", "v", "1.2", "latest", "1.2.3/../..", "../1.2.3", "1.2.3 ", "1.2.3\n", "vv1.2.3", "1.2.3%2e", &long]
        {
            assert!(Version::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn the_order_is_of_numbers_and_of_k3s_builds() {
        for (older, newer) in [
            ("v1.9.0+k3s1", "v1.33.6+k3s1"),
            ("v1.33.6+k3s1", "v1.33.6+k3s2"),
            ("v1.33.6+k3s9", "v1.33.6+k3s10"),
            ("v1.33.9+k3s2", "v1.33.10+k3s1"),
            ("v1.33.0-rc1+k3s1", "v1.33.0+k3s1"),
            ("3.9.0", "3.20.0"),
        ] {
            let (older, newer) = (Version::parse(older).unwrap(), Version::parse(newer).unwrap());
            assert!(older.is_older_than(&newer) && !newer.is_older_than(&older), "{older} < {newer}");
            assert!(!older.is_older_than(&older));
        }
    }

    #[test]
    fn those_of_numbers_are_those_that_are_read() {
        assert_eq!(Some(Version::of(3, 20, 0)), Version::parse("3.20.0"));
        assert_eq!(Some(Version::of_k3s(1, 33, 6, 1)), Version::parse("v1.33.6+k3s1"));
    }

    #[test]
    fn those_of_k3s() {
        for (text, is) in [("v1.33.6+k3s1", true), ("1.33.6+k3s1", false), ("v1.33.6", false), ("v1.33.6+rke2", false)]
        {
            assert_eq!(Version::parse(text).unwrap().is_of_k3s(), is, "{text}");
        }
    }
}
