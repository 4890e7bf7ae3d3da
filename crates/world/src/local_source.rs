//! A site's text from the controller's disk.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bringup_core::site::Source;

use crate::site_files;

/// Reads the controller's own files and environment.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalSource;

impl Source for LocalSource {
    fn read(&self, path: &str) -> Result<Option<String>, String> {
        // What a shell's `<(…)` gives, as in `-e @<(sops -d …)`, is the operator's own pipe.
        let given = path.starts_with("/dev/fd/");
        let text = if given { site_files::read_named } else { site_files::read_text };
        match text(Path::new(path)) {
            Ok(text) => Ok(Some(text)),
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::NotADirectory) =>
            {
                Ok(None)
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn list(&self, directory: &str) -> Result<Option<Vec<String>>, String> {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| error.to_string())?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(Some(names))
    }

    fn is_world_writable(&self, directory: &str) -> bool {
        let directory = if directory.is_empty() { "." } else { directory };
        fs::metadata(directory).is_ok_and(|data| data.permissions().mode() & 0o002 != 0)
    }

    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn home(&self) -> String {
        self.env("HOME").unwrap_or_else(|| "/".to_owned())
    }
}
