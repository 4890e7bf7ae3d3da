//! What of a file is another than it should be.

use crate::contract::FileState;
use crate::ids::Sha256;
use crate::run::change::{Change, Diff};

impl FileState {
    /// What is another than it should be: the content, the permission bits.
    pub(in crate::resources) fn compare(&self, path: &str, sha256: Sha256, size: usize, mode: u32) -> Diff {
        let mut changes = Vec::new();
        if self.sha256 != sha256 {
            let from = format!("other content ({} bytes)", self.size);
            changes.push(Change::new(path, from, format!("{size} bytes")));
        }
        if self.mode != mode {
            let (from, to) = (format!("{:04o}", self.mode), format!("{mode:04o}"));
            changes.push(Change::new(format!("mode of {path}"), from, to));
        }
        Diff::of(changes)
    }
}
