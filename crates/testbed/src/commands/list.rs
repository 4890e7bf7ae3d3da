//! `testbed list`.

use crate::breakage::marks;
use crate::failure::Failure;
use crate::say;
use crate::testbed::{ACCOUNT, Host, Testbed};

/// A line for each host.
pub fn run(testbed: &Testbed) -> Result<(), Failure> {
    for host in &testbed.hosts {
        say::line(&line(testbed, host)?);
    }
    Ok(())
}

/// Name, address, state, and how to log in.
pub fn line(testbed: &Testbed, host: &Host) -> Result<String, Failure> {
    let runs = testbed.records().process(&host.name)?.is_some();
    let mut state = vec![if runs { "running" } else { "off" }.to_owned()];
    state.extend(marks::all(testbed, host)?);
    let (key, directory) = (testbed.key(), testbed.directory());
    let address = testbed.address(host);
    Ok(format!(
        "{:<8} {address:<12} {:<9} ssh -i {} -o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new \
         -o UserKnownHostsFile={}/ssh/known_hosts {ACCOUNT}@{address}",
        host.name,
        state.join(","),
        key.display(),
        directory.display()
    ))
}
