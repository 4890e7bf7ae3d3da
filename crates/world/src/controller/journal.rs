//! The journal: what happened in a run, an event a line. History, never truth.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use bringup_core::run::event::Event;
use jiff::Timestamp;
use rustix::fs::OFlags;

use crate::files::state_directory::StateDirectory;

/// A journal that is being written.
#[derive(Debug)]
pub struct Journal {
    out: BufWriter<File>,
    path: PathBuf,
}

/// A name for a run of this command that begins now: it sorts by time, and no two runs of a site share it.
pub fn run_name(command: &str) -> String {
    format!("{}-{command}-{}", Timestamp::now().strftime("%Y%m%dT%H%M%SZ"), std::process::id())
}

impl Journal {
    /// Begins the journal of a run below `.bringup/runs` of the site in this directory.
    ///
    /// # Errors
    /// When the directory or the file cannot be made.
    pub fn begin(site: &Path, run: &str) -> io::Result<Self> {
        let runs = StateDirectory::of_site(site)?.below("runs")?;
        let name = format!("{run}.jsonl");
        let path = runs.path().join(&name);
        let file = runs.open(&name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
        Ok(Self { out: BufWriter::new(file), path })
    }

    /// Writes an event down. It is on disk when this returns: whoever dies next leaves it behind.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, event)?;
        self.out.write_all(b"\n")?;
        self.out.flush()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bringup_core::run::event::What;

    use super::*;

    #[test]
    fn a_journal_is_its_owners_alone_and_complete_after_each_event() {
        use std::os::unix::fs::PermissionsExt;
        let site = tempfile::tempdir().unwrap();
        let mut journal = Journal::begin(site.path(), "20260101T000000Z-apply-1").unwrap();
        journal.event(&Event { at: 7, what: What::Interrupted }).unwrap();
        assert_eq!(fs::read_to_string(journal.path()).unwrap(), "{\"at\":7,\"event\":\"interrupted\"}\n");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(journal.path()), 0o600);
        assert_eq!(mode(&site.path().join(".bringup/runs")), 0o700);
        assert!(Journal::begin(site.path(), "20260101T000000Z-apply-1").is_err(), "one run, one journal");
    }
}
