//! Values that must not be seen.

use std::fmt;

use serde::{Serialize, Serializer};

/// A value that shows itself nowhere: not in `Debug`, not in events, not in a journal.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a value out of sight.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that hands it on to where it is needed.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// What stands wherever a secret would.
pub const HIDDEN: &str = "(secret)";

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}
