//! Words of earlier builds.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a log of format 0 says in words. Nothing else makes it: events of today carry no prose.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OldWords {
    words: String,
}

impl fmt::Display for OldWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}
