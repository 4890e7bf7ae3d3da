//! A site's text from the controller's disk.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bringup_core::site::Source;

use crate::files::site_files;

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

    fn directory_name(&self, directory: &str) -> Option<String> {
        let directory = if directory.is_empty() { "." } else { directory };
        let real = fs::canonicalize(directory).unwrap_or_else(|_| directory.into());
        real.file_name().map(|name| name.to_string_lossy().into_owned())
    }

    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn home(&self) -> String {
        self.env("HOME").unwrap_or_else(|| "/".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_name_however_it_is_spelt() {
        let above = tempfile::tempdir().unwrap();
        let site = above.path().join("home-cluster");
        fs::create_dir(&site).unwrap();
        std::os::unix::fs::symlink(&site, above.path().join("link")).unwrap();
        for spelt in ["home-cluster", "home-cluster/", "home-cluster/.", "link", "home-cluster/../link"] {
            let path = above.path().join(spelt).display().to_string();
            assert_eq!(LocalSource.directory_name(&path).as_deref(), Some("home-cluster"), "{spelt}");
        }
        let here = std::env::current_dir().unwrap();
        let here = here.file_name().map(|name| name.to_string_lossy().into_owned());
        assert_eq!((LocalSource.directory_name("."), LocalSource.directory_name("")), (here.clone(), here));
    }
}
