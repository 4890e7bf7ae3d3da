//! `testbed programs`.

use crate::failure::Failure;
use crate::go_programs::ALL;
use crate::{say, tools};

/// Builds the programs that are not built yet; a line for each name: the name and its path.
pub fn run() -> Result<(), Failure> {
    tools::root()?;
    for program in ALL {
        let directory = program.provide()?;
        for name in [program.name].iter().chain(program.links) {
            say::line(&format!("{name}\t{}", directory.join(name).display()));
        }
    }
    Ok(())
}
