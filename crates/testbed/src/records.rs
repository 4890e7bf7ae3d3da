//! What was made outside the testbed's own directory, written down before it is made.
//!
//! One file a thing, each put in place whole: whoever comes after a crash finds every thing that may exist.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Tried};
use crate::process::Process;

/// A thing that `down` has to take away.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Thing {
    /// A network bridge.
    Bridge {
        /// Its name.
        name: String,
    },
    /// A table of nftables, of family `ip`.
    NftTable {
        /// Its name.
        name: String,
    },
    /// A process of the testbed's own. What it starts dies with it, by the kernel's doing.
    Process {
        /// What it is for: `serve`, or a host's name.
        role: String,
        /// Which it is.
        process: Process,
    },
    /// Loop devices over an image file: the kernel chooses their numbers, so the file is what is known beforehand.
    Loop {
        /// The file.
        image: PathBuf,
    },
    /// A control group with those below it.
    Cgroup {
        /// Where the kernel shows it.
        path: PathBuf,
    },
}

impl Thing {
    fn file_name(&self) -> String {
        let (kind, name) = match self {
            Self::Bridge { name } => ("bridge", name.clone()),
            Self::NftTable { name } => ("nft-table", name.clone()),
            Self::Process { role, .. } => ("process", role.clone()),
            Self::Loop { image } => ("loop", image.to_string_lossy().replace('/', "%")),
            Self::Cgroup { path } => ("cgroup", path.to_string_lossy().replace('/', "%")),
        };
        format!("{kind}-{name}.json")
    }
}

/// The records of one testbed.
#[derive(Clone, Debug)]
pub struct Records(PathBuf);

impl Records {
    /// Those in a directory, which need not exist yet.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// Writes down that a thing is about to be made.
    pub fn write(&self, thing: &Thing) -> Result<(), Failure> {
        let text = serde_json::to_string(thing).tried(|| "write a record".to_owned())?;
        write_whole(&self.0.join(thing.file_name()), text.as_bytes())
    }

    /// Strikes a thing out that is gone.
    pub fn strike(&self, thing: &Thing) -> Result<(), Failure> {
        let path = self.0.join(thing.file_name());
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Failure::new(format!("remove the record {}", path.display()), error))
            }
            _ => Ok(()),
        }
    }

    /// All of them.
    pub fn all(&self) -> Result<Vec<Thing>, Failure> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.tried(|| format!("read the records in {}", self.0.display()))?,
        };
        let mut things = Vec::new();
        for entry in entries {
            let path = entry.tried(|| format!("read the records in {}", self.0.display()))?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let text = fs::read_to_string(&path).tried(|| format!("read the record {}", path.display()))?;
            things.push(serde_json::from_str(&text).map_err(|error| {
                Failure::new(format!("understand the record {}", path.display()), error)
                    .help("see by hand what it names, take that away, and remove the file")
            })?);
        }
        Ok(things)
    }

    /// The process that was last recorded for a role, if it lives.
    pub fn process(&self, role: &str) -> Result<Option<Process>, Failure> {
        Ok(self.all()?.into_iter().find_map(|thing| match thing {
            Thing::Process { role: other, process } if other == role && process.lives() => Some(process),
            _ => None,
        }))
    }
}

/// Writes a file beside its place and moves it there in one go.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let tried = || format!("write {}", path.display());
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory).tried(tried)?;
    let mut file = tempfile::NamedTempFile::new_in(directory).tried(tried)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_data()).tried(tried)?;
    file.persist(path).tried(tried)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_found_until_it_is_struck_out() {
        let directory = tempfile::tempdir().unwrap();
        let records = Records::in_directory(directory.path().join("records"));
        assert_eq!(records.all().unwrap(), []);
        let bridge = Thing::Bridge { name: "tb-1".to_owned() };
        let image = Thing::Loop { image: "/a/b.img".into() };
        for thing in [&bridge, &image, &bridge] {
            records.write(thing).unwrap();
        }
        assert_eq!(records.all().unwrap().len(), 2);
        records.strike(&bridge).unwrap();
        records.strike(&bridge).unwrap();
        assert_eq!(records.all().unwrap(), [image]);
    }

    #[test]
    fn a_process_that_is_gone_is_not_found_under_its_number() {
        let directory = tempfile::tempdir().unwrap();
        let records = Records::in_directory(directory.path());
        let me = Process::me().unwrap();
        let other = Process { start: me.start + 1, ..me };
        records.write(&Thing::Process { role: "serve".to_owned(), process: other }).unwrap();
        assert_eq!(records.process("serve").unwrap(), None);
        records.write(&Thing::Process { role: "serve".to_owned(), process: me }).unwrap();
        assert_eq!(records.process("serve").unwrap(), Some(me));
    }
}
