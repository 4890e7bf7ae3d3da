//! `testbed programs`.

use crate::container_images;
use crate::failure::Failure;
use crate::go_programs::ALL;
use crate::host::kubernetes;
use crate::{base, disks, images, k3s_release, places, say, services, tools};

/// Makes what is not made yet of all that testbeds have in common, so that none of them has to wait for it; a line for each
/// program and image of a cluster: its name and its path.
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
    services::provide()?;
    k3s_release::provide()?;
    let base = base::provide()?;
    disks::image::provide_root(&places::cache().join(&base))?;
    base::tpi::provide()?;
    base::bmc::provide()?;
    images::provide(&base).map(drop)
}
