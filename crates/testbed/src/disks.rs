//! Hosts with two disks: loop devices over sparse files.

use crate::testbed::{Host, Testbed};

/// The second disk of a host, as it is called inside.
pub fn second(_testbed: &Testbed, _host: &Host) -> Option<String> {
    None
}

/// Makes a host's disks, unless they are there.
pub fn make(_testbed: &Testbed, _host: &Host) -> Result<(), crate::failure::Failure> {
    Err(crate::failure::Failure::new("make disks", "that is not built yet"))
}

/// Takes the loop devices over a file away.
pub fn detach(_image: &std::path::Path) -> Result<(), crate::failure::Failure> {
    Ok(())
}
