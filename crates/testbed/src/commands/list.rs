//! `testbed list`.

use crate::board;
use crate::breakage::marks;
use crate::failure::Failure;
use crate::say;
use crate::testbed::{ACCOUNT, Host, Place, Testbed};

/// A line for each host.
pub fn run(testbed: &Testbed) -> Result<(), Failure> {
    for host in &testbed.hosts {
        say::line(&line(testbed, host)?);
    }
    Ok(())
}

/// Name, address, state, and how to log in.
pub fn line(testbed: &Testbed, host: &Host) -> Result<String, Failure> {
    let state = state_and_faults(testbed, host)?;
    let account = if host.place == Place::Bmc { "root" } else { ACCOUNT };
    let (key, directory) = (testbed.key(), testbed.directory());
    let address = testbed.address(host);
    Ok(format!(
        "{:<8} {address:<12} {:<9} ssh -i {} -o IdentitiesOnly=yes -o StrictHostKeyChecking=accept-new \
         -o UserKnownHostsFile={}/ssh/known_hosts {account}@{address}",
        host.name,
        state.join(","),
        key.display(),
        directory.display()
    ))
}

/// Whether it runs, and what is broken.
pub fn state_and_faults(testbed: &Testbed, host: &Host) -> Result<Vec<String>, Failure> {
    let mut state = vec![state(testbed, host)?.to_owned()];
    state.extend(marks::all(testbed, host)?);
    if host.place == Place::Bmc {
        state.extend(board::fault::all(testbed, host));
    }
    Ok(state)
}

/// Whether it runs; of a module: what it does.
fn state(testbed: &Testbed, host: &Host) -> Result<&'static str, Failure> {
    if testbed.records().process(&host.name)?.is_none() {
        return Ok("off");
    }
    Ok(match &host.place {
        Place::Slot { board, slot, .. } => {
            let seat = board::seat(testbed, testbed.host(board)?);
            seat.power(usize::from(*slot).saturating_sub(1)).0.word()
        }
        _ => "running",
    })
}
