//! `testbed programs`.

use crate::container_images;
use crate::failure::Failure;
use crate::go_programs::ALL;
use crate::host::kubernetes;
use crate::{say, services, tools};

/// Makes what is not made yet of all that a cluster's testbeds have in common; a line for each program, image and place:
/// its name and its path.
pub fn run() -> Result<(), Failure> {
    tools::root()?;
    tools::provide()?;
    for program in ALL {
        let directory = program.provide()?;
        for name in [program.name].iter().chain(program.links) {
            say::line(&format!("{name}\t{}", directory.join(name).display()));
        }
    }
    say::line(&format!("etcd\t{}", kubernetes::debian()?.join("debian/usr/bin/etcd").display()));
    let images = container_images::provide()?;
    for name in container_images::FILES {
        say::line(&format!("{name}\t{}", images.join(name).display()));
    }
    services::provide()
}
