//! What is broken in a host, kept beside it.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::failure::{Failure, Tried};
use crate::records::write_whole;
use crate::testbed::{Host, Testbed};

fn path(testbed: &Testbed, host: &Host, what: &str) -> PathBuf {
    testbed.host_directory(host).join("broken").join(what)
}

/// Whether something is broken.
pub fn is_set(testbed: &Testbed, host: &Host, what: &str) -> bool {
    path(testbed, host, what).exists()
}

/// Notes that something is broken, or about to be.
pub fn set(testbed: &Testbed, host: &Host, what: &str) -> Result<(), Failure> {
    write_whole(&path(testbed, host, what), b"")
}

/// Notes that something is fixed.
pub fn clear(testbed: &Testbed, host: &Host, what: &str) -> Result<(), Failure> {
    match fs::remove_file(path(testbed, host, what)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Failure::new(format!("note that {what} of {} is fixed", host.name), error))
        }
        _ => Ok(()),
    }
}

/// All that is broken in a host.
pub fn all(testbed: &Testbed, host: &Host) -> Result<Vec<String>, Failure> {
    let directory = testbed.host_directory(host).join("broken");
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.tried(|| format!("read {}", directory.display()))?,
    };
    let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}
